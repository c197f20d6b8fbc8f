"""Exports to a bucket, of recordings in a bucket, are those of a disk."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gunshot.export.run import ExportFormat, export_results
from gunshot.scoring.results import write_batch
from gunshot.storage import list_files, read_bytes, stat, write_bytes
from tests.gunshot.export.conftest import Row, detection_row, recording_row
from tests.gunshot.export.test_clips import write_sound


def batch(path: str, uri: str) -> tuple[list[Row], list[Row]]:
    found = [detection_row(path, second, uri=uri) for second in (1.0, 5.0)]
    return found, [recording_row(path, uri=uri, etag=stat(uri).etag)]


@pytest.mark.parametrize("format", ["raven", "clips"])
def test_a_bucket_gets_what_a_disk_gets(tmp_path: Path, prefix: str, format: ExportFormat) -> None:
    sound = write_sound(tmp_path / "site" / "x.wav")
    write_bytes(f"{prefix}/archive/site/x.wav", sound.read_bytes())
    summaries, exported = [], []
    for root, uri in ((str(tmp_path), str(sound)), (prefix, f"{prefix}/archive/site/x.wav")):
        write_batch(f"{root}/results", "one", *batch("site/x.wav", uri))
        summaries.append(export_results(f"{root}/results", format, f"{root}/out"))
        names = {info.uri.removeprefix(f"{root}/out/"): info.uri for info in list_files(f"{root}/out")}
        exported.append({name: read_bytes(place) for name, place in names.items()})
    assert set(exported[0]) == set(exported[1])
    assert summaries[0].n_written == summaries[1].n_written == 2
    assert summaries[0].n_others == summaries[1].n_others == 0
    for name, content in exported[0].items():
        if name.endswith(".wav"):
            assert content == exported[1][name]
    if format == "clips":
        assert {row["state"] for row in csv.DictReader(exported[1]["index.csv"].decode().splitlines())} == {"ok"}
        assert all(not row["reason"] for row in csv.DictReader(exported[1]["index.csv"].decode().splitlines()))
