"""Work that nobody wants any more ends at its next step, and leaves nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from gunshot.apart import Apart
from gunshot.audio.decode import Recording
from gunshot.errors import UnwantedError
from gunshot.manifest.sources import build_manifest
from gunshot.models.bundle import load_bundle
from gunshot.preprocess.partition import preprocess_partition
from gunshot.recipe import Recipe
from gunshot.scoring.keys import KEY, Provenance
from gunshot.scoring.plan import plan_scoring
from gunshot.scoring.score import score_batch
from gunshot.scoring.targets import list_targets
from gunshot.store.layout import prepare_store
from gunshot.wanted import check_wanted, while_wanted


def for_steps(n_steps: int) -> Callable[[], bool]:
    """Wanted so many times."""
    left = iter(range(n_steps))
    return lambda: next(left, None) is not None


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for number in range(3):
        path = tmp_path / "archive" / f"{number}.flac"
        path.parent.mkdir(exist_ok=True)
        sf.write(path, np.random.default_rng(number).normal(size=24_000) * 0.1, 12_000)
    return path.parent


def test_all_is_wanted_where_nobody_says_otherwise() -> None:
    check_wanted()
    with while_wanted(lambda: False):
        with while_wanted(lambda: True):
            check_wanted()
        with pytest.raises(UnwantedError, match="has ended, or was cancelled"):
            check_wanted()
        found: list[bool] = []
        other = threading.Thread(target=lambda: found.append(check_wanted() is None))
        other.start()
        other.join()
        assert found == [True]
    check_wanted()


@pytest.mark.parametrize("name", ["x.flac", "x.wav"])
def test_a_recording_is_not_decoded_to_its_end(tmp_path: Path, name: str) -> None:
    sf.write(tmp_path / name, np.random.default_rng(0).normal(size=60_000) * 0.1, 12_000)

    def blocks() -> Iterator[int]:
        with Recording(str(tmp_path / name)) as recording:
            for block in recording.blocks(12_000):
                yield len(block)

    found: list[int] = []
    with while_wanted(for_steps(3)), pytest.raises(UnwantedError):
        found.extend(blocks())
    assert sum(found) < 60_000
    assert list(blocks()) == [12_000] * 5


def sleeper(begun: Path) -> Callable[[str], None]:
    def sleep(_: str) -> None:
        begun.write_text(str(os.getpid()))
        time.sleep(3600)

    return sleep


def test_a_process_apart_is_not_waited_for(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with (
        while_wanted(lambda: not begun.exists()),
        pytest.raises(UnwantedError),
        Apart(partial(sleeper, begun)) as child,
    ):
        child.ask("x", 3600.0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)


@pytest.mark.parametrize("n_steps", [0, 1, 4, 6])
def test_neither_a_batch_nor_a_partition_is_written(
    archive: Path, tmp_path: Path, matched_bundle: str, n_steps: int
) -> None:
    bundle, results = load_bundle(matched_bundle), tmp_path / "results"
    plan = plan_scoring(
        list_targets([str(archive)]), np.empty(0, dtype=KEY), Provenance(bundle.digest, bundle.recipe.digest)
    )
    (batch,) = plan
    header = prepare_store(str(tmp_path / "store"), build_manifest([str(archive)]), Recipe())
    before = sorted(tmp_path.rglob("*"))
    for work in (
        partial(score_batch, matched_bundle, bundle.digest, str(results), batch),
        partial(preprocess_partition, header.uri, header.partitions[0]),
    ):
        with while_wanted(for_steps(n_steps)), pytest.raises(UnwantedError):
            work()
        assert sorted(tmp_path.rglob("*")) == before
