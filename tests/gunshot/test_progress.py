"""Loops tell how far they are, one at a time, and only to who asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from gunshot.progress import shown_by, steps


class Shown:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @contextmanager
    def __call__(self, name: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n

        self.told.append(f"{name} begins, {total} {unit}")
        try:
            yield advance
        except BaseException as error:
            self.told.append(f"{name} broken off after {done}: {type(error).__name__}")
            raise
        self.told.append(f"{name} {done} {unit}")


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_items_come_as_they_are_and_units_are_told_where_somebody_asked(shown: Shown) -> None:
    assert list(steps("abc", "read", "letters", 3)) == ["a", "b", "c"]
    with shown_by(shown):
        assert list(steps([2, 3], "add", "numbers", 5, lambda item: item)) == [2, 3]
    assert list(steps("abc", "read", "letters", 3)) == ["a", "b", "c"]
    assert shown.told == ["add begins, 5 numbers", "add 5 numbers"]


def test_a_loop_in_a_loop_is_not_shown_and_the_next_one_is(shown: Shown) -> None:
    with shown_by(shown):
        for _ in steps(range(2), "outer", "rounds"):
            list(steps(range(5), "inner", "rounds"))
        list(steps(range(1), "next", "rounds"))
    assert [line.split()[0] for line in shown.told] == ["outer", "outer", "next", "next"]


def test_a_loop_that_is_left_ends(shown: Shown) -> None:
    with shown_by(shown):
        for item in steps(range(5), "find", "items"):
            if item == 2:
                break
    assert shown.told == ["find begins, None items", "find 2 items"]


@pytest.mark.parametrize("where", ["items", "body"])
def test_an_error_breaks_it_off_and_leaves_nothing_behind(shown: Shown, where: str) -> None:
    def items() -> Iterator[int]:
        yield 1
        if where == "items":
            raise ValueError("no")
        yield 2

    def read() -> None:
        with shown_by(shown):
            for item in steps(items(), "read", "items"):
                if where == "body" and item == 2:
                    raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        read()
    assert shown.told == ["read begins, None items", "read broken off after 1: ValueError"]
    other = Shown()
    with shown_by(other):
        del caught  # what was left of the loop ends now, and must not end or show anything of another's
        list(steps(range(3), "more", "items"))
    list(steps(range(3), "silent", "items"))
    assert other.told == ["more begins, None items", "more 3 items"]


def test_silence_inside_and_other_threads(shown: Shown) -> None:
    with shown_by(shown), ThreadPoolExecutor(1) as pool:
        with shown_by(None):
            list(steps(range(3), "quiet", "items"))
        pool.submit(lambda: list(steps(range(3), "apart", "items"))).result()
    assert shown.told == []
