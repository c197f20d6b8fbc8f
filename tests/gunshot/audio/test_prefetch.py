"""Objects fetched ahead: in order, within bounds, beside the work, and with the errors of a plain fetch."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

import fsspec
import numpy as np
import pytest
import soundfile as sf
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.audio.decode import Recording
from gunshot.audio.prefetch import Prefetch
from gunshot.errors import AudioError, StorageError, TransientStorageError
from gunshot.preprocess.rows import clips_of_rows
from gunshot.recipe import Recipe
from gunshot.storage import read_bytes

DELAY_S = 0.05


class SlowStore(MemoryFileSystem):
    """Objects in memory that take a while to come; it remembers when each was asked for and when it came."""

    protocol = "slowly"
    store: dict[str, Any] = {}  # noqa: RUF012 fsspec's way: one a class
    delay_s = 0.0
    times_s: dict[str, list[tuple[float, float]]] = {}  # noqa: RUF012
    failing: dict[str, Exception] = {}  # noqa: RUF012

    def cat_file(self, path: str, *args: Any, **kwargs: Any) -> bytes:
        name = path.rpartition("/")[2]
        began_s = time.perf_counter()
        time.sleep(self.delay_s)
        if name in self.failing:
            raise self.failing[name]
        content = super().cat_file(path, *args, **kwargs)
        self.times_s.setdefault(name, []).append((began_s, time.perf_counter()))
        return bytes(content)


@pytest.fixture
def slow() -> type[SlowStore]:
    """The store, empty; without delay until one is set."""
    fsspec.register_implementation("slowly", SlowStore, clobber=True)
    SlowStore.store, SlowStore.times_s, SlowStore.failing, SlowStore.delay_s = {}, {}, {}, 0.0
    return SlowStore


def put(names: list[str], size: int = 100) -> list[tuple[str, int]]:
    """Objects of a size, each of its own content."""
    objects = [(f"slowly://bucket/{name}", size) for name in names]
    for number, (uri, _) in enumerate(objects):
        fsspec.filesystem("slowly").pipe_file(uri.partition("://")[2], bytes([number]) * size)
    return objects


def test_objects_come_in_order_each_fetched_once(slow: type[SlowStore]) -> None:
    objects = put([f"o{number}" for number in range(20)])
    with Prefetch(objects) as ahead:
        for number, (uri, size) in enumerate(objects):
            assert ahead.fetch(uri) == bytes([number]) * size
    assert [len(times) for times in slow.times_s.values()] == [1] * 20


def test_the_next_objects_come_while_one_is_worked_on(slow: type[SlowStore]) -> None:
    objects = put(["a", "b", "c", "d"])
    slow.delay_s = DELAY_S
    worked_s = {}
    with Prefetch(objects) as ahead:
        for uri, _ in objects:
            ahead.fetch(uri)
            began_s = time.perf_counter()
            time.sleep(2 * DELAY_S)
            worked_s[uri[-1]] = (began_s, time.perf_counter())
    for before, name in zip("abc", "bcd", strict=True):
        asked_s, came_s = slow.times_s[name][0]
        assert asked_s < worked_s[before][1]  # asked for before the work on the one before it ended
        assert came_s <= worked_s[name][0]
    # both of the first two that follow, at the same time
    assert slow.times_s["c"][0][0] < slow.times_s["b"][0][1]


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=12), ahead=st.integers(1, 4), most=st.integers(0, 100))
def test_what_is_held_ahead_keeps_within_its_bounds(sizes: list[int], ahead: int, most: int) -> None:
    fsspec.register_implementation("slowly", SlowStore, clobber=True)
    SlowStore.store, SlowStore.failing, SlowStore.delay_s = {}, {}, 0.0
    objects = [(put([f"o{number}"], size)[0][0], size) for number, size in enumerate(sizes)]
    with Prefetch(objects, ahead=ahead, most_bytes=most) as prefetch:
        for number, (uri, size) in enumerate(objects):
            SlowStore.times_s = {}
            assert len(prefetch.fetch(uri)) == size
            held = [started[1] for started in prefetch._started]
            assert len(held) <= ahead
            assert sum(held) <= most
            # and as much of what follows as the bounds allow
            after = sizes[number + 1 :]
            assert held == after[: len(held)]
            if len(held) < min(ahead, len(after)):
                assert sum(held) + after[len(held)] > most


def test_an_object_beyond_the_bound_comes_when_its_turn_does(slow: type[SlowStore]) -> None:
    objects = [*put(["a"]), *put(["huge"], 1000), *put(["b"])]
    with Prefetch(objects, most_bytes=500) as ahead:
        ahead.fetch(objects[0][0])
        time.sleep(DELAY_S)
        assert "huge" not in slow.times_s
        assert len(ahead.fetch(objects[1][0])) == 1000
        assert len(ahead.fetch(objects[2][0])) == 100


def test_an_object_that_was_not_announced_is_fetched_all_the_same(slow: type[SlowStore]) -> None:
    objects = put(["a", "b", "c"])
    with Prefetch([objects[0], objects[2]]) as ahead:
        assert [ahead.fetch(uri)[0] for uri, _ in objects] == [0, 1, 2]
    assert [len(times) for times in slow.times_s.values()] == [1, 1, 1]


FAULTS: list[Callable[[], Exception]] = [
    lambda: OSError("connection reset"),
    lambda: TimeoutError("no answer"),
    lambda: FileNotFoundError("gone"),
    lambda: PermissionError("403"),
    lambda: ZeroDivisionError("a bug"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault()).__name__)
def test_an_error_is_raised_where_its_object_is_asked_for_as_by_a_plain_fetch(
    slow: type[SlowStore], fault: Callable[[], Exception]
) -> None:
    objects = put(["a", "b", "c"])
    slow.failing = {"b": fault()}
    with pytest.raises(Exception) as plain:  # noqa: PT011 whichever it is
        read_bytes(objects[1][0])
    with Prefetch(objects) as ahead:
        assert ahead.fetch(objects[0][0])
        with pytest.raises(type(plain.value)) as ours:
            ahead.fetch(objects[1][0])
        assert type(ours.value) is type(plain.value)
        assert str(ours.value) == str(plain.value)
        assert ahead.fetch(objects[2][0])


def test_an_error_of_an_object_that_nobody_asks_for_is_not_seen(slow: type[SlowStore]) -> None:
    objects = put(["a", "b"])
    slow.failing = {"b": OSError("connection reset")}
    with Prefetch(objects) as ahead:
        assert ahead.fetch(objects[0][0])


def test_nothing_runs_on_after_the_end(slow: type[SlowStore]) -> None:
    objects = put([f"o{number}" for number in range(9)])
    slow.delay_s = DELAY_S
    with Prefetch(objects) as ahead:
        ahead.fetch(objects[0][0])
    n_fetched = len(slow.times_s)
    assert n_fetched <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]
    time.sleep(2 * DELAY_S)
    assert len(slow.times_s) == n_fetched


# ---- rows of remote recordings


def rows_in_store(n_files: int) -> list[tuple[int, dict[str, Any]]]:
    """A burst a recording, two rows each."""
    items = []
    for number in range(n_files):
        y = np.random.default_rng(number).normal(size=9000) * np.where(np.arange(9000) > 3000, 0.2, 0.003)
        uri = f"slowly://bucket/{number}.wav"
        content = io.BytesIO()
        sf.write(content, y, 12_000, format="WAV")
        fsspec.filesystem("slowly").pipe_file(f"bucket/{number}.wav", content.getvalue())
        for start_s in (None, 0.1):
            row = {"uri": uri, "size": 18_044, "state": "ok", "reason": "", "start_s": start_s, "end_s": None}
            items.append((len(items), row | {"limit_s": None}))
    return items


def outcomes(items: list[tuple[int, dict[str, Any]]]) -> list[tuple[int, str, str, float | None]]:
    return [(i, found["state"], found["reason"], found["onset_s"]) for i, found, _ in clips_of_rows(items, Recipe())]


def without_prefetching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gunshot.preprocess.rows.Prefetch.fetch", lambda _, uri: read_bytes(uri))


def test_remote_recordings_come_while_rows_are_cut(slow: type[SlowStore]) -> None:
    items = rows_in_store(5)
    slow.delay_s = DELAY_S
    cut_s = {}
    for index, found, _ in clips_of_rows(items, Recipe()):
        assert found["state"] == "ok"
        time.sleep(DELAY_S)  # the work on a row
        cut_s[index] = time.perf_counter()
    assert [len(times) for times in slow.times_s.values()] == [1] * 5
    for number in range(1, 5):
        asked_s, came_s = slow.times_s[f"{number}.wav"][0]
        assert asked_s < cut_s[2 * number - 1]  # the rows of the recording before it were still under way
        assert came_s < cut_s[2 * number]


def test_states_and_clips_are_those_without_prefetching(slow: type[SlowStore], monkeypatch: pytest.MonkeyPatch) -> None:
    items = rows_in_store(6)
    memory = fsspec.filesystem("slowly")
    memory.rm("bucket/1.wav")
    memory.pipe_file("bucket/2.wav", b"no sound")
    memory.pipe_file("bucket/3.wav", memory.cat_file("bucket/3.wav")[:12_000])
    slow.failing = {"4.wav": PermissionError("403")}
    ours = outcomes(items)
    assert [state for _, state, _, _ in ours[::2]] == ["ok", "unreadable", "unreadable", "short", "unreadable", "ok"]
    without_prefetching(monkeypatch)
    assert ours == outcomes(items)


def test_a_store_that_does_not_answer_is_an_error_as_without_prefetching(
    slow: type[SlowStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = rows_in_store(4)
    slow.failing = {"2.wav": OSError("connection reset")}
    messages = []
    for _ in range(2):
        found = []
        with pytest.raises(TransientStorageError) as caught:
            found.extend(index for index, _, _ in clips_of_rows(items, Recipe()))
        messages.append(str(caught.value))
        without_prefetching(monkeypatch)
    assert messages[0] == messages[1]
    assert "2.wav" in messages[0]


def test_a_recording_takes_its_content_from_whoever_fetches_it(slow: type[SlowStore]) -> None:
    (_, row), *_ = rows_in_store(1)
    content = read_bytes(row["uri"])
    asked = []

    def fetch(uri: str) -> bytes:
        asked.append(uri)
        return content

    with Recording("slowly://elsewhere/x.wav", fetch=fetch) as recording, Recording(row["uri"]) as plain:
        np.testing.assert_array_equal(recording.read(), plain.read())
    assert asked == ["slowly://elsewhere/x.wav"]

    def failing(_: str) -> bytes:
        raise StorageError("cannot read it")

    with pytest.raises(AudioError, match="cannot read it") as caught:
        Recording("slowly://elsewhere/x.wav", fetch=failing)
    assert caught.value.state == "unreadable"
