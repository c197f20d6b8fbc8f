"""How this process gets its memory: arrays of a clip come and go a thousand times a second.

Conventions
-----------
Dask starts its workers with ``MALLOC_TRIM_THRESHOLD_`` set low, so that memory that is free goes back to the system at
once. Every array of more than 128 KiB is then a new mapping, whose pages the system clears one by one: preprocessing
spent as much time on that as on sound. Here freed memory is kept for the next array, up to a bound.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library
_KEPT_BYTES = 128 * 2**20
_MAPPED_BYTES = 32 * 2**20  # the largest that the library takes


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep what is freed, up to 128 MiB, whatever its environment says.

    Returns
    -------
    bool
        Whether it could be told to; other C libraries than GNU's go on as they do.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
    return False
