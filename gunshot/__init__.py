"""Find gunshots in large sound archives.

What is wanted in a notebook is here, imported when it is used: `load_bundle`, `open_store`, `plot_clip`, `read_table`,
`score_array` and `score_file` (`gunshot.interactive`).
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_INTERACTIVE = ("load_bundle", "open_store", "plot_clip", "read_table", "score_array", "score_file")

__all__ = ["__version__", *_INTERACTIVE]


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562): ``import gunshot`` alone stays light, for every command begins with it."""
    if name in _INTERACTIVE:
        import importlib  # by its name: nothing below may depend on what stands above it

        return getattr(importlib.import_module("gunshot.interactive"), name)
    raise AttributeError(f"module 'gunshot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_INTERACTIVE})
