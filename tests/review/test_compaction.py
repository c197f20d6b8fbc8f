"""Decisions put together: whatever is cut off, denied or done twice at once, each that was told to be kept is read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import StorageError
from gunshot.review import compaction
from gunshot.review.compaction import compact_decisions
from gunshot.review.decision_log import SEGMENT_ROWS, DecisionLog, DecisionReader, read_decisions
from gunshot.review.decisions import Decision
from gunshot.storage import read_all
from tests.review.test_decisions import decision

WRITERS = ("Anna", "Anna", "Ben")  # Anna at two machines
STEPS = st.lists(
    st.tuples(st.just("decide"), st.integers(0, len(WRITERS) - 1))
    | st.tuples(st.just("sit down again"), st.integers(0, len(WRITERS) - 1))
    | st.tuples(st.just("compact"), st.integers(0, 4)),
    max_size=40,
)


def said(who: str, n: int) -> Decision:
    return decision(who, when=f"2026-11-22T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000000+00:00", start_s=float(n))


def log_of(results: str, who: str) -> DecisionLog:
    """Writes objects, as in a bucket."""
    log = DecisionLog(results, who)
    log._is_remote = True
    return log


def sittings(results: str, who: str, n: int) -> list[Decision]:
    """Decisions of so many sittings, of one each."""
    made = [said(who, number) for number in range(n)]
    for each in made:
        log_of(results, who).add(each)
    return made


def objects(results: str, who: str = "Anna") -> list[str]:
    return sorted(path.name for path in (Path(results) / "review" / "decisions" / who).iterdir())


def removing(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Only so many objects can be removed from now on."""
    left = iter(range(most))

    def refuse(uri: str) -> None:
        if next(left, None) is None:
            raise StorageError(f"cannot remove {uri}: denied")
        Path(uri).unlink(missing_ok=True)

    monkeypatch.setattr(compaction, "delete", refuse)


@given(steps=STEPS)
def test_every_decision_is_read_whatever_happens_between(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as results, pytest.MonkeyPatch.context() as monkeypatch:
        logs = [log_of(results, who) for who in WRITERS]
        reader, told = DecisionReader(results), []
        for what, number in steps:
            if what == "decide":
                told.append(said(WRITERS[number], len(told)))
                logs[number].add(told[-1])
            elif what == "sit down again":
                logs[number] = log_of(results, WRITERS[number])
            else:
                removing(monkeypatch, number)
                compact_decisions(results, most=2)
            assert reader.read() == told  # who has read before, and who has not
        assert read_decisions(results) == told


def test_many_sittings_become_one_object_and_further_ones_are_added(tmp_path: Path) -> None:
    results = str(tmp_path)
    made = sittings(results, "Anna", 5)
    assert compact_decisions(results, most=5) == 0
    assert len(objects(results)) == 5
    assert compact_decisions(results, most=4) == 5
    (first,) = objects(results)
    assert read_decisions(results) == made
    sittings(results, "Anna", 8)
    assert compact_decisions(results, most=4) == 9
    (second,) = objects(results)
    assert second != first
    assert read_decisions(results) == sittings(str(tmp_path / "other"), "Anna", 8)
    assert compact_decisions(results, most=4) == 0
    assert objects(results) == [second]


def test_lines_are_kept_byte_for_byte_those_of_a_later_version_too(tmp_path: Path) -> None:
    results = str(tmp_path)
    sittings(results, "Anna", 3)
    folder = tmp_path / "review" / "decisions" / "Anna"
    (folder / "20990101T000000-00000000-000000.jsonl").write_bytes(b'{"something": "new"}\n{"cut o')
    before = {line for path in folder.iterdir() for line in path.read_bytes().splitlines()}
    assert compact_decisions(results, most=1) == 4
    (name,) = objects(results)
    assert set((folder / name).read_bytes().splitlines()[1:]) == before


def test_where_nothing_may_be_removed_it_is_done_once_and_old_objects_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = str(tmp_path)
    made = sittings(results, "Anna", 6)
    removing(monkeypatch, 0)
    assert compact_decisions(results, most=4) == 6
    assert compact_decisions(results, most=4) == 0
    assert len(objects(results)) == 7
    reader = DecisionReader(results)
    assert reader.read() == made
    assert len(reader._known) == 1
    more = [said("Anna", 10 + number) for number in range(5)]
    for each in more:
        log_of(results, "Anna").add(each)
    assert compact_decisions(results, most=4) == 6
    assert reader.read() == made + more
    assert len(reader._known) == 1


def test_what_a_cut_off_compaction_left_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = str(tmp_path)
    made = sittings(results, "Anna", 6)
    with monkeypatch.context() as denied:
        removing(denied, 2)
        compact_decisions(results, most=4)
    assert 1 < len(objects(results)) < 7
    assert compact_decisions(results, most=2) == 0
    assert len(objects(results)) == 1
    assert read_decisions(results) == made


def test_large_objects_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = str(tmp_path)
    log = log_of(results, "Anna")
    full = [said("Anna", number) for number in range(SEGMENT_ROWS)]
    for each in full:
        log.add(each)
    (large,) = objects(results)
    made = sittings(results, "Anna", 3)
    monkeypatch.setattr(compaction, "LARGE", (tmp_path / "review" / "decisions" / "Anna" / large).stat().st_size)
    assert compact_decisions(results, most=2) == 3
    assert len(objects(results)) == 2
    assert large in objects(results)
    assert set(read_decisions(results)) == {*full, *made}


def test_files_on_a_disk_are_left_alone(tmp_path: Path) -> None:
    results = str(tmp_path)
    for who in ("Anna", "Ben", "Cem"):
        DecisionLog(results, who).add(decision(who))
    assert compact_decisions(results, most=1) == 0
    assert compact_decisions(str(tmp_path / "nothing")) == 0
    assert len(read_all(str(tmp_path / "review" / "decisions"), (".jsonl",), parse=bytes)) == 3


@pytest.mark.parametrize("n_people", [1, 3])
def test_each_person_keeps_a_folder(tmp_path: Path, n_people: int) -> None:
    results = str(tmp_path)
    made = [each for who in ("Anna", "Ben", "C/../m")[:n_people] for each in sittings(results, who, 4)]
    assert compact_decisions(results, most=3) == 4 * n_people
    folders: list[Path] = list((tmp_path / "review" / "decisions").iterdir())
    assert [len(list(folder.iterdir())) for folder in folders] == [1] * n_people
    assert set(read_decisions(results)) == set(made)
