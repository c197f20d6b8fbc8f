"""Which failures a stage is tried again for: those that may pass, and no others."""

from __future__ import annotations

from typing import Any

from gunshot.errors import TransientStorageError

__all__ = ["TRANSIENT"]


def _is_transient(task: Any, run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), TransientStorageError)


TRANSIENT: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [2, 10, 30],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": _is_transient,
}
"""Options of tasks that read or write a store; they are idempotent, so a second try does only what is missing."""
