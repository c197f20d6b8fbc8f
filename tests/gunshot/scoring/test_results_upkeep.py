"""Results merged, checked, and made anew at another operating point."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gunshot.errors import ParameterError, StorageError
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models.bundle import load_bundle
from gunshot.models.copies import copy_bundle
from gunshot.scoring.keys import Provenance
from gunshot.scoring.plan import plan_scoring
from gunshot.scoring.results import KINDS, count_listed, done_keys, read_table, write_batch
from gunshot.scoring.results import merging as merging_module
from gunshot.scoring.results.checks import Fault, forget, results_info, verify_results
from gunshot.scoring.results.merging import merge_objects
from gunshot.scoring.results.objects import listed
from gunshot.scoring.results.rethreshold import rethreshold
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.score import score_batch
from gunshot.scoring.targets import list_targets

Row = dict[str, Any]
Write = Callable[..., Path]

WITH = Provenance("m" * 16, "r" * 16)
OF_ALL = {"threshold": 0.5, "model": "logistic", "model_digest": "m" * 16, "recipe_digest": "r" * 16}


def recording(path: str, n_detections: int, **values: Any) -> Row:
    return {
        "path": path, "uri": f"/a/{path}", "size": 1000, "etag": "1", "state": "ok", "reason": "", "read_s": 60.0,
        "time_source": "not known", "n_candidates": 7, "n_detections": n_detections, **OF_ALL, **values,
    }  # fmt: skip


def detection(path: str, start_s: float, **values: Any) -> Row:
    return {
        "path": path, "uri": f"/a/{path}", "start_s": start_s, "end_s": start_s + 0.45, "time_source": "not known",
        "n_shots": 1, "shots_s": [start_s], "score": 0.75, **OF_ALL, **values,
    }  # fmt: skip


def write_some(results: Path, n_batches: int = 12, first: int = 0) -> None:
    """Batches of two recordings, with as many detections as the batch's number has ones in binary."""
    for number in range(first, first + n_batches):
        paths = [f"{number:03d}{letter}.wav" for letter in "ab"]
        n_found = number.bit_count()
        found = [detection(paths[1], float(at)) for at in range(n_found)]
        rows = [recording(paths[0], 0), recording(paths[1], n_found)]
        write_batch(str(results), f"{number:016x}", found, rows, [] if number % 3 == 0 else None)


def content(results: Path) -> dict[str, list[Row]]:
    return {kind: read_table(str(results), kind).to_pylist() for kind in KINDS}


class TestMerging:
    def test_fewer_objects_say_the_same(self, tmp_path: Path) -> None:
        write_some(tmp_path)
        before, done = content(tmp_path), done_keys(str(tmp_path), WITH).tolist()
        merged = merge_objects(str(tmp_path))
        assert (merged.n_before, merged.n_after) == (12, 1)
        assert content(tmp_path) == before
        assert done_keys(str(tmp_path), WITH).tolist() == done
        assert len(listed(str(tmp_path), "recordings")) == len(listed(str(tmp_path), "detections")) == 1
        assert list(verify_results(str(tmp_path))) == []

    def test_it_goes_on_as_results_grow(self, tmp_path: Path) -> None:
        for round_ in range(4):
            write_some(tmp_path, first=12 * round_)
            before = content(tmp_path)
            assert merge_objects(str(tmp_path)).n_after == 1
            assert content(tmp_path) == before
        assert len(before["recordings"]) == 96
        assert merge_objects(str(tmp_path)).n_removed == 0

    def test_large_ones_are_left(self, tmp_path: Path) -> None:
        write_some(tmp_path)
        size = max(listed(str(tmp_path), "recordings").values())
        before = content(tmp_path)
        assert merge_objects(str(tmp_path), object_bytes=1).n_after == 12
        assert 1 < merge_objects(str(tmp_path), object_bytes=4 * size).n_after < 12
        assert content(tmp_path) == before

    def test_a_batch_that_will_be_written_again_is_left(self, tmp_path: Path) -> None:
        """Its name would be hidden by the merged object."""
        write_some(tmp_path, 3)
        write_batch(str(tmp_path), "open", [], [recording("x.wav", 0, state="gone", read_s=0.0)])
        merge_objects(str(tmp_path))
        assert "open" in listed(str(tmp_path), "recordings")
        write_batch(str(tmp_path), "open", [detection("x.wav", 1.0)], [recording("x.wav", 1)])
        rows = [row for row in read_table(str(tmp_path), "recordings").to_pylist() if row["path"] == "x.wav"]
        assert [(row["state"], row["n_detections"]) for row in rows] == [("ok", 1)]

    def test_a_worker_thought_dead_that_writes_a_merged_batch_changes_nothing(self, tmp_path: Path) -> None:
        write_some(tmp_path)
        before = content(tmp_path)
        merge_objects(str(tmp_path))
        for _ in range(2):
            write_some(tmp_path, 2)
            assert content(tmp_path) == before
            write_some(tmp_path, 2, first=100)
            merge_objects(str(tmp_path))
            before = content(tmp_path)
        assert len(before["recordings"]) == 28

    def test_whatever_is_killed_every_row_is_seen_once_at_every_moment(self, tmp_path: Path) -> None:
        """Killed after each of its writes and removals in turn; then it is run again."""
        write_some(tmp_path / "results", 2)
        merge_objects(str(tmp_path / "results"))
        write_some(tmp_path / "results", 2, first=3)
        before = content(tmp_path / "results")
        n_steps = None
        for step in range(1, 40):
            results = tmp_path / f"killed after {step}"
            shutil.copytree(tmp_path / "results", results)
            if run_and_kill(results, step) == 0:
                n_steps = step
                break
            assert content(results) == before
            assert {fault.what.partition(" is left over")[2][:1] for fault in verify_results(str(results))} <= {":"}
            merge_objects(str(results))
            assert content(results) == before
            assert list(verify_results(str(results))) == []
            assert len(listed(str(results), "recordings")) == 1
        assert n_steps is not None
        assert n_steps > 9  # three objects written, and all of the old ones removed

    def test_who_reads_meanwhile_sees_every_row_once(self, tmp_path: Path) -> None:
        write_some(tmp_path, 30)
        before = content(tmp_path)
        ended = threading.Event()

        def merge_often() -> None:
            try:
                for size in (2_000, 10_000, 20_000, 50_000, 10**6):
                    merge_objects(str(tmp_path), object_bytes=size)
            finally:
                ended.set()

        thread = threading.Thread(target=merge_often)
        thread.start()
        n_read = 0
        try:
            while not ended.is_set():
                assert content(tmp_path) == before
                n_read += 1
        finally:
            thread.join()
        assert n_read > 1
        assert len(listed(str(tmp_path), "recordings")) == 1


def run_and_kill(results: Path, step: int) -> int:
    """In a fork, which ends with a SIGKILL after so many writes and removals: the code it was killed by, or 0."""
    pid = os.fork()
    if pid == 0:
        left = step

        def counted(function: Callable[..., None]) -> Callable[..., None]:
            def call(*arguments: Any) -> None:
                nonlocal left
                function(*arguments)
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), 9)

            return call

        merging_module.write_bytes = counted(merging_module.write_bytes)
        merging_module.delete = counted(merging_module.delete)
        try:
            merge_objects(str(results))
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1]


class TestVerify:
    def test_what_a_run_leaves_is_whole(self, tmp_path: Path) -> None:
        write_some(tmp_path)
        seen: list[int] = []
        assert list(verify_results(str(tmp_path), seen.append)) == []
        assert sum(seen) == 24

    def damage(self, results: Path, how: str) -> None:
        place = results / "detections" / f"{7:016x}.parquet"
        if how == "gone":
            place.unlink()
        elif how == "torn":
            place.write_bytes(place.read_bytes()[:-9])
        elif how == "fewer rows":
            pq.write_table(pq.read_table(place).slice(1), place)
        elif how == "other columns":
            pq.write_table(pq.read_table(place).drop_columns(["score"]), place)
        elif how == "of another batch":
            shutil.copy(results / "detections" / f"{11:016x}.parquet", place)
        elif how == "torn ledger":
            (results / "recordings" / place.name).write_bytes(b"PAR1")
        elif how == "twice":
            shutil.copy(results / "recordings" / place.name, results / "recordings" / f"{99:016x}.parquet")
            shutil.copy(place, results / "detections" / f"{99:016x}.parquet")
        elif how == "left over":
            shutil.copy(place, results / "detections" / f"{99:016x}.parquet")

    @pytest.mark.parametrize(
        ("how", "what"),
        [
            ("gone", "is not there"),
            ("torn", "cannot read"),
            ("fewer rows", "007b.wav: 3 detections by the ledger, 2 in the table"),
            ("other columns", "detections without score"),
            ("of another batch", "007b.wav: 3 detections by the ledger, 0 in the table"),
            ("torn ledger", "cannot read"),
            ("twice", "2 of its recordings are done in"),
            ("left over", "is left over: no rows in the ledger: a run was killed"),
        ],
    )
    def test_each_fault_is_told_and_forgotten(self, tmp_path: Path, how: str, what: str) -> None:
        write_some(tmp_path)
        self.damage(tmp_path, how)
        faults = list(verify_results(str(tmp_path)))
        assert [fault for fault in faults if what in fault.what]
        assert {fault.name for fault in faults} <= {f"{7:016x}", f"{99:016x}"}
        forget(str(tmp_path), faults)
        assert list(verify_results(str(tmp_path))) == []
        n_lost = 0 if how in {"twice", "left over"} else 2
        assert done_keys(str(tmp_path), WITH).size == 24 - n_lost

    def test_what_is_forgotten_of_merged_results_does_not_bring_back_what_was_replaced(self, tmp_path: Path) -> None:
        write_some(tmp_path)
        merge_objects(str(tmp_path))
        write_some(tmp_path, 2)
        (name,) = (name for name in listed(str(tmp_path), "recordings") if name.startswith("merged-"))
        forget(str(tmp_path), [Fault(name, "for this test")])
        assert read_table(str(tmp_path), "recordings").num_rows == 0


class TestInfo:
    def test_it_sums_up_the_ledger(self, tmp_path: Path) -> None:
        write_some(tmp_path)
        other = {"model_digest": "n" * 16, "state": "unreadable", "reason": "no decoder takes it", "read_s": 0.0}
        write_batch(str(tmp_path), "x", [], [recording("x.wav", 0, **other)])
        info = results_info(str(tmp_path))
        assert [each.states for each in info.models] == [Counter(ok=24), Counter(unreadable=1)]
        assert [each.listened_s for each in info.models] == [24 * 60, 0]
        assert sum(each.n_detections for each in info.models) == read_table(str(tmp_path), "detections").num_rows
        assert info.n_objects == {"detections": 13, "candidates": 4, "recordings": 13}
        merge_objects(str(tmp_path))
        assert results_info(str(tmp_path)).models == info.models

    def test_nothing_there_is_one_error(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match=r"no results at .*check the address"):
            results_info(str(tmp_path / "nowhere"))


class TestCounts:
    def test_they_are_those_of_the_listing_alone_and_each_once(self, tmp_path: Path) -> None:
        write_some(tmp_path)
        write_batch(
            str(tmp_path), "x", [], [recording("000b.wav", 0, state="changed"), recording("y.wav", 0, etag="2")]
        )
        write_batch(str(tmp_path), "z", [], [recording("z.wav", 0, state="gone", reason="why")])
        listed_ = WITH.keys(["/a/000a.wav", "/a/000b.wav", "/a/003b.wav", "/a/y.wav", "/a/z.wav"], ["1"] * 5)
        counts = count_listed(str(tmp_path), WITH, listed_)
        assert counts.states == Counter(ok=3, gone=1)
        assert (counts.n_detections, counts.listened_s) == (2, 240.0)
        assert counts.failures == [{"path": "z.wav", "state": "gone", "reason": "why"}]

    def test_a_recording_scored_after_it_was_gone_is_shown_once(self, tmp_path: Path) -> None:
        rows = [recording("z.wav", 0, state="gone", read_s=0.0), recording("z.wav", 0), recording("y.wav", 0)]
        for name, row in zip("abc", rows, strict=True):
            write_batch(str(tmp_path), name, [], [row])
        table = read_table(str(tmp_path), "recordings")
        assert table.select(["path", "state"]).to_pylist() == [
            {"path": "y.wav", "state": "ok"}, {"path": "z.wav", "state": "ok"},
        ]  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path, write_recording: Write) -> Path:
    for index, shots in enumerate(([1.0, 4.0], [2.5, 2.9], [])):
        write_recording(tmp_path / "audio" / f"{index}_20261122_180000.wav", 6, shots, [1.5, 5.2], seed=index)
    (tmp_path / "audio" / "broken.wav").write_text("no sound")
    return tmp_path / "audio"


class TestRethreshold:
    def score(self, archive: Path, uri: str, point: str, rule: ScoringRule, results: Path) -> None:
        bundle = load_bundle(uri, point)
        provenance = Provenance(bundle.digest, bundle.recipe.digest, rule.canonical)
        plan = plan_scoring(list_targets([str(archive)]), done_keys(str(results), provenance), provenance)
        for batch in plan:
            score_batch(uri, bundle.digest, str(results), batch, operating_point=point, rule=rule)

    @pytest.mark.parametrize(
        ("threshold", "rule"),
        [
            (0.001, ScoringRule(floor=0.0)),
            (0.9999, ScoringRule(floor=0.25)),
            (0.75, ScoringRule(floor=0.0001, exhaustive=True)),
        ],
    )
    def test_it_equals_scoring_anew(
        self,
        archive: Path,
        matched_bundle: str,
        operating_point: Callable[[float], OperatingPoint],
        tmp_path: Path,
        threshold: float,
        rule: ScoringRule,
    ) -> None:
        before, after = tmp_path / "before", tmp_path / "after"
        other = replace(operating_point(threshold), name="other")
        uri = copy_bundle(load_bundle(matched_bundle), str(tmp_path / "m"), other).uri
        scored_with, bundle = load_bundle(uri, "by hand"), load_bundle(uri, "other")
        assert (scored_with.operating_point.threshold, bundle.operating_point.threshold) == (0.5, threshold)
        self.score(archive, uri, "by hand", rule, before)
        self.score(archive, uri, "other", rule, after)
        made = rethreshold(str(before), scored_with, bundle, rule)
        assert (made.n_recordings, made.n_there) == (4, 0)
        for kind in KINDS:
            table = read_table(str(before), kind)
            ours = [row for row in table.to_pylist() if row["model_digest"] == bundle.digest]
            assert ours == read_table(str(after), kind).to_pylist()
            assert table.num_rows > len(ours)  # beside those that were there
        assert made.n_detections > 0
        assert list(verify_results(str(before))) == []
        again = rethreshold(str(before), scored_with, bundle, rule)
        assert (again.n_recordings, again.n_detections, again.n_there) == (0, 0, 4)
        merge_objects(str(before))
        assert list(verify_results(str(before))) == []

    @pytest.mark.parametrize(("floor", "what"), [(None, "none were kept"), (0.3, "they were kept from 0.3 on")])
    def test_a_threshold_below_the_floor_is_the_users_mistake(
        self, matched_bundle: str, tmp_path: Path, floor: float | None, what: str
    ) -> None:
        bundle = load_bundle(matched_bundle)
        low = replace(bundle, operating_point=replace(bundle.operating_point, threshold=0.2))
        with pytest.raises(ParameterError, match=f"down to the threshold 0.2; {what}: score anew"):
            rethreshold(str(tmp_path), bundle, low, ScoringRule(floor=floor))
