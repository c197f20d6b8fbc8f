"""Names of exported files: safe below any folder, one a recording, the same whatever the order."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gunshot.export.names import names_of

ENDINGS = [".txt", ".Table.1.selections.txt", ".wav"]

parts = st.one_of(
    st.sampled_from(["", ".", "..", "a", "A", "x.wav", "X.WAV", "x.flac", "a.txt", "con", "export.json", "~", "..."]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text("ab/\\\n\"'\u202e\u0301é. ", max_size=12),
    st.integers(200, 300).map(lambda n: "é" * n),
)
paths = st.lists(parts, min_size=1, max_size=6).map("/".join)
recordings = st.lists(st.tuples(paths, paths), max_size=8, unique=True)


@given(recordings, st.sampled_from(ENDINGS))
@example([("a.wav", "/r/a.wav"), ("a.txt/x.wav", "/r/a.txt/x.wav")], ".txt")
@example([("x.wav", "1"), ("X.wav", "2"), ("x.flac", "3")], ".txt")
@example([("/".join(["d" * 100] * 40), "1")], ".txt")
def test_no_name_leaves_the_folder_and_no_two_meet(keys: list[tuple[str, str]], ending: str) -> None:
    names = names_of(keys, ending)
    assert set(names) == set(keys)
    written = [name + ending for name in names.values()]
    folded = {unicodedata.normalize("NFC", name.casefold()) for name in written}
    assert len(folded) == len(keys)
    folders = {str(folder) for name in folded for folder in PurePosixPath(name).parents}
    assert not folders & folded
    for name in written:
        assert os.path.normpath(os.path.join("/out", name)) == f"/out/{name}"  # noqa: PTH118
        assert PureWindowsPath(name).parts == PurePosixPath(name).parts
        assert all(unicodedata.category(char)[0] not in "CZ" or char == " " for char in name)
        assert max(len(part.encode()) for part in name.split("/")) <= 200
        assert len(name.encode()) <= 700
        assert not any(part.startswith((".", "-")) or part.endswith((".", " ")) for part in name.split("/"))
        assert not PureWindowsPath(name).is_reserved()
        assert name.split("/")[0] not in {"export.json", "index.csv"}


@settings(max_examples=25)
@given(recordings)
def test_names_do_not_depend_on_the_order(keys: list[tuple[str, str]]) -> None:
    assert names_of(keys, ".txt") == names_of(keys[::-1], ".txt")


@settings(max_examples=20)
@given(st.lists(st.tuples(paths, paths), min_size=1, max_size=4, unique=True))
def test_what_is_written_under_them_lies_in_the_folder(
    tmp_path_factory: pytest.TempPathFactory, keys: list[tuple[str, str]]
) -> None:
    from gunshot.export.written import Written

    folder = tmp_path_factory.mktemp("export")
    written = Written(str(folder / "out"))
    for key, name in names_of(keys, ".txt").items():
        written.write(f"{name}.txt", repr(key).encode())
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sorted(path.read_text() for path in files) == sorted(map(repr, keys))
    assert all(Path(path).resolve().is_relative_to((folder / "out").resolve()) for path in files)


def test_common_names_stay_as_they_are() -> None:
    keys = [("site 7/SITE7_20261122_213000.WAV", "1"), ("site 7/é.flac", "2"), ("b.2026.wav", "3"), ("raw", "4")]
    assert list(names_of(keys, ".txt").values()) == ["b.2026", "raw", "site 7/SITE7_20261122_213000", "site 7/é"]
