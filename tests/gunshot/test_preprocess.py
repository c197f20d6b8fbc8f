"""One partition: every row a clip, or a state with a reason; the others unharmed."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.audio.decode import Recording
from gunshot.clips import Segment, clip_of_segment, features
from gunshot.errors import ParameterError, StorageError, StoreError
from gunshot.manifest.sources import build_manifest
from gunshot.manifest.table import manifest_of
from gunshot.preprocess.partition import PartitionOutcome, manifest_rows, preprocess_partition
from gunshot.recipe import Recipe
from gunshot.store.layout import USABLE_STATES, StoreHeader, prepare_store
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.records import missing_partitions, record_states
from gunshot.store.write import commit_store

RATES_HZ = (12_000, 16_000, 44_100)


def write_burst(path: Path, seed: int, sr: int = 12_000, duration_s: float = 0.4, onset_s: float = 0.1) -> None:
    """A burst over noise."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=round(duration_s * sr)) * 0.003
    start = round(onset_s * sr)
    y[start : start + sr // 20] += rng.normal(size=sr // 20) * 0.2
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, y, sr)


def rows_of(*uris: Path, **values: Any) -> pa.Table:
    """A manifest of files in this order, whatever is in them."""
    plain: dict[str, Any] = {
        "start_s": None, "end_s": None, "limit_s": None, "label": 1, "sound": "x", "source": "x", "group": "x",
        "device": "", "license": "", "size": 1, "etag": "1", "duration_s": 1.0, "sr": 12_000, "n_channels": 1,
        "state": "ok", "reason": "",
    }  # fmt: skip
    return manifest_of(plain | {"path": uri.name, "uri": str(uri)} | values for uri in uris)


def run(uri: Path, manifest: pa.Table, recipe: Recipe | None = None) -> tuple[FeatureStore, list[PartitionOutcome]]:
    header = prepare_store(str(uri), manifest, recipe or Recipe())
    outcomes = [preprocess_partition(header.uri, partition) for partition in header.partitions]
    commit_store(header)
    return open_store(header.uri), outcomes


def described(store: FeatureStore) -> list[dict[str, Any]]:
    names = ["state", "reason", "onset_s", "strength_db", "is_onset", "padded_s"]
    rows: list[dict[str, Any]] = store.rows.select(names).to_pylist()
    return rows


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 recordings at three rates: three partitions."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(150):
        kind = "gunshot" if number % 2 else "dog"
        write_burst(folder / kind / f"{number:03d}.wav", number, RATES_HZ[number % 3], onset_s=0.05 + number / 1000)
    return folder


@pytest.fixture(scope="module")
def finished(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return run(tmp_path_factory.mktemp("store") / "s", build_manifest([str(archive)]))[0]


def test_a_row_holds_the_clip_of_its_recording_and_the_features_of_the_clip(finished: FeatureStore) -> None:
    rows = [0, 63, 64, 100, 149]
    for row, y, log_mel in zip(rows, finished.waveforms(rows), finished.log_mels(rows), strict=True):
        with Recording(str(finished.column("uri")[row])) as recording:
            clip = clip_of_segment(recording, Segment(), finished.recipe)
        assert np.array_equal(y, clip.y)
        assert np.array_equal(log_mel, features(clip.y[np.newaxis], finished.recipe)[0])
        assert finished.column("onset_s")[row] == clip.onset_s


def test_onsets_are_those_of_the_recordings(finished: FeatureStore) -> None:
    for path, onset_s, is_onset in zip(*map(finished.column, ("path", "onset_s", "is_onset")), strict=True):
        assert is_onset
        assert onset_s == pytest.approx(0.05 + int(Path(str(path)).stem) / 1000, abs=0.01)


def test_counts_of_partitions_reconcile(archive: Path, tmp_path: Path) -> None:
    store, outcomes = run(tmp_path, build_manifest([str(archive)]))
    assert [outcome.index for outcome in outcomes] == [0, 1, 2]
    assert [outcome.n_rows for outcome in outcomes] == [64, 64, 22]
    assert all(sum(outcome.states.values()) == outcome.n_rows for outcome in outcomes)
    total = sum((Counter(outcome.states) for outcome in outcomes), Counter())
    assert dict(total) == record_states(store.header) == {"ok": 150}


def test_a_partition_again_writes_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    header = prepare_store(str(tmp_path), build_manifest([str(archive)]), Recipe())
    written = []
    for _ in range(2):
        preprocess_partition(header.uri, header.partitions[1])
        written.append({path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()})
    assert written[0] == written[1]


def test_neither_the_order_of_partitions_nor_the_rest_of_the_manifest_changes_a_row(
    archive: Path, tmp_path: Path, finished: FeatureStore
) -> None:
    # the same files as another manifest in another order, so in other partitions
    table = build_manifest([str(archive)])
    order = np.random.default_rng(0).permutation(table.num_rows)
    header = prepare_store(str(tmp_path), table.take(order), Recipe())
    for partition in header.partitions[::-1]:
        preprocess_partition(header.uri, partition)
    commit_store(header)
    shuffled = open_store(header.uri)
    everything = range(table.num_rows)
    assert np.array_equal(shuffled.waveforms(everything), finished.waveforms(order))
    assert np.array_equal(shuffled.log_mels(everything), finished.log_mels(order))
    assert described(shuffled) == [described(finished)[index] for index in order]


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Two long recordings with a burst each half second, cut into segments."""
    folder = tmp_path_factory.mktemp("segments")
    rows = []
    for name in ("a.wav", "b.wav"):
        parts = [np.random.default_rng([ord(name[0]), i]).normal(size=6000) for i in range(10)]
        y = np.concatenate([part * np.where(np.arange(6000) % 6000 > 4000, 0.2, 0.003) for part in parts])
        sf.write(folder / name, y, 12_000)
        for start_s in np.arange(0, 5, 0.5):
            limit_s = start_s + 0.5 if start_s % 1 else None
            rows += rows_of(folder / name, start_s=start_s, end_s=start_s + 0.5, limit_s=limit_s).to_pylist()
    return manifest_of(rows)


@pytest.fixture(scope="module")
def sorted_store(segments: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return run(tmp_path_factory.mktemp("s"), segments)[0]


class TestSegments:
    @settings(deadline=None, max_examples=6)
    @given(data=st.data())
    def test_rows_of_one_file_may_stand_anywhere(
        self,
        segments: pa.Table,
        sorted_store: FeatureStore,
        tmp_path_factory: pytest.TempPathFactory,
        data: st.DataObject,
    ) -> None:
        order = data.draw(st.permutations(range(segments.num_rows)))
        shuffled_store, _ = run(tmp_path_factory.mktemp("s"), segments.take(order))
        everything = range(segments.num_rows)
        assert np.array_equal(shuffled_store.waveforms(everything), sorted_store.waveforms(order))
        assert described(shuffled_store) == [described(sorted_store)[index] for index in order]
        assert {row["state"] for row in described(sorted_store)} == {"ok"}

    def test_nothing_after_the_limit_is_in_a_clip(self, sorted_store: FeatureStore) -> None:
        store = sorted_store
        limited = [i for i, limit_s in enumerate(store.column("limit_s")) if limit_s is not None]
        for row, y in zip(limited, store.waveforms(limited), strict=True):
            onset_s, limit_s = (float(store.column(name)[row]) for name in ("onset_s", "limit_s"))
            left = round((limit_s - onset_s) * 12_000) + store.recipe.lead_samples
            assert left < y.size
            assert np.any(y[:left])
            assert not np.any(y[left:])


# every kind of file that must not harm its neighbours: how it is made, and the states it may end in


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("path,label\n" * 50)


def _random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(20_000))


def _four_bytes(path: Path) -> None:
    path.write_bytes(b"RIFF")


def _header_alone(path: Path) -> None:
    write_burst(path, 0)
    path.write_bytes(path.read_bytes()[:44])


def _truncated(path: Path) -> None:
    write_burst(path, 0, duration_s=1.0)
    path.write_bytes(path.read_bytes()[:14_000])


def _truncated_flac(path: Path) -> None:
    sf.write(path, np.random.default_rng(0).normal(size=48_000) * 0.1, 12_000, format="FLAC")
    path.write_bytes(path.read_bytes()[:2_000])


def _damaged_flac(path: Path) -> None:
    sf.write(path, np.random.default_rng(0).normal(size=48_000) * 0.1, 12_000, format="FLAC")
    content = bytearray(path.read_bytes())
    content[100:] = bytes(len(content) - 100)
    path.write_bytes(content)


def _zeros(path: Path) -> None:
    sf.write(path, np.zeros(6000), 12_000)


def _not_a_number(path: Path) -> None:
    y = np.zeros(6000)
    y[3000] = np.nan
    sf.write(path, y, 12_000, subtype="FLOAT")


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def _gone(path: Path) -> None:
    assert not path.exists()


def _one_sample(path: Path) -> None:
    sf.write(path, np.full(1, 0.5), 96_000)


BAD: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "empty": (_empty, {"empty"}),
    "text": (_text, {"unreadable"}),
    "random bytes": (_random_bytes, {"unreadable"}),
    "four bytes": (_four_bytes, {"unreadable"}),
    "header alone": (_header_alone, {"empty"}),
    "truncated": (_truncated, {"short"}),
    "truncated FLAC": (_truncated_flac, {"short", "unreadable"}),
    "damaged FLAC": (_damaged_flac, {"short", "unreadable", "silent"}),
    "zeros": (_zeros, {"silent"}),
    "not a number": (_not_a_number, {"unreadable"}),
    "folder": (_folder, {"unreadable"}),
    "pipe": (_pipe, {"unreadable"}),
    "dangling": (_dangling, {"unreadable"}),
    "gone": (_gone, {"unreadable"}),
    "one sample": (_one_sample, {"ok", "silent", "empty"}),
}


@pytest.fixture(scope="module")
def mixed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureStore, dict[str, int]]:
    """A partition in which each bad file stands between two good ones."""
    folder = tmp_path_factory.mktemp("bad")
    good = sorted((archive / "dog").iterdir())
    uris: list[Path] = []
    for number, (kind, (make, _)) in enumerate(BAD.items()):
        path = folder / f"{kind}.wav"
        make(path)
        uris += [good[number], path]
    store, outcomes = run(tmp_path_factory.mktemp("store") / "s", rows_of(*uris, good[len(BAD)]))
    assert len(outcomes) == 1
    assert sum(outcomes[0].states.values()) == 2 * len(BAD) + 1
    return store, {kind: 2 * number + 1 for number, kind in enumerate(BAD)}


class TestBadFiles:
    @pytest.mark.parametrize("kind", BAD)
    def test_each_ends_as_one_row_with_its_state_and_reason(
        self, mixed: tuple[FeatureStore, dict[str, int]], kind: str
    ) -> None:
        store, places = mixed
        row = described(store)[places[kind]]
        assert row["state"] in BAD[kind][1]
        assert (row["reason"] == "") is (row["state"] == "ok")
        assert "\n" not in row["reason"]
        has_clip = row["state"] in USABLE_STATES
        assert (row["onset_s"] is not None) == has_clip
        assert np.isfinite(store.waveforms([places[kind]])).all() == has_clip
        assert np.isfinite(store.log_mels([places[kind]])).all() == has_clip

    def test_the_rows_beside_them_are_unharmed(
        self, mixed: tuple[FeatureStore, dict[str, int]], finished: FeatureStore
    ) -> None:
        store, places = mixed
        beside = [row for row in range(store.header.n_rows) if row not in places.values()]
        alone = [finished.column("uri").index(store.column("uri")[row]) for row in beside]
        assert np.array_equal(store.waveforms(beside), finished.waveforms(alone))
        assert np.array_equal(store.log_mels(beside), finished.log_mels(alone))
        assert [described(store)[row] for row in beside] == [described(finished)[row] for row in alone]

    def test_states_reconcile_with_the_rows(self, mixed: tuple[FeatureStore, dict[str, int]]) -> None:
        store, _ = mixed
        assert record_states(store.header) == dict(sorted(Counter(store.column("state")).items()))

    def test_a_partition_of_nothing_but_bad_files_is_written(self, tmp_path: Path) -> None:
        store, outcomes = run(tmp_path / "s", rows_of(*(tmp_path / f"{n}.wav" for n in range(5))))
        assert outcomes[0].states == {"unreadable": 5}
        assert store.usable.size == 0
        assert np.isnan(store.waveforms(range(5))).all()

    def test_what_the_manifest_found_unusable_is_not_opened_again(self, tmp_path: Path) -> None:
        write_burst(tmp_path / "a.wav", 0)
        store, _ = run(tmp_path / "s", rows_of(tmp_path / "a.wav", state="empty", reason="as the manifest says"))
        assert [(row["state"], row["reason"]) for row in described(store)] == [("empty", "as the manifest says")]
        assert np.isnan(store.waveforms([0])).all()

    def test_a_segment_behind_the_end_is_a_row_of_its_own(self, tmp_path: Path) -> None:
        write_burst(tmp_path / "a.wav", 0)
        table = manifest_of(
            rows_of(tmp_path / "a.wav", start_s=start_s, end_s=start_s + 0.2).to_pylist()[0] for start_s in (0.0, 9.0)
        )
        store, _ = run(tmp_path / "s", table)
        assert store.column("state") == ["ok", "empty"]
        assert "begins at 9 s" in str(store.column("reason")[1])


def test_only_rows_that_hold_a_clip_are_usable(tmp_path: Path) -> None:
    # a segment behind the end is too short for a clip, and yet not a short clip
    write_burst(tmp_path / "a.wav", 0)
    store, _ = run(tmp_path / "s", rows_of(tmp_path / "a.wav", start_s=9.0, end_s=9.5))
    assert np.isfinite(store.waveforms(store.usable)).all()


def test_a_store_made_again_in_the_same_place_has_the_new_rows(archive: Path, tmp_path: Path) -> None:
    # a worker lives longer than a store, and must not remember the manifest of the one that was removed
    place = tmp_path / "s"
    tables = [build_manifest([str(archive / kind)]) for kind in ("dog", "gunshot")]
    assert tables[0].num_rows == tables[1].num_rows
    for table in tables:
        shutil.rmtree(place, ignore_errors=True)
        header = prepare_store(str(place), table, Recipe())
        for partition in header.partitions:
            assert manifest_rows(header, partition) == table.slice(partition.start, partition.n_rows).to_pylist()


def test_another_recipe_makes_other_clips(archive: Path, tmp_path: Path) -> None:
    recipe = Recipe(sr_hz=16_000)
    table = build_manifest([str(archive / "dog" / "000.wav")])
    store, _ = run(tmp_path, table, recipe)
    assert store.waveforms([0]).shape == (1, recipe.n_samples) == (1, 8000)
    assert store.log_mels([0]).shape == (1, *recipe.mel_shape)


class TestOurOwnFaults:
    def test_without_a_store_it_says_so(self, tmp_path: Path) -> None:
        header = StoreHeader(str(tmp_path), Recipe(), "", 3, 64)
        with pytest.raises(StoreError, match="no feature store at"):
            preprocess_partition(header.uri, header.partitions[0])

    def test_a_store_that_cannot_be_written_is_an_error_and_leaves_the_partition_missing(
        self, archive: Path, tmp_path: Path
    ) -> None:
        header = prepare_store(str(tmp_path), build_manifest([str(archive / "dog")]), Recipe())
        (tmp_path / "waveform" / "c").write_text("a file where a folder must be")
        with pytest.raises(StorageError, match="cannot write"):
            preprocess_partition(header.uri, header.partitions[0])
        assert missing_partitions(header) == header.partitions

    def test_a_bug_is_not_taken_for_a_bad_file(
        self, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def wrong(*_: object) -> None:
            raise ParameterError("a bug of ours")

        monkeypatch.setattr("gunshot.preprocess.rows.clip_of_segment", wrong)
        header = prepare_store(str(tmp_path), build_manifest([str(archive / "dog" / "000.wav")]), Recipe())
        with pytest.raises(ParameterError, match="a bug of ours"):
            preprocess_partition(header.uri, header.partitions[0])
