"""The manifest as a table: its file, its digest, and how it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ManifestError
from gunshot.manifest.table import (
    SCHEMA,
    counts_table,
    dataset_table,
    manifest_digest,
    manifest_of,
    read_manifest,
    write_manifest,
)

Row = dict[str, Any]


def row(number: int = 0, **values: Any) -> Row:
    """A whole row, its values as given."""
    plain: Row = {
        "path": f"gunshot/{number}.wav", "uri": f"/data/gunshot/{number}.wav", "start_s": None, "end_s": None,
        "limit_s": None, "label": 1, "sound": "gunshot", "source": "data", "group": f"g{number}", "device": "",
        "license": "", "size": 1000, "etag": "e", "duration_s": 2.0, "sr": 44_100, "n_channels": 1, "state": "ok",
        "reason": "",
    }  # fmt: skip
    return plain | values


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
seconds = st.none() | st.floats(0, 1e6)
rows_of_any_kind = st.builds(
    row, st.integers(0, 99), path=texts, uri=texts, group=texts, reason=texts, start_s=seconds, end_s=seconds,
    limit_s=seconds, label=st.sampled_from([0, 1, None]), size=st.integers(0, 2**62), etag=texts,
    duration_s=seconds, sr=st.none() | st.integers(1, 384_000), n_channels=st.none() | st.integers(1, 64),
)  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(rows_of_any_kind, max_size=8), row_group_size=st.none() | st.integers(1, 5))
def test_what_is_written_is_read_back(
    rows: list[Row], row_group_size: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    uri = tmp_path_factory.mktemp("manifest") / "m.parquet"
    table = manifest_of(rows)
    write_manifest(table, uri, row_group_size)
    again = read_manifest(uri)
    assert again.equals(table)
    assert again.to_pylist() == rows
    assert manifest_digest(again) == manifest_digest(table)
    if row_group_size:
        assert pq.ParquetFile(uri).num_row_groups == max(1, -(-len(rows) // row_group_size))


def test_further_columns_of_a_file_are_not_of_the_manifest(tmp_path: Path) -> None:
    table = manifest_of([row(0)])
    write_manifest(table.append_column("note", pa.array(["x"])), tmp_path / "m")
    assert read_manifest(tmp_path / "m").equals(table)


class TestDigest:
    @settings(deadline=None, max_examples=50)
    @given(rows=st.lists(rows_of_any_kind, min_size=1, max_size=6))
    def test_equal_rows_have_equal_digests(self, rows: list[Row]) -> None:
        assert manifest_digest(manifest_of(rows)) == manifest_digest(manifest_of([dict(one) for one in rows]))

    @pytest.mark.parametrize(
        "change",
        [
            {"uri": "/data/elsewhere/1.wav"}, {"start_s": 0.0}, {"end_s": 1.0}, {"limit_s": 1.0}, {"label": 0},
            {"label": None}, {"group": "g0"}, {"size": 1001}, {"etag": "f"},
        ],
        ids=lambda change: "-".join(change),
    )  # fmt: skip
    def test_it_changes_with_a_row_its_label_or_its_file(self, change: Row) -> None:
        before = manifest_of([row(0), row(1)])
        assert manifest_digest(manifest_of([row(0), row(1) | change])) != manifest_digest(before)

    @pytest.mark.parametrize(
        "change", [{"path": "p"}, {"sound": "rifle"}, {"source": "s"}, {"device": "d"}, {"license": "CC0"}, {"sr": 1}]
    )
    def test_it_stays_when_only_a_description_changes(self, change: Row) -> None:
        assert manifest_digest(manifest_of([row(0) | change])) == manifest_digest(manifest_of([row(0)]))

    def test_it_changes_with_the_number_and_order_of_rows(self) -> None:
        tables = [[row(0), row(1)], [row(1), row(0)], [row(0)], [row(0), row(0), row(1)], []]
        assert len({manifest_digest(manifest_of(rows)) for rows in tables}) == len(tables)

    def test_values_cannot_move_from_one_row_to_the_next(self) -> None:
        one = manifest_of([row(0, group="a"), row(1, group="b, c")])
        other = manifest_of([row(0, group="a, b"), row(1, group="c")])
        assert manifest_digest(one) != manifest_digest(other)


class TestReading:
    def test_a_file_that_is_not_parquet_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("path,label\n")
        with pytest.raises(ManifestError, match=r"manifest .*labels.csv: not a Parquet file"):
            read_manifest(tmp_path / "labels.csv")

    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="does not exist; check the address"):
            read_manifest(tmp_path / "m.parquet")

    def test_a_table_of_something_else_is_told_with_the_columns_it_lacks(self, tmp_path: Path) -> None:
        write_manifest(manifest_of([row()]).drop_columns(["uri", "sr"]), tmp_path / "m")
        with pytest.raises(ManifestError, match="lacks the columns uri, sr; make it with 'gunshot manifest'"):
            read_manifest(tmp_path / "m")

    @pytest.mark.parametrize(
        ("name", "values"), [("label", ["gunshot"]), ("start_s", [[1.0]]), ("path", [None]), ("sr", [2**40])]
    )
    def test_a_column_of_another_type_is_told(self, tmp_path: Path, name: str, values: list[object]) -> None:
        table = manifest_of([row()])
        write_manifest(table.set_column(SCHEMA.get_field_index(name), name, pa.array(values)), tmp_path / "m")
        with pytest.raises(ManifestError, match=r"manifest .*/m: a column has another type"):
            read_manifest(tmp_path / "m")


def test_the_data_set_prints_as_the_paper_prints_it() -> None:
    names = ["IP_162A_S01", "IP_219B_S06", "ZM_089A_S02", "IP_110B_S04", "SA_153B_S02"]
    rates, durations = [44_100, 44_100, 96_000, 44_100, 48_000], [1.875283, 1.927891, 2.027781, 1.968571, 2.057167]
    last = {"50001010800": (44_100, 0.512358), "100020620400": (192_000, 0.5), "50004060500": (192_000, 0.5)}
    rows = [row(path=f"g/{n}.wav", sr=r, duration_s=d) for n, r, d in zip(names, rates, durations, strict=True)]
    rows += [row(path=f"filler/{n}.wav") for n in range(603)]
    rows += [row(path=f"bags/{n}.wav", sr=sr, duration_s=d, label=0) for n, (sr, d) in last.items()]
    rows += [row(path="bags/30002020800.wav", sr=192_000, duration_s=0.45, label=0)]
    lines = dataset_table(manifest_of(rows)).splitlines()
    assert lines[0].split() == ["File", "Name", "Sample", "Rate", "Duration", "(s)", "Label"]
    assert [line.split() for line in lines[1:]] == [
        ["0", "IP_162A_S01.wav", "44100", "1.875283", "1"],
        ["1", "IP_219B_S06.wav", "44100", "1.927891", "1"],
        ["2", "ZM_089A_S02.wav", "96000", "2.027781", "1"],
        ["3", "IP_110B_S04.wav", "44100", "1.968571", "1"],
        ["4", "SA_153B_S02.wav", "48000", "2.057167", "1"],
        ["..."],
        ["608", "50001010800.wav", "44100", "0.512358", "0"],
        ["609", "100020620400.wav", "192000", "0.500000", "0"],
        ["610", "50004060500.wav", "192000", "0.500000", "0"],
        ["611", "30002020800.wav", "192000", "0.450000", "0"],
    ]
    assert len({len(line) for line in lines if line != "..."}) == 1


@settings(deadline=None, max_examples=50)
@given(n_rows=st.integers(0, 30), first=st.integers(0, 6), last=st.integers(0, 6))
def test_every_row_prints_once_or_is_in_the_gap(n_rows: int, first: int, last: int) -> None:
    lines = dataset_table(manifest_of([row(n) for n in range(n_rows)]), first, last).splitlines()[1:]
    shown = [int(line.split()[0]) for line in lines if line != "..."]
    assert shown == sorted({*range(min(first, n_rows)), *range(max(0, n_rows - last), n_rows)})
    assert ("..." in lines) is (len(shown) < n_rows)


def test_a_segment_prints_its_own_duration_and_a_row_without_label_none() -> None:
    rows = [row(0, start_s=0.5, end_s=0.75), row(1, start_s=1.5), row(2, end_s=0.25), row(3, label=None)]
    lines = [line.split() for line in dataset_table(manifest_of(rows)).splitlines()[1:]]
    assert [line[3] for line in lines] == ["0.250000", "0.500000", "0.250000", "2.000000"]
    assert len(lines[3]) == len(lines[2]) - 1


def test_an_unusable_row_prints_its_state_and_reason() -> None:
    bad = row(state="unreadable", reason="no decoder takes it", duration_s=None, sr=None)
    assert dataset_table(manifest_of([bad])).splitlines()[1].split("  ")[-1].strip() == (
        "unreadable: no decoder takes it"
    )


@settings(deadline=None, max_examples=50)
@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=60))
def test_a_row_is_one_line_whatever_its_name(name: str) -> None:
    printed = dataset_table(manifest_of([row(path=f"x/{name}"), row(1)]))
    assert len(printed.splitlines()) == 3
    assert printed.splitlines()[2].split()[0] == "1"


def test_counts_reconcile() -> None:
    rows = [row(n % 4, label=(1, 0, None)[n % 3], group=f"g{n % 10}", sr=(8000, 96_000)[n % 2]) for n in range(30)]
    rows += [row(90, state="empty", sr=None, group="g0")]
    lines = dict(line.split(maxsplit=1) for line in counts_table(manifest_of(rows), most_groups=2).splitlines())
    assert lines["rows"] == "31 in 5 files"
    assert lines["classes"] == "gunshot 11, not labelled 10, other 10"
    assert lines["rates"] == "8000 Hz 15, 96000 Hz 15"
    assert lines["groups"] == "10: g0 4, g1 3, and 8 more"
    assert lines["states"] == "empty 1, ok 30"
