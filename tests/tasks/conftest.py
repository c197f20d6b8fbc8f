"""A real cluster of two worker processes, opened once, and a clock for what is shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from flows.cluster import open_cluster
from tasks import artifacts, progress


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The one that stages and bars look at."""
    made = Clock()
    monkeypatch.setattr(artifacts, "monotonic", made)
    monkeypatch.setattr(progress, "monotonic", made)
    return made


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Address of its scheduler; tests may kill its workers, for they come back."""
    with open_cluster(2) as address:
        assert address is not None
        yield address


@pytest.fixture
def elsewhere(cluster: str, tmp_path: Path) -> Iterator[Path]:
    """An empty folder that the workers are in; they leave nothing there."""
    (folder := tmp_path / "elsewhere").mkdir()
    with Client(cluster, set_as_default=False) as client:
        before = client.run(os.getcwd)
        client.run(os.chdir, str(folder))
        try:
            yield folder
        finally:
            for worker, place in before.items():
                client.run(os.chdir, place, workers=[worker])
    assert list(folder.iterdir()) == []
