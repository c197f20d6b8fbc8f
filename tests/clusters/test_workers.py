"""What real workers have in memory after real preprocessing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from flows.cluster import open_cluster
from tests.clusters.runs import Sound, assert_same

pytestmark = pytest.mark.slow


def test_after_preprocessing_workers_have_no_tensorflow_and_pools_of_one_thread(
    clips: Sound,
    preprocess: Callable[..., Any],
    tmp_path: Path,
    profile: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look() -> dict[str, Any]:
        import numba
        from threadpoolctl import threadpool_info

        return {
            "modules": set(sys.modules),
            "pools": {pool["user_api"]: pool["num_threads"] for pool in threadpool_info()},
            "numba": numba.config.NUMBA_NUM_THREADS,
        }

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "2")  # what the user has for other work
    with open_cluster(cluster=str(profile("{kind: local, workers: 1, memory_limit: 2GiB}"))) as address:
        done = preprocess(clips.folder, tmp_path / "store", scheduler=address)
        with Client(address, set_as_default=False) as client:
            ((worker, found),) = client.run(look).items()
            limit = client.scheduler_info()["workers"][worker]["memory_limit"]
    assert done.n_computed == 60
    assert "gunshot.preprocess" in found["modules"]
    assert not found["modules"] & {"tensorflow", "keras", "ai_edge_litert", "prefect"}
    assert found["pools"]
    assert set(found["pools"].values()) == {1}
    assert found["numba"] == 1
    assert limit == 2 * 2**30
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert_same(tmp_path / "store", clips.store)
