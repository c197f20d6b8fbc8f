"""Recordings that were tried in vain: tried again, up to a bound, and counted once whatever became of them."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gunshot.models.bundle import load_bundle
from gunshot.scoring.keys import KEY, Provenance
from gunshot.scoring.plan import plan_scoring
from gunshot.scoring.recording import score_recordings
from gunshot.scoring.results import count_listed, done_keys, endings, known_keys, read_table, write_batch, write_csv
from gunshot.scoring.results.checks import results_info, verify_results
from gunshot.scoring.results.merging import merge_objects
from gunshot.scoring.results.objects import listed
from gunshot.scoring.targets import Target, Targets

Row = dict[str, Any]

WITH = Provenance("m" * 16, "r" * 16)
UNREAD = Path("/sys/class/net/lo/speed")  # a regular file that can be opened, and whose read fails


def recording(path: str, state: str = "ok", n_tries: int = 0, **values: Any) -> Row:
    usable = state == "ok"
    return {
        "path": path, "uri": f"/a/{path}", "size": 1000, "etag": "1", "state": state, "reason": "" if usable else state,
        "n_tries": n_tries, "read_s": 60.0 if usable else 0.0, "time_source": "not known", "n_candidates": 7,
        "n_detections": 0, "threshold": 0.5, "model": "logistic", "model_digest": "m" * 16, "recipe_digest": "r" * 16,
        **values,
    }  # fmt: skip


def key_of(path: str) -> bytes:
    return bytes(WITH.keys([f"/a/{path}"], ["1"])[0])


def targets(n: int) -> Targets:
    return Targets.of([Target(f"{number:03d}.wav", f"/a/{number:03d}.wav", 1000, "1") for number in range(n)])


TRIES = [
    recording("x.wav", "gone"),
    recording("x.wav", "timed out", 1),
    recording("x.wav", "gone", 1),
    recording("x.wav", "unreadable", 2),
    recording("x.wav", "timed out", 3),
]


@pytest.mark.parametrize("n_written", range(1, 6))
@pytest.mark.parametrize("is_judged", [False, True])
@pytest.mark.parametrize("names", [range(6), range(6, 0, -1)], ids=["in order", "against it"])
def test_the_latest_try_counts_and_a_judgement_more_whatever_the_order_of_objects(
    tmp_path: Path, n_written: int, is_judged: bool, names: range
) -> None:
    results = str(tmp_path)
    rows = [*TRIES[:n_written], *([recording("x.wav")] if is_judged else [])]
    other = recording("x.wav", "timed out", 1, model_digest="n" * 16)
    for name, row in zip(names, rows, strict=False):
        write_batch(results, f"{name:016x}", [], [row, recording(f"{name}.wav")])
    write_batch(results, "other", [], [other])
    n_recordings = len(rows) + 1  # the others beside it, and it once
    for _ in range(2):
        table = read_table(results, "recordings").to_pylist()
        found = [row for row in table if row["path"] == "x.wav" and row["model_digest"] == "m" * 16]
        assert [(row["state"], row["n_tries"]) for row in found] == [(rows[-1]["state"], rows[-1]["n_tries"])]
        assert len(table) == n_recordings + 1
        ours, others = results_info(results).models
        assert ours.states == Counter(row["state"] for row in table if row["model_digest"] == "m" * 16)
        assert (ours.listened_s, others.states) == (60.0 * ours.states["ok"], Counter({"timed out": 1}))
        counts = count_listed(results, WITH, WITH.keys(["/a/x.wav"], ["1"]))
        assert counts.states == Counter({rows[-1]["state"]: 1})
        assert sum(part.num_rows for _, part in endings(results, ["path"])) == n_recordings + 1
        assert list(verify_results(results)) == []
        merge_objects(results)


def test_a_recording_is_tried_in_three_runs_or_as_many_as_are_asked_for(tmp_path: Path) -> None:
    results = str(tmp_path)
    for n_tries in range(4):
        if n_tries:
            write_batch(results, f"{n_tries:016x}", [], [recording("x.wav", "timed out", n_tries)])
        done, tried = known_keys(results, WITH)
        assert tried == ({key_of("x.wav"): n_tries} if n_tries else {})
        assert (key_of("x.wav") in done.tolist()) == (n_tries == 3)
        assert key_of("x.wav") not in known_keys(results, WITH, 4)[0].tolist()
    write_batch(results, "judged", [], [recording("x.wav")])
    assert done_keys(results, WITH).tolist() == [key_of("x.wav")]


def test_what_timed_out_before_tries_were_counted_is_tried_again(tmp_path: Path) -> None:
    write_batch(str(tmp_path), "old", [], [recording("x.wav", "timed out"), recording("y.wav", "unreadable")])
    done, tried = known_keys(str(tmp_path), WITH)
    assert (done.tolist(), tried) == ([key_of("y.wav")], {key_of("x.wav"): 1})


def test_it_is_planned_apart_from_what_is_new_under_a_name_of_its_own() -> None:
    nothing = WITH.keys([], [])
    assert nothing.dtype == KEY
    tried = {key_of("001.wav"): 1, key_of("002.wav"): 2, key_of("003.wav"): 1}
    plan = plan_scoring(targets(6), nothing, WITH, tried)
    assert [([target.path for target in batch.targets], batch.n_tries) for batch in plan] == [
        (["000.wav", "004.wav", "005.wav"], 0), (["001.wav", "003.wav"], 1), (["002.wav"], 2),
    ]  # fmt: skip
    assert (plan.n_recordings, plan.n_again) == (6, 3)
    # alone in the listing: what the earlier run wrote of it is not written over
    alone = [next(iter(plan_scoring(targets(1), nothing, WITH, {key_of("000.wav"): n}))).name for n in range(3)]
    assert len(set(alone)) == 3
    names = [batch.name for batch in itertools.chain(plan, plan_scoring(targets(6), nothing, WITH))]
    assert len(set(names)) == len(names)


def test_merged_results_are_gone_on_with(tmp_path: Path) -> None:
    """A further try is not taken for one of the objects that were merged."""
    results = str(tmp_path)
    for n_tries in (1, 2):
        (batch,) = plan_scoring(targets(1), *_split(known_keys(results, WITH)))
        write_batch(results, batch.name, [], [recording("000.wav", "timed out", n_tries)])
    merge_objects(results)
    assert len(listed(results, "recordings")) == 1
    (batch,) = plan_scoring(targets(1), *_split(known_keys(results, WITH)))
    write_batch(results, batch.name, [], [recording("000.wav")])
    assert read_table(results, "recordings").column("state").to_pylist() == ["ok"]
    assert len(plan_scoring(targets(1), *_split(known_keys(results, WITH)))) == 0
    write_csv(results, "recordings")
    assert (tmp_path / "recordings.csv").read_text().count("000.wav") == 2  # path and uri of one line


def _split(known: tuple[Any, dict[bytes, int]]) -> tuple[Any, Provenance, dict[bytes, int]]:
    return known[0], WITH, known[1]


@pytest.mark.skipif(not UNREAD.exists(), reason="there is no network device to ask")
def test_a_disk_that_fails_is_one_recordings_fault_and_may_pass(tmp_path: Path, matched_bundle: str) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        UNREAD.read_bytes()
    bundle = load_bundle(matched_bundle)
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    some = [Target(str(path), str(path), 4096, "1") for path in (UNREAD, tmp_path / "closed.wav", text)]
    found = [
        (row["state"], row["reason"], row["n_tries"]) for row in (one.row for one in score_recordings(some, bundle))
    ]
    assert found[:2] == [("unreadable", "Invalid argument", 1), ("unreadable", "No such file or directory", 1)]
    assert found[2][::2] == ("unreadable", 0)
