"""A limit on each recording's time that holds whatever the decoder does."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

LIMIT_S = 2.0
BEGIN = f"""
import time
from gunshot.apart import ends_after

with ends_after({LIMIT_S}) as again:
"""
MANY = """
    for _ in range(12):
        again()
        time.sleep(0.2)
"""
ONE_THAT_HANGS = """
    again()
    while True:
        pass
"""
AFTERWARDS = f"""
time.sleep({1.2 * LIMIT_S})
"""


@pytest.mark.parametrize(
    ("work", "ends"),
    [
        (MANY, False),
        (MANY + AFTERWARDS, False),
        (ONE_THAT_HANGS, True),
        (MANY + ONE_THAT_HANGS, True),
    ],
    ids=["many, together longer than the limit", "nothing is left of it", "one hangs", "one hangs after many"],
)
def test_the_limit_is_that_of_each_piece_of_work(work: str, ends: bool) -> None:
    began_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", BEGIN + work], capture_output=True, text=True, timeout=60)
    assert (done.returncode != 0) == ends, done.stderr
    assert ("Timeout" in done.stderr) == ends
    assert not ends or time.monotonic() - began_s >= LIMIT_S
