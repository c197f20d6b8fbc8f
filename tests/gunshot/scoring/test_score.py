"""Scoring: recordings to rows and detections, batch by batch, once."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.audio.decode import Recording
from gunshot.errors import BundleError, ManifestError
from gunshot.evaluation.calibration import Calibration
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.models.copies import copy_bundle
from gunshot.recipe import Recipe
from gunshot.scoring.gate import stream_candidates
from gunshot.scoring.keys import KEY, Keys, Provenance
from gunshot.scoring.plan import ScoringBatch, plan_scoring
from gunshot.scoring.recording import score_recording
from gunshot.scoring.results import done_keys, read_table, write_csv
from gunshot.scoring.score import score_batch
from gunshot.scoring.targets import Target, Targets, list_targets
from gunshot.store.read import open_store

Row = dict[str, Any]
Write = Callable[..., Path]

SHOTS_S = [2.0, 5.00001, 5.6, 11.2345]  # the middle two are less than a second apart: one burst
OTHERS_S = [8.0, 14.1]


@pytest.fixture(scope="module")
def matched(matched_bundle: str) -> Bundle:
    return load_bundle(matched_bundle)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, write_recording: Write) -> Path:
    """Twenty seconds with four shots and two other sounds, named by the time at which it began."""
    path = tmp_path_factory.mktemp("planted") / "SITE_20261122_180000.wav"
    return write_recording(path, 20, SHOTS_S, OTHERS_S)


def target(path: Path) -> Target:
    (found,) = list_targets([str(path)])
    return found


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(inputs: list[Path], bundle_uri: str, results: Path) -> int:
    """What the flow does without an orchestrator: how many recordings were scored."""
    bundle = load_bundle(bundle_uri)
    provenance = Provenance(bundle.digest, bundle.recipe.digest)
    listed = list_targets([str(uri) for uri in inputs])
    plan = plan_scoring(listed, done_keys(str(results), provenance), provenance)
    for batch in plan:
        score_batch(bundle_uri, bundle.digest, str(results), batch)
    return plan.n_recordings


class TestRecording:
    def test_planted_shots_are_found_and_nothing_else(self, planted: Path, matched: Bundle) -> None:
        row, detections = score_recording(target(planted), matched)
        shots = [time_s for found in detections for time_s in found["shots_s"]]
        assert shots == pytest.approx(SHOTS_S, abs=1 / 12_000)
        assert [found["n_shots"] for found in detections] == [1, 2, 1]
        assert [found["start_s"] for found in detections] == pytest.approx([2.0, 5.0, 11.2345], abs=1e-3)
        # a detection ends with its last clip: 0.45 s after the last onset
        assert [found["end_s"] for found in detections] == pytest.approx([2.45, 6.05, 11.6845], abs=1e-3)
        assert all(found["score"] > 0.99 for found in detections)
        assert (row["state"], row["reason"]) == ("ok", "")
        assert row["n_detections"] == 3
        assert row["n_candidates"] >= len(SHOTS_S) + len(OTHERS_S)

    def test_a_row_says_what_was_read_and_with_what(self, planted: Path, matched: Bundle) -> None:
        row, detections = score_recording(target(planted), matched)
        assert (row["sr"], row["n_channels"], row["duration_s"], row["read_s"]) == (12_000, 1, 20.0, 20.0)
        assert row["size"] == planted.stat().st_size
        for found in (row, *detections):
            assert (found["path"], found["uri"]) == (planted.name, str(planted))
            assert (found["model"], found["model_digest"]) == ("logistic", matched.digest)
            assert (found["recipe_digest"], found["threshold"]) == (matched.recipe.digest, 0.5)

    def test_a_detection_has_the_probability_of_its_best_clip(self, planted: Path, matched: Bundle) -> None:
        _, plain = score_recording(target(planted), matched)
        assert [found["probability"] for found in plain] == [found["score"] for found in plain]
        curve = replace(Calibration.none(), method="platt", slope=0.5, intercept=-1.0, prior=0.5)
        _, detections = score_recording(target(planted), replace(matched, calibration=curve))
        scores = [found["score"] for found in detections]
        assert scores == [found["score"] for found in plain]
        assert [found["probability"] for found in detections] == curve.probability(scores).tolist()
        assert all(found["probability"] < found["score"] for found in detections)

    def test_detections_have_the_time_of_the_recording(self, planted: Path, matched: Bundle) -> None:
        row, detections = score_recording(target(planted), matched)
        begins = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
        assert row["start_utc"] == begins
        for found in detections:
            assert found["start_utc"] == begins + timedelta(seconds=found["start_s"])
            assert found["time_source"] == "file name, taken as UTC"

    def test_a_recording_without_a_time_has_none(self, planted: Path, matched: Bundle, tmp_path: Path) -> None:
        copy = Path(shutil.copy(planted, tmp_path / "night.wav"))
        row, detections = score_recording(target(copy), matched)
        assert row["start_utc"] is None
        assert {found["start_utc"] for found in detections} == {None}
        assert {found["time_source"] for found in detections} == {"not known"}

    def test_raising_the_threshold_never_adds_a_shot(self, planted: Path, matched: Bundle) -> None:
        counts = []
        for threshold in (0.0, 0.3, 0.999, 1.0):
            bundle = replace(matched, operating_point=replace(matched.operating_point, threshold=threshold))
            row, detections = score_recording(target(planted), bundle)
            assert all(found["score"] >= threshold for found in detections)
            counts.append(sum(found["n_shots"] for found in detections))
            assert row["n_candidates"] >= counts[-1]
        assert counts == sorted(counts, reverse=True)
        assert counts[0] > len(SHOTS_S) > counts[-1]

    @settings(deadline=None, max_examples=8)
    @given(block_s=st.floats(0.05, 25))
    def test_the_size_of_blocks_changes_nothing(self, planted: Path, matched: Bundle, block_s: float) -> None:
        expected = score_recording(target(planted), matched)
        assert score_recording(target(planted), matched, block_s=block_s) == expected

    @pytest.mark.parametrize("block_s", [0.11, 1.0, 7.0])
    def test_nor_for_recordings_that_cannot_be_used_whole(self, broken: Path, matched: Bundle, block_s: float) -> None:
        for path in sorted(broken.iterdir()):
            expected = score_recording(target(path), matched)
            assert score_recording(target(path), matched, block_s=block_s) == expected

    def test_channels_are_mixed(self, planted: Path, matched: Bundle, tmp_path: Path) -> None:
        y, sr = sf.read(planted)
        sf.write(tmp_path / "stereo.wav", np.stack([y, y], axis=1), sr)
        row, detections = score_recording(target(tmp_path / "stereo.wav"), matched)
        _, expected = score_recording(target(planted), matched)
        assert row["n_channels"] == 2
        assert [found["start_s"] for found in detections] == [found["start_s"] for found in expected]

    def test_a_shot_at_either_end_is_found(self, matched: Bundle, tmp_path: Path, write_recording: Write) -> None:
        path = write_recording(tmp_path / "ends.wav", 4.0, [0.0, 3.7])
        _, detections = score_recording(target(path), matched)
        assert [found["start_s"] for found in detections] == pytest.approx([0.0, 3.7], abs=1e-3)


BROKEN = {
    "cut.flac": ("short", r"breaks off after 4\.\d+ s"),
    "cut.wav": ("short", r"truncated: \d+ bytes fewer"),
    "empty.wav": ("empty", "0 bytes"),
    "header.wav": ("empty", "no samples"),
    "nan.wav": ("unreadable", "not finite"),
    "nan-late.wav": ("unreadable", "not finite"),
    "silent.wav": ("silent", "only digital zeros"),
    "words.wav": ("unreadable", "no decoder takes it"),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, write_recording: Write) -> Path:
    """One file for each way in which a recording fails, with shots at 2 s and 8 s where there can be any."""
    folder = tmp_path_factory.mktemp("broken")
    for name in ("cut.wav", "cut.flac"):
        path = write_recording(folder / name, 10, [2, 8])
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "empty.wav").touch()
    sf.write(folder / "header.wav", np.zeros(0), 12_000)
    for name, where in (("nan.wav", 30_000), ("nan-late.wav", 119_999)):
        y, _ = sf.read(write_recording(folder / name, 10, [2]))
        y[where] = np.nan
        sf.write(folder / name, y, 12_000, subtype="FLOAT")
    sf.write(folder / "silent.wav", np.zeros(60_000), 12_000)
    (folder / "words.wav").write_text("these are no samples " * 40)
    return folder


class TestFailures:
    @pytest.mark.parametrize("name", list(BROKEN))
    def test_each_is_a_row_with_its_state_and_reason(self, broken: Path, matched: Bundle, name: str) -> None:
        import re

        row, detections = score_recording(target(broken / name), matched)
        state, reason = BROKEN[name]
        assert row["state"] == state
        assert re.search(reason, row["reason"])
        assert "\n" not in row["reason"]
        if state == "short":  # scored as far as it goes
            assert [found["start_s"] for found in detections] == pytest.approx([2.0], abs=1e-3)
            assert 4 < row["read_s"] <= 5
        else:
            assert detections == []
            assert (row["n_candidates"], row["n_detections"]) == (0, 0)
        if state in {"empty", "unreadable"}:
            assert row["read_s"] == 0

    def test_a_file_that_is_gone_is_a_row(self, matched: Bundle, tmp_path: Path) -> None:
        row, _ = score_recording(Target("a.wav", str(tmp_path / "a.wav"), 10, "1"), matched)
        assert row["state"] == "unreadable"
        assert "No such file" in row["reason"]

    def test_they_harm_no_other(
        self, broken: Path, planted: Path, matched_bundle: str, matched: Bundle, tmp_path: Path
    ) -> None:
        audio = Path(shutil.copytree(broken, tmp_path / "audio"))
        copy = shutil.copy(planted, audio)
        assert run([audio], matched_bundle, tmp_path / "results") == len(BROKEN) + 1
        table = read_table(str(tmp_path / "results"), "recordings").to_pylist()
        states = {row["path"]: row["state"] for row in table}
        assert states == {name: state for name, (state, _) in BROKEN.items()} | {planted.name: "ok"}
        expected = [found["start_s"] for found in score_recording(target(planted), matched)[1]]
        detections = read_table(str(tmp_path / "results"), "detections").to_pylist()
        assert [row["start_s"] for row in detections if row["uri"] == str(copy)] == expected


class TestTargets:
    def test_each_recording_is_there_once_in_order(self, tmp_path: Path, write_recording: Write) -> None:
        for name in ("b.wav", "sub/a.FLAC", "c.wav"):
            write_recording(tmp_path / name, 0.1, format="FLAC" if name.endswith("FLAC") else "WAV")
        (tmp_path / "notes.txt").write_text("x")
        (tmp_path / ".hidden.wav").write_text("x")
        inputs = [str(tmp_path), str(tmp_path / "c.wav"), str(tmp_path / "*.wav")]
        targets = list_targets(inputs)
        assert [item.path for item in targets] == ["b.wav", "c.wav", "sub/a.FLAC"]
        assert [item.uri for item in targets] == sorted({item.uri for item in targets})
        assert [item.size for item in targets] == [Path(item.uri).stat().st_size for item in targets]

    def test_what_is_not_there_is_the_users_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="does not exist; check the address"):
            list_targets([str(tmp_path / "nothing")])

    def test_a_folder_without_audio_is_the_users_mistake(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(ManifestError, match=r"no audio in .*\.wav \.flac.*check the address"):
            list_targets([str(tmp_path)])

    def test_one_file_by_several_names_is_one_recording(
        self, tmp_path: Path, write_recording: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_recording(tmp_path / "audio" / "a.wav", 0.1)
        monkeypatch.chdir(tmp_path)
        assert len(list_targets(["audio", str(tmp_path / "audio"), "audio/a.wav", "./audio", "audio/*.wav"])) == 1

    def test_what_may_still_be_written_is_left_and_counted(self, tmp_path: Path, write_recording: Write) -> None:
        ages_s = {"new": 5, "old": 300, "of a wrong clock": -300}
        for name, age_s in ages_s.items():
            path = write_recording(tmp_path / f"{name}.wav", 0.1)
            os.utime(path, (time.time() - age_s,) * 2)
        targets = list_targets([str(tmp_path)], settle_s=60)
        assert ([item.path for item in targets], targets.n_left) == (["of a wrong clock.wav", "old.wav"], 1)
        assert len(list_targets([str(tmp_path)])) == 3

    @settings(deadline=None)
    @given(names=st.lists(st.text(min_size=1), max_size=30), rows=st.lists(st.integers(0, 29), max_size=9))
    def test_columns_are_the_targets(self, names: list[str], rows: list[int]) -> None:
        names = [name.encode("utf-8", "replace").decode() for name in names]
        plain = [Target(name, f"/a/{name}", number, str(number)) for number, name in enumerate(names)]
        targets = Targets.of(plain)
        assert list(targets) == plain
        assert targets[: len(plain) // 2] == tuple(plain[: len(plain) // 2])
        rows = [row for row in rows if row < len(plain)]
        assert targets.take(np.array(rows, dtype=np.int64)) == tuple(plain[row] for row in rows)


def some_targets(n: int, size: int = 1000) -> list[Target]:
    return [Target(f"{i:03d}.wav", f"/a/{i:03d}.wav", size, "1") for i in range(n)]


WITH = Provenance("m", "r")
NONE_DONE = np.empty(0, dtype=KEY)


def planned(targets: Iterable[Target], done: Keys = NONE_DONE, provenance: Provenance = WITH) -> list[ScoringBatch]:
    return list(plan_scoring(Targets.of(targets), done, provenance))


def keys_of(targets: list[Target], provenance: Provenance = WITH) -> Keys:
    return np.sort(provenance.keys([item.uri for item in targets], [item.etag for item in targets]))


class TestPlan:
    @settings(deadline=None)
    @given(
        sizes=st.lists(st.integers(0, 400 * 2**20), max_size=150),
        done=st.sets(st.integers(0, 149)),
    )
    def test_batches_tile_what_is_not_done(self, sizes: list[int], done: set[int]) -> None:
        targets = [replace(item, size=size) for item, size in zip(some_targets(len(sizes)), sizes, strict=True)]
        is_done = [targets[number] for number in done if number < len(targets)]
        plan = plan_scoring(Targets.of(targets), keys_of(is_done), WITH)
        batches = list(plan)
        open_ = [item for item in targets if item not in is_done]
        assert sorted(item.path for batch in batches for item in batch.targets) == [item.path for item in open_]
        assert (plan.n_recordings, len(plan)) == (len(open_), len(batches))
        assert batches == list(plan)
        for batch in batches:
            assert 1 <= len(batch.targets) <= 64
            assert len(batch.targets) == 1 or sum(item.size for item in batch.targets) <= 256 * 2**20
            assert [item.path for item in batch.targets] == sorted(item.path for item in batch.targets)
        assert len({batch.name for batch in batches}) == len(batches)

    @settings(deadline=None)
    @given(sizes=st.lists(st.integers(0, 400 * 2**20), min_size=1, max_size=150), data=st.data())
    def test_after_a_kill_the_other_batches_are_what_they_were(self, sizes: list[int], data: st.DataObject) -> None:
        targets = [replace(item, size=size) for item, size in zip(some_targets(len(sizes)), sizes, strict=True)]
        batches = planned(targets)
        is_done = data.draw(st.lists(st.booleans(), min_size=len(batches), max_size=len(batches)))
        done = [item for batch, ended in zip(batches, is_done, strict=True) if ended for item in batch.targets]
        left = [batch for batch, ended in zip(batches, is_done, strict=True) if not ended]
        assert planned(targets, keys_of(done)) == left

    def test_what_is_new_here_and_there_is_put_together(self) -> None:
        targets = some_targets(640)
        done = [item for number, item in enumerate(targets) if number % 64]
        (batch,) = planned(targets, keys_of(done))
        assert [item.path for item in batch.targets] == [f"{number:03d}.wav" for number in range(0, 640, 64)]

    def test_names_follow_from_content_model_and_rule_alone(self) -> None:
        targets = some_targets(70)
        plan = planned(targets)
        assert plan == planned(list(targets))
        assert [len(batch.targets) for batch in plan] == [64, 6]
        changes = [
            ([replace(targets[0], etag="2"), *targets[1:]], WITH),
            ([replace(targets[0], uri="/b/000.wav"), *targets[1:]], WITH),
            (targets, replace(WITH, model_digest="n")),
            (targets, replace(WITH, recipe_digest="s")),
            (targets, replace(WITH, rule="channels=each")),
        ]
        for items, provenance in changes:
            assert planned(items, provenance=provenance)[0].name != plan[0].name

    @pytest.mark.parametrize(
        "change", [{"model_digest": "n"}, {"recipe_digest": "s"}, {"rule": "floor=0.1"}, {"model_digest": "mr"}]
    )
    def test_done_for_another_model_recipe_or_rule_is_not_done(self, change: dict[str, str]) -> None:
        items = some_targets(1)
        assert planned(items, keys_of(items)) == []
        assert len(planned(items, keys_of(items, replace(WITH, **change)))) == 1

    def test_done_with_other_content_is_not_done(self) -> None:
        (item,) = some_targets(1)
        assert len(planned([item], keys_of([replace(item, etag="2")]))) == 1


@pytest.fixture
def archive(tmp_path: Path, write_recording: Write) -> Path:
    """Three recordings of one's own, with 2, 1 and 0 shots."""
    for index, shots in enumerate(([1.0, 4.0], [2.5], [])):
        write_recording(tmp_path / "audio" / f"{index}.wav", 6, shots, [5.2], seed=index)
    return tmp_path / "audio"


class TestLedger:
    def test_totals_reconcile(self, archive: Path, broken: Path, matched_bundle: str, tmp_path: Path) -> None:
        results = tmp_path / "results"
        listed = list_targets([str(archive), str(broken)])
        bundle = load_bundle(matched_bundle)
        batch = ScoringBatch("all", tuple(listed))
        outcome = score_batch(matched_bundle, bundle.digest, str(results), batch)
        recordings = read_table(str(results), "recordings").to_pylist()
        detections = read_table(str(results), "detections").to_pylist()
        assert [row["uri"] for row in recordings] == [t.uri for t in sorted(listed, key=lambda t: (t.path, t.uri))]
        assert sum(outcome.states.values()) == len(listed) == len(recordings)
        assert outcome.states == dict(Counter(row["state"] for row in recordings))
        assert outcome.n_detections == len(detections) == sum(row["n_detections"] for row in recordings)
        assert outcome.n_candidates == sum(row["n_candidates"] for row in recordings)
        assert outcome.read_s == pytest.approx(sum(row["read_s"] for row in recordings))
        by_uri = Counter(row["uri"] for row in detections)
        assert all(by_uri[row["uri"]] == row["n_detections"] for row in recordings)

    def test_a_second_run_scores_nothing_and_changes_no_byte(
        self, archive: Path, matched_bundle: str, tmp_path: Path
    ) -> None:
        results = tmp_path / "results"
        assert run([archive], matched_bundle, results) == 3
        before = everything(results)
        assert run([archive], matched_bundle, results) == 0
        assert everything(results) == before

    def test_another_operating_point_is_another_model_beside_the_first(
        self, archive: Path, matched_bundle: str, operating_point: Callable[[float], OperatingPoint], tmp_path: Path
    ) -> None:
        strict = replace(operating_point(0.75), name="strict")
        bundle = copy_bundle(load_bundle(matched_bundle), str(tmp_path / "m"), strict)
        results = str(tmp_path / "results")
        thresholds = {}
        for name in ("strict", "by hand"):
            chosen = load_bundle(bundle.uri, name)
            with_ = Provenance(chosen.digest, chosen.recipe.digest)
            (batch,) = plan_scoring(list_targets([str(archive)]), done_keys(results, with_), with_)
            score_batch(bundle.uri, chosen.digest, results, batch, operating_point=name)
            thresholds[chosen.digest] = chosen.operating_point.threshold
        assert sorted(thresholds.values()) == [0.5, 0.75]
        for kind in ("recordings", "detections"):
            rows = read_table(results, kind).to_pylist()
            assert {row["model_digest"]: row["threshold"] for row in rows} == thresholds
        assert read_table(results, "recordings").num_rows == 6

    def test_the_same_batch_again_overwrites_itself(self, archive: Path, matched_bundle: str, tmp_path: Path) -> None:
        digest = load_bundle(matched_bundle).digest
        batch = ScoringBatch("one", tuple(list_targets([str(archive)])))
        contents = []
        for _ in range(2):
            score_batch(matched_bundle, digest, str(tmp_path / "results"), batch)
            contents.append(everything(tmp_path / "results"))
        assert contents[0] == contents[1]

    def test_a_new_recording_alone_is_scored(
        self, archive: Path, matched_bundle: str, tmp_path: Path, write_recording: Write
    ) -> None:
        results = tmp_path / "results"
        run([archive], matched_bundle, results)
        before = everything(results)
        write_recording(archive / "new.wav", 5, [3.0])
        assert run([archive], matched_bundle, results) == 1
        after = everything(results)
        assert before.items() <= after.items()
        assert len(after) == len(before) + 2
        paths = read_table(str(results), "recordings").column("path").to_pylist()
        assert paths == ["0.wav", "1.wav", "2.wav", "new.wav"]

    def test_a_changed_recording_is_scored_again(
        self, archive: Path, matched_bundle: str, tmp_path: Path, write_recording: Write
    ) -> None:
        results = tmp_path / "results"
        run([archive], matched_bundle, results)
        write_recording(archive / "2.wav", 7, [1.5, 4.5], seed=9)
        (changed,) = list_targets([str(archive / "2.wav")])
        assert run([archive], matched_bundle, results) == 1
        rows = [row for row in read_table(str(results), "recordings").to_pylist() if row["path"] == "2.wav"]
        assert {row["etag"]: row["n_detections"] for row in rows}[changed.etag] == 2
        assert len({row["etag"] for row in rows}) == len(rows) == 2
        assert run([archive], matched_bundle, results) == 0

    def test_another_model_gives_its_rows_beside_the_old_ones(
        self, archive: Path, matched_bundle: str, logistic_bundle: str, tmp_path: Path
    ) -> None:
        results = tmp_path / "results"
        run([archive], matched_bundle, results)
        before = everything(results)
        assert run([archive], logistic_bundle, results) == 3
        assert before.items() <= everything(results).items()
        digests = read_table(str(results), "recordings").column("model_digest").to_pylist()
        expected = {load_bundle(uri).digest: 3 for uri in (matched_bundle, logistic_bundle)}
        assert Counter(digests) == expected
        assert run([archive], matched_bundle, results) == run([archive], logistic_bundle, results) == 0

    def test_a_run_killed_between_the_two_writes_is_made_good(
        self, archive: Path, matched_bundle: str, tmp_path: Path
    ) -> None:
        results = tmp_path / "results"
        run([archive], matched_bundle, results)
        write_csv(str(results), "detections")
        whole = everything(results)
        (ledger,) = (results / "recordings").iterdir()
        ledger.unlink()
        assert read_table(str(results), "detections").num_rows == 0
        assert run([archive], matched_bundle, results) == 3
        write_csv(str(results), "detections")
        assert everything(results) == whole

    def test_a_killed_run_and_a_grown_archive_count_nothing_twice(
        self, archive: Path, matched_bundle: str, tmp_path: Path, write_recording: Write
    ) -> None:
        """The rerun's batch holds another recording, so it has another name; the orphan stays unseen."""
        results = tmp_path / "results"
        run([archive], matched_bundle, results)
        (ledger,) = (results / "recordings").iterdir()
        ledger.unlink()
        write_recording(archive / "new.wav", 5, [3.0])
        assert run([archive], matched_bundle, results) == 4
        table = read_table(str(results), "detections")
        assert Counter(table.column("path").to_pylist()) == {"0.wav": 2, "1.wav": 1, "new.wav": 1}

    @pytest.mark.parametrize(
        ("change", "state"),
        [
            (lambda path: path.unlink(), "gone"),
            (lambda path: path.write_bytes(path.read_bytes() + bytes(100)), "changed"),
            (lambda path: os.truncate(path, 20_000), "changed"),
            (lambda path: os.utime(path, (1, 1)), "changed"),
        ],
    )
    def test_what_is_not_what_was_listed_is_told_and_scored_by_the_next_run(
        self, archive: Path, matched_bundle: str, tmp_path: Path, change: Callable[[Path], object], state: str
    ) -> None:
        results, bundle = tmp_path / "results", load_bundle(matched_bundle)
        with_ = Provenance(bundle.digest, bundle.recipe.digest)
        plan = plan_scoring(list_targets([str(archive)]), done_keys(str(results), with_), with_)
        (batch,) = plan
        held = (archive / "0.wav").read_bytes(), (archive / "0.wav").stat()
        change(archive / "0.wav")
        outcome = score_batch(matched_bundle, bundle.digest, str(results), batch)
        assert outcome.states == {"ok": 2, state: 1}
        rows = {row["path"]: row for row in read_table(str(results), "recordings").to_pylist()}
        assert (rows["0.wav"]["state"], rows["0.wav"]["read_s"], rows["0.wav"]["n_detections"]) == (state, 0.0, 0)
        assert "0.wav" not in read_table(str(results), "detections").column("path").to_pylist()
        # it comes back as it was listed: it is scored, and shown once
        (archive / "0.wav").write_bytes(held[0])
        os.utime(archive / "0.wav", ns=(held[1].st_atime_ns, held[1].st_mtime_ns))
        assert run([archive], matched_bundle, results) == 1
        states = read_table(str(results), "recordings").select(["path", "state"]).to_pylist()
        assert [(row["path"], row["state"]) for row in states] == [(f"{number}.wav", "ok") for number in range(3)]
        assert run([archive], matched_bundle, results) == 0

    def test_a_batch_that_is_done_is_not_done_again(self, archive: Path, matched_bundle: str, tmp_path: Path) -> None:
        """Dask runs a unit again whose worker died after its end."""
        digest = load_bundle(matched_bundle).digest
        batch = ScoringBatch("one", tuple(list_targets([str(archive)])))
        first = score_batch(matched_bundle, digest, str(tmp_path / "results"), batch, run_id="first")
        shutil.rmtree(archive)
        again = score_batch(matched_bundle, digest, str(tmp_path / "results"), batch, run_id="second")
        assert replace(again, elapsed_s=first.elapsed_s) == first

    def test_a_bundle_that_is_gone_is_an_error_and_writes_nothing(self, archive: Path, tmp_path: Path) -> None:
        with pytest.raises(BundleError):
            score_batch(
                str(tmp_path / "no"),
                "0" * 16,
                str(tmp_path / "r"),
                ScoringBatch("b", tuple(list_targets([str(archive)]))),
            )
        assert not (tmp_path / "r").exists()

    def test_a_bundle_trained_anew_is_not_taken_for_the_old_one(
        self, archive: Path, matched_bundle: str, logistic_bundle: str, tmp_path: Path
    ) -> None:
        """A worker holds one model; the digest it was asked for decides."""
        place = tmp_path / "model"
        shutil.copytree(matched_bundle, place)
        assert run([archive], str(place), tmp_path / "results") == 3
        shutil.rmtree(place)
        shutil.copytree(logistic_bundle, place)
        assert run([archive], str(place), tmp_path / "results") == 3
        digests = set(read_table(str(tmp_path / "results"), "recordings").column("model_digest").to_pylist())
        assert digests == {load_bundle(matched_bundle).digest, load_bundle(logistic_bundle).digest}


class TestSameClips:
    """What is scored is cut by the code that cut the training rows, so a sound has one score wherever it is met."""

    MODELS = ("logistic_bundle", pytest.param("cnn_bundle", marks=pytest.mark.xdist_group("networks")))

    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("sr", [12_000, 44_100])
    def test_a_segment_of_the_recording(
        self, model: str, sr: int, request: pytest.FixtureRequest, tmp_path: Path, preprocessed: Callable[..., str]
    ) -> None:
        bundle = load_bundle(request.getfixturevalue(model))
        rng = np.random.default_rng(sr)
        y = rng.standard_normal(40 * sr) * 1e-3
        times_s = [3.1, 9.73, 17.005, 31.4, 38.9]
        for time_s in times_s:
            n = sr // 3
            first = round(time_s * sr)
            y[first : first + n] += rng.standard_normal(n) * np.exp(-np.arange(n) / sr / 0.05) * 0.3
        sf.write(tmp_path / "long.wav", y, sr, subtype="FLOAT")
        lines = [f"long.wav,{time_s - 0.3},{time_s + 0.5},1" for time_s in times_s]
        (tmp_path / "labels.csv").write_text("\n".join(["path,start_s,end_s,label", *lines]))
        store = open_store(preprocessed([tmp_path], tmp_path / "s"))
        inputs = store.waveforms(store.usable) if bundle.input == "waveform" else store.log_mels(store.usable)
        found = candidates_of(tmp_path / "long.wav", bundle)
        for onset_s, score in zip(store.column("onset_s"), bundle.score_inputs(inputs), strict=True):
            nearest = min(found, key=lambda time_s: abs(time_s - float(str(onset_s))))
            assert nearest == pytest.approx(onset_s, abs=1e-9)
            assert found[nearest] == pytest.approx(float(score), abs=1e-4)

    @pytest.mark.parametrize("model", MODELS)
    def test_a_clip_of_the_corpus_planted_in_a_recording(
        self, model: str, request: pytest.FixtureRequest, small_store: str, tmp_path: Path
    ) -> None:
        bundle, store = load_bundle(request.getfixturevalue(model)), open_store(small_store)
        recipe = Recipe()
        rows = store.rows.to_pylist()
        # whole clips at the recipe's own rate, begun before their sound and not cut short
        chosen = [
            number for number, row in enumerate(rows)
            if row["sr"] == recipe.sr_hz and row["onset_s"] > 0.2 and row["is_onset"] and not row["padded_s"]
        ][:12]  # fmt: skip
        assert len(chosen) >= 6
        hop, y, begins = recipe.onset.hop_length, [], []
        for number in chosen:
            clip, _ = sf.read(rows[number]["uri"], dtype="float32")
            begins.append(sum(map(len, y)) / recipe.sr_hz)
            y += [clip, np.zeros(-len(clip) % hop + 200 * hop, dtype=np.float32)]
        sf.write(tmp_path / "long.wav", np.concatenate(y), recipe.sr_hz, subtype="FLOAT")
        found = candidates_of(tmp_path / "long.wav", bundle)
        inputs = store.waveforms(chosen) if bundle.input == "waveform" else store.log_mels(chosen)
        for number, begin_s, score in zip(chosen, begins, bundle.score_inputs(inputs), strict=True):
            onset_s = begin_s + rows[number]["onset_s"]
            nearest = min(found, key=lambda time_s: abs(time_s - onset_s))
            assert nearest == pytest.approx(onset_s, abs=1e-6)
            assert found[nearest] == pytest.approx(float(score), abs=1e-4)


def candidates_of(path: Path, bundle: Bundle) -> dict[float, float]:
    """Score of every candidate of a recording by its onset [s], taken in small blocks."""
    found: dict[float, float] = {}
    with Recording(str(path)) as recording:
        for candidates in stream_candidates(recording, bundle.recipe, block_s=1.7):
            scores = bundle.score(candidates.waveforms)
            found |= dict(zip(candidates.onset_s.tolist(), scores.tolist(), strict=True))
    return found
