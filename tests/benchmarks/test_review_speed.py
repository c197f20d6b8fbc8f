"""What the page waits for with 100,000 sounds in the queue: the list, an item, the next one, a decision on the disk."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from gunshot.review.queue import Item, ReviewQueue
from gunshot.review.server import review_app
from gunshot.review.session import ReviewSession
from tests.review.conftest import served

N = 100_000


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    rng = np.random.default_rng(0)
    items = [
        Item(
            number=n,
            path=f"site{n % 40}/r{n // 50}.wav",
            uri=f"/archive/site{n % 40}/r{n // 50}.wav",
            channel=None,
            start_s=float(n % 50 * 7),
            end_s=float(n % 50 * 7 + 1),
            score=float(rng.uniform(0.5, 1)),
            site=f"site {n % 40}",
            night=f"2026-11-{1 + n % 28:02d}",
        )
        for n in range(N)
    ]
    session = ReviewSession(str(tmp_path_factory.mktemp("results")), ReviewQueue(items), "Anna")
    with served(review_app(session)) as client:
        yield client


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "/api/queue?offset=70000&limit=100", "/api/queue?site=site 7&limit=100", "/api/next?after=50000",
        "/api/item?number=99999", "/api/progress",
    ],
)  # fmt: skip
def test_an_answer(client: httpx.Client, benchmark: object, path: str) -> None:
    assert benchmark(client.get, path).status_code == 200


@pytest.mark.slow
def test_a_decision(client: httpx.Client, benchmark: object) -> None:
    numbers = iter(range(N))
    version = client.get("/api/start").json()["version"]

    def decide() -> httpx.Response:
        asked = {"version": version, "number": next(numbers), "label": "not", "after": 5}
        return client.post("/api/decide", json=asked, headers={"X-Gunshot": "1"})

    assert benchmark.pedantic(decide, rounds=50).status_code == 200
