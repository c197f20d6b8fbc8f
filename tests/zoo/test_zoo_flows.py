"""The flows over a folder with the whole zoo and some good recordings among it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gunshot.manifest.sources import build_manifest
from gunshot.models.bundle import load_bundle
from gunshot.scoring.recording import score_recording
from gunshot.scoring.results import read_table
from gunshot.scoring.targets import list_targets
from gunshot.store.layout import USABLE_STATES
from gunshot.store.read import FeatureStore, open_store
from tests.zoo.build import SR, sound, wav
from tests.zoo.kinds import Kind
from tests.zoo.zoo import ZOO, write_zoo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_server"),
]

N_GOOD = 6

Stored = Callable[[pa.Table, Path], FeatureStore]


def write_good(folder: Path) -> None:
    """Recordings between the kinds of the zoo, in the order of their names."""
    for number, before in enumerate(("0", "F", "M", "c", "l", "z")):
        rng = np.random.default_rng(number)
        (folder / f"{before} good").mkdir(parents=True)
        (folder / f"{before} good" / "shot.wav").write_bytes(wav(sound(rng, duration_s=2.0), sr=SR))


@pytest.fixture
def archive(place: Path) -> tuple[Path, dict[str, Kind]]:
    """The folder, and which kind is at which path of it."""
    # to root, whom the tests may run as, nothing is closed
    kinds = tuple(kind for kind in ZOO if not kind.for_user or os.geteuid() != 0)
    written = write_zoo(place, kinds)
    write_good(place)
    return place, written


def then_change(function: Callable[..., Any], folder: Path, kinds: dict[str, Kind]) -> Callable[..., Any]:
    """What lists recordings, and what happens to some of them right after."""

    def list_and_change(*arguments: Any, **named: Any) -> Any:
        found = function(*arguments, **named)
        for path, kind in kinds.items():
            if kind.later:
                kind.later(folder / path)
        return found

    return list_and_change


def check(rows: dict[str, tuple[str, str]], kinds: dict[str, Kind], *, scored: bool) -> None:
    """Each file is one row with its state and reason."""
    expected = {
        path: (
            kind.scored if scored and kind.scored else kind.state,
            kind.reason if not (scored and kind.scored) else "",
        )
        for path, kind in kinds.items()
        if kind.state != "not listed"
    }
    if scored:  # what is not what was listed is scored by the next run
        later = {path for path, kind in kinds.items() if kind.later}
        expected |= {
            path: (("gone", "not there") if "removed" in kinds[path].name else ("changed", "")) for path in later
        }
    good = {path for path in rows if path.endswith("good/shot.wav")}
    assert len(good) == N_GOOD
    assert all(rows[path] == ("ok", "") for path in good)
    assert set(rows) - good == set(expected)
    wrong = {
        path: (rows[path], state, reason)
        for path, (state, reason) in expected.items()
        if rows[path][0] != state or reason not in rows[path][1]
    }
    assert wrong == {}


@pytest.mark.timeout(200)
def test_preprocessing_ends_well_and_good_rows_are_as_they_are_alone(
    archive: tuple[Path, dict[str, Kind]], tmp_path: Path, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.preprocess

    folder, kinds = archive
    monkeypatch.setattr(flows.preprocess, "build_manifest", then_change(build_manifest, folder, kinds))
    summary = flows.preprocess.preprocess([str(folder)], str(tmp_path / "store"), workers=2, max_failed_fraction=1.0)
    store = open_store(str(tmp_path / "store"))
    states, reasons, paths = (store.column(name) for name in ("state", "reason", "path"))
    assert len(set(paths)) == len(paths)
    check(
        dict(zip(map(str, paths), zip(map(str, states), map(str, reasons), strict=True), strict=True)),
        kinds,
        scored=False,
    )
    assert summary.n_rows == summary.n_computed == sum(summary.states.values()) == len(paths)
    assert summary.states == dict(Counter(map(str, states)))
    assert {row["path"] for row in summary.failures} == {
        path for path, state in zip(paths, states, strict=True) if state != "ok"
    }
    assert store.usable.tolist() == [row for row, state in enumerate(states) if state in USABLE_STATES]

    write_good(tmp_path / "alone")
    alone = stored(build_manifest([str(tmp_path / "alone")]), tmp_path / "alone.zarr")
    rows = [paths.index(path) for path in alone.column("path")]
    assert np.array_equal(store.waveforms(rows), alone.waveforms(range(N_GOOD)))
    assert np.array_equal(store.log_mels(rows), alone.log_mels(range(N_GOOD)))
    assert [store.column("onset_s")[row] for row in rows] == list(alone.column("onset_s"))


@pytest.mark.timeout(200)
def test_scoring_ends_well_and_good_rows_are_as_they_are_alone(
    archive: tuple[Path, dict[str, Kind]], bundle_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.score

    folder, kinds = archive
    monkeypatch.setattr("gunshot.scoring.job.list_targets", then_change(list_targets, folder, kinds))
    out = str(tmp_path / "results")
    summary = flows.score.score([str(folder)], bundle_uri, out, workers=2, max_failed_fraction=1.0)
    rows = read_table(out, "recordings").to_pylist()
    paths = [row["path"] for row in rows]
    assert len(set(paths)) == len(paths)
    check({row["path"]: (row["state"], row["reason"]) for row in rows}, kinds, scored=True)
    assert summary.n_listed == summary.n_scored == sum(summary.states.values()) == len(rows)
    assert summary.states == dict(Counter(row["state"] for row in rows))
    assert {row["path"] for row in summary.failures} == {row["path"] for row in rows if row["state"] != "ok"}
    assert summary.n_detections == sum(row["n_detections"] for row in rows)
    detections = read_table(out, "detections").to_pylist()
    assert len(detections) == summary.n_detections
    assert {row["path"] for row in detections} <= {row["path"] for row in rows if row["state"] in USABLE_STATES}

    bundle = load_bundle(bundle_uri)
    for target in list_targets([str(folder / "? good" / "*.wav")]):
        row, found = score_recording(target, bundle)
        (there,) = (other for other in rows if other["uri"] == target.uri)
        assert {name: value for name, value in there.items() if name in row} | {"path": row["path"]} == row
        assert [other["start_s"] for other in detections if other["uri"] == target.uri] == [
            one["start_s"] for one in found
        ]
