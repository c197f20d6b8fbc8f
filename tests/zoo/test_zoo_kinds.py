"""Each kind alone: in the manifest, in a store, and in the ledger of scoring."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gunshot.audio.decode import Recording
from gunshot.errors import ManifestError
from gunshot.manifest.sources import build_manifest
from gunshot.models.bundle import load_bundle
from gunshot.scoring.recording import score_recording
from gunshot.scoring.targets import list_targets
from gunshot.store.layout import USABLE_STATES
from gunshot.store.read import FeatureStore
from tests.zoo.build import encoded, sound
from tests.zoo.kinds import Kind
from tests.zoo.places import LONG
from tests.zoo.zoo import ZOO

Rights = Callable[[bool], AbstractContextManager[None]]

# a kind that hangs is a failure of its own, not of the run
pytestmark = pytest.mark.timeout(60)

KINDS = [pytest.param(kind, id=kind.name, marks=[pytest.mark.slow] * (kind in LONG)) for kind in ZOO]
LISTED = [param for param, kind in zip(KINDS, ZOO, strict=True) if kind.state != "not listed"]
NOT_LISTED = [param for param, kind in zip(KINDS, ZOO, strict=True) if kind.state == "not listed"]


@pytest.mark.parametrize("kind", LISTED)
def test_it_is_one_row_of_a_store_with_its_state_and_reason(
    kind: Kind, place: Path, tmp_path: Path, rights_of_a_user: Rights, stored: Callable[[pa.Table, Path], FeatureStore]
) -> None:
    path = kind.write(place)
    with rights_of_a_user(kind.for_user):
        manifest = build_manifest([str(place)])
    (row,) = manifest.to_pylist()
    assert row["path"] == f"{kind.name}/{kind.file}"
    state = kind.state if kind.decided == "header" and not kind.later else "ok"
    assert (row["state"], row["reason"] != "") == (state, state != "ok")
    assert kind.reason in row["reason"] or state == "ok"
    if state == "ok" and kind.read_s is not None and not kind.later and kind.state != "short":
        assert row["duration_s"] == pytest.approx(kind.read_s, abs=1e-9)
    if kind.later:
        kind.later(path)
    store = stored(manifest, tmp_path / "store")
    (state,), (reason,) = store.column("state"), store.column("reason")
    assert (state, kind.reason in str(reason)) == (kind.state, True), reason
    assert (reason == "") is (state == "ok")
    assert "\n" not in str(reason)
    has_clip = state in USABLE_STATES
    assert store.usable.tolist() == [0] * has_clip
    for values in (store.waveforms([0]), store.log_mels([0])):
        assert np.isfinite(values).all() == np.isfinite(values).any() == has_clip


@pytest.mark.parametrize("kind", LISTED)
def test_it_is_one_row_of_the_ledger_with_its_state_and_reason(
    kind: Kind, place: Path, rights_of_a_user: Rights, bundle_uri: str
) -> None:
    path = kind.write(place)
    bundle = load_bundle(bundle_uri)
    with rights_of_a_user(kind.for_user):
        (target,) = list_targets([str(place)])
        if kind.later:
            kind.later(path)
        row, detections = score_recording(target, bundle)
    assert row["path"] == f"{kind.name}/{kind.file}"
    assert row["state"] == (kind.scored or kind.state), row["reason"]
    assert kind.reason in row["reason"] or kind.scored
    assert (row["reason"] == "") is (row["state"] == "ok")
    assert row["n_detections"] == len(detections) <= row["n_candidates"]
    if row["state"] in {"ok", "short", "silent"}:
        assert 0 < row["read_s"] <= row["duration_s"]
        assert kind.read_s is None or row["read_s"] == pytest.approx(kind.read_s, abs=1e-9)
    else:
        assert row["read_s"] == row["n_candidates"] == 0


@pytest.mark.parametrize("kind", NOT_LISTED)
def test_it_is_no_row_and_a_folder_of_nothing_else_is_a_mistake(kind: Kind, place: Path) -> None:
    path = kind.write(place)
    assert path.is_file()
    for make in (build_manifest, list_targets):
        with pytest.raises(ManifestError, match="no audio in"):
            make([str(place)])


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16")])
@pytest.mark.parametrize("n_read", [0, 50_000])
def test_a_file_that_is_cut_while_it_is_open_is_read_up_to_there(
    tmp_path: Path, container: str, subtype: str, n_read: int
) -> None:
    whole = encoded(sound(np.random.default_rng(0), duration_s=30.0), container, subtype)
    path = tmp_path / "a"
    path.write_bytes(whole)
    with Recording(str(path)) as recording:
        expected = recording.read()
    with Recording(str(path)) as recording:
        first = recording.read(0, n_read)
        os.truncate(path, len(whole) // 2)
        rest = recording.read(n_read)
        assert recording.defect is not None
        assert recording.defect.startswith("breaks off after ")
    y = np.concatenate([first, rest])
    assert 0.45 * expected.size < y.size < 0.55 * expected.size
    assert np.array_equal(y, expected[: y.size])


def contents(folder: Path) -> dict[str, Any]:
    """What is below a folder: bytes of files, targets of links, kinds of the rest."""
    found: dict[str, Any] = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            mode = path.lstat().st_mode
            key = os.fsencode(path.relative_to(folder)).hex()
            if stat.S_ISLNK(mode):
                found[key] = path.readlink()
            else:
                found[key] = path.read_bytes() if stat.S_ISREG(mode) else stat.S_IFMT(mode)
    return found


def test_the_seed_alone_makes_the_files(tmp_path: Path) -> None:
    kinds = [kind for kind in ZOO if kind not in LONG and not kind.for_user][::2]
    folders = [tmp_path / name for name in ("a", "b", "other")]
    for folder, seed in zip(folders, (1, 1, 2), strict=True):
        for kind in kinds:
            kind.write(folder, seed)
    a, b, other = map(contents, folders)
    assert a == b
    assert len(a) >= 2 * len(kinds)  # a folder and a file each
    assert sum(a[name] != other[name] for name in a) > len(kinds) / 2


def test_names_are_distinct_and_each_state_is_there() -> None:
    assert len({kind.name.casefold() for kind in ZOO}) == len(ZOO)
    assert {"ok", "short", "empty", "silent", "unreadable", "not listed"} == {kind.state for kind in ZOO}
    assert all((kind.reason == "") is (kind.state in {"ok", "not listed"}) for kind in ZOO)
    assert all((kind.decided == "listing") is (kind.state == "not listed") for kind in ZOO)
    assert min(Counter(kind.decided for kind in ZOO).values()) >= 5
