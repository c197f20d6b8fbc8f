"""Fetching of a public data set: download, verify, unpack, label; each step at once or not at all.

Conventions
-----------
A set lives in ``<out>/<name>/``: ``files/`` (the unpacked archive), ``labels.csv`` and ``SOURCE.json``
(address, licence, citation, SHA-256, size, date). While it is under way there are also ``<archive>.part``
(see `gunshot.datasets.download`), and then ``<archive>``. A process killed at any point leaves something that
the next fetch completes; a file named ``<archive>`` that a person downloaded and put there is verified and
used as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from gunshot.datasets.catalogue import CATALOGUE, Dataset, find_dataset
from gunshot.datasets.download import Job, Retry, download, resumable_bytes
from gunshot.datasets.labels import read_label_paths, write_labels
from gunshot.datasets.unpack import require_space, unpack
from gunshot.errors import DatasetError

__all__ = ["fetch_dataset", "is_fetched"]

_LOG = logging.getLogger(__name__)
_BLOCK_BYTES = 1 << 20
# recordings hardly compress; ten times is far above any set and far below a bomb
_MAX_UNPACKED_RATIO = 10
_MIN_UNPACKED_LIMIT_BYTES = 64 << 20


def _digests(path: Path) -> dict[str, str]:
    hashes = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            for each in hashes.values():
                each.update(block)
    return {name: each.hexdigest() for name, each in hashes.items()}


def _verify(path: Path, dataset: Dataset, source: dict[str, Any] | None, remedy: str) -> str:
    """SHA-256 of an archive that is what the catalogue, or else the first fetch, says it must be."""
    digests = _digests(path)
    algorithm, expected, otherwise = "sha256", digests["sha256"], ""
    if dataset.checksum is not None:
        algorithm, expected = dataset.checksum.algorithm, dataset.checksum.hexdigest
    elif source is not None:
        expected, otherwise = source["sha256"], "; to accept another one, delete SOURCE.json first"
    if digests[algorithm] != expected:
        raise DatasetError(
            f"{algorithm} of {path.name} must be {expected}; got {digests[algorithm]}; {remedy}; if it stays "
            f"so, the provider changed the file: see {dataset.homepage}{otherwise}"
        )
    return digests["sha256"]


def _replace_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


class _Set:
    """The folder of one set, and what state it is in."""

    def __init__(self, dataset: Dataset, out: Path) -> None:
        self.dataset = dataset
        self.folder = out / dataset.name
        self.files = self.folder / "files"
        self.labels = self.folder / "labels.csv"
        self.archive = self.folder / dataset.filename

    def source(self) -> dict[str, Any] | None:
        """Return SOURCE.json where it describes this entry of the catalogue."""
        try:
            source = json.loads((self.folder / "SOURCE.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        checksum = None if self.dataset.checksum is None else asdict(self.dataset.checksum)
        known = isinstance(source, dict) and isinstance(source.get("sha256"), str)
        same = known and source.get("url") == self.dataset.url and source.get("checksum") == checksum
        return source if same else None

    def is_complete(self) -> bool:
        """Whether the labels and all their sounds are there; an empty file is a write that was lost."""
        if self.source() is None or not self.files.is_dir() or not self.labels.is_file():
            return False
        paths = read_label_paths(self.labels)
        return bool(paths) and all(path.is_file() and path.stat().st_size > 0 for path in paths)

    def clear(self) -> None:
        """Remove files, first and at once so that half is never taken for the whole, then labels."""
        trash = self.folder / ".files.trash"
        shutil.rmtree(trash, ignore_errors=True)
        if self.files.exists():
            self.files.replace(trash)
        self.labels.unlink(missing_ok=True)
        shutil.rmtree(trash, ignore_errors=True)

    def write_source(self, url: str, sha256: str) -> None:
        """Write SOURCE.json."""
        dataset = self.dataset
        source = {
            "name": dataset.name,
            "title": dataset.title,
            "url": dataset.url,
            "fetched_from": url,
            "homepage": dataset.homepage,
            "licence": dataset.licence,
            "citation": dataset.citation,
            "size_bytes": self.archive.stat().st_size,
            "sha256": sha256,
            "checksum": None if dataset.checksum is None else asdict(dataset.checksum),
            "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _replace_text(self.folder / "SOURCE.json", json.dumps(source, indent=2, ensure_ascii=False) + "\n")

    def unpack(self) -> None:
        """Make files/ of the archive."""
        limit_bytes = max(_MIN_UNPACKED_LIMIT_BYTES, _MAX_UNPACKED_RATIO * self.archive.stat().st_size)
        unpack(self.archive, self.files, kind=self.dataset.kind, limit_bytes=limit_bytes)

    def label(self) -> None:
        """Make labels.csv of files/."""
        write_labels(self.dataset.rows(self.files, self.dataset.licence), self.labels)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep a second fetch of the same set out; the system drops the lock of a killed process."""
    with (folder / ".lock").open("w") as file:
        # Windows has no fcntl: two fetches at once end in a checksum error there
        with contextlib.suppress(ImportError):
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DatasetError(
                    f"only one fetch may write to a folder at a time; got a second one for {folder}; wait for the first"
                ) from error
        yield


def _address(dataset: Dataset, base_url: str | None) -> str:
    if base_url is None:
        return dataset.url
    parts = urlsplit(dataset.url)
    return base_url.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def _obtain_archive(place: _Set, url: str, retry: Retry, rng: np.random.Generator) -> str:
    """Make the verified archive lie in its place; returns its SHA-256."""
    dataset, source = place.dataset, place.source()
    if place.archive.is_file():
        return _verify(place.archive, dataset, source, f"delete {place.archive} and fetch again")
    job = Job(
        url=url,
        archive=place.archive,
        homepage=dataset.homepage,
        size_bytes=dataset.size_bytes,
        is_verifiable=dataset.checksum is not None or source is not None,
    )
    if dataset.size_bytes is not None:
        # what is still to come, and at least as much again for the unpacked sounds
        needed_bytes = 2 * dataset.size_bytes - resumable_bytes(job)
        require_space(place.folder, needed_bytes, f"{dataset.name} (download and unpacked)")
    download(job, retry, rng)
    try:
        sha256 = _verify(job.part, dataset, source, "the download was deleted: fetch again")
    except DatasetError:
        job.discard()
        raise
    job.part.replace(place.archive)
    job.note.unlink(missing_ok=True)
    return sha256


def is_fetched(name: str, out: Path, *, catalogue: Sequence[Dataset] = CATALOGUE) -> bool:
    """Whether a set is there, complete, so that a fetch would do nothing.

    Parameters
    ----------
    name : str
        A name of the catalogue.
    out : Path
        The folder that sets are fetched into.
    catalogue : sequence of Dataset
        Where to look the name up.

    Returns
    -------
    bool
        True when the label table and every sound it names are there, of the archive that the catalogue names.

    Raises
    ------
    ParameterError
        If the catalogue has no such name.
    """
    return _Set(find_dataset(name, catalogue), Path(out)).is_complete()


def fetch_dataset(
    name: str,
    out: Path,
    *,
    catalogue: Sequence[Dataset] = CATALOGUE,
    base_url: str | None = None,
    keep_archive: bool = False,
    retry: Retry | None = None,
    rng: np.random.Generator | None = None,
) -> Path:
    """Fetch a public data set: download, verify, unpack and label it, or go on where an earlier fetch ended.

    Parameters
    ----------
    name : str
        A name of the catalogue.
    out : Path
        Where sets live; this one goes into ``out / name``, which is made where it does not exist.
    catalogue : sequence of Dataset
        Where to look the name up.
    base_url : str, optional
        Scheme and host of a mirror that serves the same paths; by default the catalogue's own address.
    keep_archive : bool
        Keep the archive once the set is complete; by default it is removed.
    retry : Retry, optional
        Patience with transient errors.
    rng : numpy.random.Generator, optional
        Draws the waits between attempts.

    Returns
    -------
    Path
        ``labels.csv`` of the set, which the manifest reads.

    Raises
    ------
    ParameterError
        If the catalogue has no such name.
    DatasetError
        If the archive cannot be had, is not the one that was promised, cannot be unpacked or labelled,
        another fetch of it is under way, or the disk is full. What was downloaded is kept, unless it is
        wrong.
    """
    place = _Set(find_dataset(name, catalogue), Path(out))
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(place.folder):
            if place.is_complete():
                _LOG.info("%s is complete in %s", name, place.folder)
            else:
                _complete(place, _address(place.dataset, base_url), retry, rng)
            if not keep_archive:
                place.archive.unlink(missing_ok=True)
    except DatasetError:
        raise
    except OSError as error:
        raise DatasetError(
            f"cannot write to {place.folder}: {error}; free some space or choose another --out"
        ) from error
    return place.labels


def _complete(place: _Set, url: str, retry: Retry | None, rng: np.random.Generator | None) -> None:
    """Do what is missing."""
    source = place.source()
    if source is not None and place.files.is_dir() and not place.labels.is_file():
        place.label()  # only the table was missing
        return
    sha256 = _obtain_archive(
        place,
        url,
        retry if retry is not None else Retry(),
        rng if rng is not None else np.random.default_rng(),
    )
    place.clear()
    place.write_source(url, sha256)
    place.unpack()
    place.label()
