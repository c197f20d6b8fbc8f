"""Files that kill or hang their decoder are set aside, and harm nothing beside them.

The decoder itself is made to fail, in every process that is started meanwhile: `sitecustomize` is read by each Python.
FLAC hangs as long as there is a file ``slow``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from flows.cluster import open_cluster
from gunshot.manifest.sources import build_manifest
from gunshot.models.bundle import load_bundle
from gunshot.preprocess.apart import clips_apart
from gunshot.preprocess.partition import preprocess_partition
from gunshot.preprocess.rows import clips_of_rows
from gunshot.recipe import Recipe
from gunshot.scoring.keys import Provenance
from gunshot.scoring.plan import plan_scoring
from gunshot.scoring.results import done_keys, read_table
from gunshot.scoring.results.checks import results_info, verify_results
from gunshot.scoring.results.merging import merge_objects
from gunshot.scoring.score import score_batch
from gunshot.scoring.targets import list_targets
from gunshot.store.layout import StoreHeader, prepare_store
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.records import missing_partitions
from gunshot.store.write import commit_store
from tasks.preprocess import preprocess_partitions
from tests.s3.runs import save_model, score, write_archive

N_GOOD = 100  # with the bad ones two partitions
LIMIT_S = 15.0  # as short as it can be where good files are to keep it on a machine that is busy
DEATH = "the process that decoded it died 2 times ({}): set aside"
DECODER = r"""
import os, signal
import soundfile

class Decoder(soundfile.SoundFile):
    def __init__(self, file, *rest, **more):
        if isinstance(file, int):
            magic = os.pread(file, 4, 0)
        else:
            file.seek(0)
            magic = file.read(4)
            file.seek(0)
        if magic == b"KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        if magic == b"SEGV":
            os.kill(os.getpid(), signal.SIGSEGV)
        while magic == b"HANG" or (magic == b"fLaC" and os.path.exists(os.environ["SLOW_DISK"])):
            pass
        super().__init__(file, *rest, **more)

soundfile.SoundFile = Decoder
"""


@pytest.fixture
def bad_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DECODER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("SLOW_DISK", str(tmp_path / "slow"))


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    folder = tmp_path / "audio"
    folder.mkdir()
    for number in range(N_GOOD):
        y = np.random.default_rng(number).normal(size=5000) * 0.003
        y[1500:2000] *= 40
        sf.write(folder / f"{number:03d}.wav", y, 12_000)
    return folder


def finished(header: StoreHeader) -> FeatureStore:
    commit_store(header)
    return open_store(header.uri)


@pytest.fixture
def clean(audio: Path, tmp_path: Path) -> FeatureStore:
    header = prepare_store(str(tmp_path / "clean"), build_manifest([str(audio)]), Recipe())
    for partition in header.partitions:
        preprocess_partition(header.uri, partition)
    return finished(header)


def assert_good_rows_same(found: FeatureStore, clean: FeatureStore) -> None:
    rows = [found.column("path").index(path) for path in clean.column("path")]
    everything = range(N_GOOD)
    assert np.array_equal(found.waveforms(rows), clean.waveforms(everything))
    assert np.array_equal(found.log_mels(rows), clean.log_mels(everything))
    assert [found.column("onset_s")[row] for row in rows] == clean.column("onset_s")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("bad_decoder")
def test_on_workers_each_is_a_row_with_its_reason_and_the_rest_is_unharmed(
    audio: Path, tmp_path: Path, clean: FeatureStore
) -> None:
    for name, magic in (("030a", b"KILL"), ("031a", b"SEGV"), ("032a", b"HANG")):
        (audio / f"{name}.wav").write_bytes(magic + bytes(4000))
    header = prepare_store(str(tmp_path / "store"), build_manifest([str(audio)], probe=False), Recipe())
    with open_cluster(2) as address:
        assert preprocess_partitions.fn(header.uri, address, file_limit_s=LIMIT_S) == N_GOOD + 3
    assert missing_partitions(header) == ()
    store = finished(header)
    bad = {row["path"]: (row["state"], row["reason"]) for row in store.rows.to_pylist() if row["state"] != "ok"}
    assert bad == {
        "030a.wav": ("unreadable", DEATH.format("SIGKILL")),
        "031a.wav": ("unreadable", DEATH.format("SIGSEGV")),
        "032a.wav": ("timed out", f"not decoded within {LIMIT_S:g} s"),
    }
    assert_good_rows_same(store, clean)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("bad_decoder")
def test_scored_on_workers_each_is_a_row_of_the_ledger_and_its_neighbours_are_what_they_would_have_been(
    tmp_path: Path,
) -> None:
    folder = write_archive(tmp_path / "audio", N_GOOD)
    # one that kills in the first batch of two; in the second one that hangs, which ends its workers by their limit
    kills, hangs = "dog/030a.wav", "gunshot/081a.flac"
    sf.write(folder / hangs, *sf.read(folder / "gunshot/081.wav"))
    model = save_model(str(tmp_path / "model"))
    expected = score(str(folder), model, str(tmp_path / "clean"))
    (folder / kills).write_bytes(b"KILL" + bytes(4000))
    (tmp_path / "slow").touch()
    results = str(tmp_path / "results")
    with open_cluster(2) as address:
        found = score(str(folder), model, results, address, file_limit_s=LIMIT_S)
        assert ends_of(found, kills, hangs) == [
            ("unreadable", DEATH.format("SIGKILL"), 1), ("timed out", f"not decoded within {LIMIT_S:g} s", 1),
        ]  # fmt: skip
        good = [row for row in expected["recordings"].to_pylist() if row["path"] != hangs]
        assert [row for row in found["recordings"].to_pylist() if row["path"] not in {kills, hangs}] == good
        assert expected["detections"].num_rows > N_GOOD / 2
        # what may pass is tried again, now apart from the beginning; what was judged is done
        (tmp_path / "slow").unlink()
        found = score(str(folder), model, results, address, file_limit_s=60.0)
    assert ends_of(found, kills) == [("unreadable", DEATH.format("SIGKILL"), 2)]
    assert [row for row in found["recordings"].to_pylist() if row["path"] != kills] == expected[
        "recordings"
    ].to_pylist()
    assert found["detections"].equals(expected["detections"])
    assert list(verify_results(results)) == []


def ends_of(tables: dict[str, Any], *paths: str) -> list[tuple[str, str, int]]:
    """State, reason and tries of recordings that are in the ledger once."""
    rows = {path: [row for row in tables["recordings"].to_pylist() if row["path"] == path] for path in paths}
    return [(row["state"], row["reason"], row["n_tries"]) for (row,) in rows.values()]


@pytest.mark.usefixtures("bad_decoder")
def test_a_recording_on_a_disk_that_is_slow_for_some_nights_is_scored_in_the_end(tmp_path: Path) -> None:
    folder = write_archive(tmp_path / "audio", 8)
    model, results = save_model(str(tmp_path / "model")), str(tmp_path / "results")
    score(str(folder), model, results)
    hangs = "gunshot/001a.flac"
    sf.write(folder / hangs, *sf.read(folder / "gunshot/001.wav"))
    expected = score(str(folder), model, str(tmp_path / "clean"))
    (tmp_path / "slow").touch()
    bundle = load_bundle(model)
    provenance = Provenance(bundle.digest, bundle.recipe.digest)
    (batch,) = plan_scoring(list_targets([str(folder)]), done_keys(results, provenance), provenance)
    # as on a worker that was ended by the limit
    score_batch(model, bundle.digest, results, batch, apart=True, file_limit_s=1.0)
    for n_tries in (1, 2):
        found = {kind: read_table(results, kind) for kind in ("detections", "recordings")}
        assert ends_of(found, hangs) == [("timed out", "not decoded within 1 s", n_tries)]
        (info,) = results_info(results).models
        assert (info.states.total(), info.states["timed out"]) == (9, 1)
        assert list(verify_results(results)) == []
        # without workers it is met in a process apart too; a third run would not be its affair
        score(str(folder), model, results, file_limit_s=1.0, most_tries=2)
    merge_objects(results)
    (tmp_path / "slow").unlink()
    found = score(str(folder), model, results, file_limit_s=60.0)
    assert all(found[kind].equals(expected[kind]) for kind in found)
    assert expected["recordings"].column("state").to_pylist().count("ok") == 6
    assert results_info(results).models == results_info(str(tmp_path / "clean")).models
    assert list(verify_results(results)) == []


def test_apart_rows_are_what_they_are_here(audio: Path) -> None:
    (audio / "bad.wav").write_text("no sound")
    rows = list(enumerate(build_manifest([str(audio)], probe=False).to_pylist()[-12:]))
    here, apart = (list(found) for found in (clips_of_rows(rows, Recipe()), clips_apart(rows, Recipe(), 60.0)))
    assert [(index, record) for index, record, _ in apart] == [(index, record) for index, record, _ in here]
    for (_, _, found), (_, _, expected) in zip(apart, here, strict=True):
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert np.array_equal(found.y, expected.y)


@pytest.mark.usefixtures("bad_decoder")
def test_a_child_that_died_is_started_again_for_the_next_file(audio: Path) -> None:
    (audio / "000a.wav").write_bytes(b"KILL")
    rows = list(enumerate(build_manifest([str(audio)], probe=False).to_pylist()[:3]))
    states = [record["state"] for _, record, _ in clips_apart(rows, Recipe(), 60.0)]
    assert states == ["ok", "unreadable", "ok"]
