"""A real cluster of two worker processes, opened once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.cluster import open_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Address of its scheduler; tests may kill its workers, for they come back."""
    with open_cluster(2) as address:
        assert address is not None
        yield address
