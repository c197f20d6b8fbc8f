"""The catalogue: entries a person can trust, and what is said of them before a download."""

from __future__ import annotations

import dataclasses
import re
from urllib.parse import urlsplit

import pytest

from gunshot.datasets import CATALOGUE, Checksum, Dataset, available, describe, find_dataset
from gunshot.errors import ParameterError


@pytest.mark.parametrize("dataset", CATALOGUE, ids=lambda dataset: dataset.name)
def test_entries_are_well_formed(dataset: Dataset) -> None:
    for address in (dataset.url, dataset.homepage):
        parts = urlsplit(address)
        assert parts.scheme == "https"
        assert parts.hostname in {"github.com", "zenodo.org"}
    assert dataset.licence.startswith(("CC ", "per file"))
    assert dataset.is_non_commercial == ("NC" in dataset.licence)
    assert dataset.size_bytes is None or dataset.size_bytes > 0
    # a published checksum comes with a size, and a set without either is one that GitHub packs on demand
    assert (dataset.checksum is None) == (dataset.size_bytes is None)
    assert dataset.checksum is not None or dataset.url.startswith("https://github.com/")
    assert dataset.filename.endswith(".zip" if dataset.kind == "zip" else (".tar", ".tar.gz", ".tgz"))
    assert re.search(r"doi:10\.\d{4,}/", dataset.citation)
    assert dataset.title
    assert dataset.holds


def test_addresses_on_github_name_a_commit_not_a_branch() -> None:
    archives = [dataset.url for dataset in CATALOGUE if "github.com" in dataset.url]
    assert archives
    assert all(re.search(r"/archive/[0-9a-f]{40}\.zip$", url) for url in archives)


def test_names_are_unique_and_found() -> None:
    names = [dataset.name for dataset in available()]
    assert len(set(names)) == len(names) == len(CATALOGUE)
    for dataset in available():
        assert find_dataset(dataset.name) is dataset


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match=r"name must be one of esc50, .*got 'esc-50'.*datasets list"):
        find_dataset("esc-50")


@pytest.mark.parametrize("dataset", CATALOGUE, ids=lambda dataset: dataset.name)
def test_description_says_size_licence_and_use(dataset: Dataset) -> None:
    text = describe(dataset)
    assert text.startswith(f"{dataset.name}: {dataset.title}\n")
    for part in (dataset.licence, dataset.homepage, dataset.citation, dataset.holds):
        assert part in text
    assert ("no commercial use" in text) == dataset.is_non_commercial
    if dataset.checksum is None:
        assert "size      not stated" in text
        assert "none published; the first fetch records" in text
    else:
        assert dataset.checksum.hexdigest in text
        assert re.search(r"size +[\d,]+\.\d MB", text)


@pytest.mark.parametrize(
    ("algorithm", "hexdigest"),
    [
        ("md5", "0" * 31),
        ("md5", "0" * 64),
        ("sha256", "g" * 64),
        ("sha256", "A" * 64),
        ("crc", "0" * 8),
        ("crc", ""),
    ],
)
def test_a_checksum_of_the_wrong_form_is_refused(algorithm: str, hexdigest: str) -> None:
    with pytest.raises(ParameterError, match="hexdigest must be"):
        Checksum(algorithm, hexdigest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "http://zenodo.org/x.zip"}, "url must be an https address"),
        ({"homepage": "ftp://zenodo.org"}, "homepage must be an https address"),
        ({"name": "../elsewhere"}, "name must be a plain file name"),
        ({"filename": "a/b.zip"}, "filename must be a plain file name"),
        ({"filename": ".."}, "filename must be a plain file name"),
        ({"size_bytes": 0}, "size_bytes must be positive"),
    ],
)
def test_an_entry_that_would_be_unsafe_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        dataclasses.replace(CATALOGUE[0], **change)
