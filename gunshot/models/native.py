"""Native libraries that greet on the standard error stream."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_greeting"]


@contextmanager
def without_greeting() -> Iterator[None]:
    """Keep what C++ code prints while it is loaded off the user's screen.

    TensorFlow and LiteRT write straight to file descriptor 2, past every logging setting. Python's own errors are
    raised, not printed, and so are not lost.
    """
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
