"""What can go wrong, as a tree; the message always says what to do.

::

    GunshotError
    ├── ParameterError      (ValueError)        a parameter outside its range, or two that disagree
    ├── RecipeError         (ValueError)        a recipe file with a wrong or unknown key
    ├── ManifestError       (ValueError)        a label table or folder that gives no usable rows
    ├── AudioError          (OSError)           one recording cannot be read; carries its state
    ├── StorageError        (OSError)           a URI that cannot be listed, opened or written
    │   └── TransientStorageError               the same, but worth another try
    ├── LeaseError          (RuntimeError)      an output that another run is writing
    ├── StoreError
    │   ├── StoreMismatchError   (ValueError)   a store of another recipe, manifest or format
    │   ├── StoreIncompleteError (RuntimeError) a store that is not committed
    │   └── StoreDamagedError    (RuntimeError) rows that are not what was committed
    ├── BundleError         (ValueError)        a model folder that is foreign, damaged or of another recipe
    ├── TrainingError       (ValueError)        rows that no model can be trained or evaluated on
    ├── DatasetError        (OSError)           a public data set that cannot be fetched or verified
    ├── RunError            (RuntimeError)      a run that ended, and whose result must not be trusted
    └── UnwantedError       (RuntimeError)      work that a run has left behind when it ended or was cancelled

Bad input among many becomes a row with a reason (`AudioError` never leaves a partition); a user's
mistake becomes one of these, which the command line prints as one line; anything else is our bug.
"""

from __future__ import annotations

from typing import Literal

__all__ = [
    "AudioError",
    "BundleError",
    "DatasetError",
    "GunshotError",
    "LeaseError",
    "ManifestError",
    "ParameterError",
    "RecipeError",
    "RunError",
    "StorageError",
    "StoreDamagedError",
    "StoreError",
    "StoreIncompleteError",
    "StoreMismatchError",
    "TrainingError",
    "TransientStorageError",
    "UnwantedError",
]

FailureState = Literal["short", "empty", "silent", "unreadable", "timed out"]


class GunshotError(Exception):
    """Base of all errors that this project raises on purpose."""


class ParameterError(GunshotError, ValueError):
    """A parameter is outside its range, or two parameters disagree."""


class RecipeError(GunshotError, ValueError):
    """A recipe file cannot be read, or has a wrong or unknown key."""


class ManifestError(GunshotError, ValueError):
    """A label table, folder or prefix gives no usable manifest."""


class AudioError(GunshotError, OSError):
    """One recording (or one segment of it) cannot be used.

    Parameters
    ----------
    state : {"short", "empty", "silent", "unreadable", "timed out"}
        The state that the ledger or the store records for it.
    reason : str
        One line that says why, for a person.
    may_pass : bool
        Whether it says less of the recording than of the moment: another try may read it.
    """

    def __init__(self, state: FailureState, reason: str, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason
        self.may_pass = may_pass

    def __reduce__(self) -> tuple[type[AudioError], tuple[str, str, bool]]:
        """Travel between processes with all fields (OSError would keep only one)."""
        return (type(self), (self.state, self.reason, self.may_pass))


class StorageError(GunshotError, OSError):
    """A URI cannot be listed, opened or written."""


class TransientStorageError(StorageError):
    """A store did not answer, or answered with a fault that may pass: the only error that is retried."""


class LeaseError(GunshotError, RuntimeError):
    """Another run writes, or has begun to write, the same output."""


class StoreError(GunshotError):
    """Base of the feature store's errors."""


class StoreMismatchError(StoreError, ValueError):
    """The store was made by another recipe, from another manifest or in another format."""


class StoreIncompleteError(StoreError, RuntimeError):
    """The store is not committed: preprocessing has not ended."""


class StoreDamagedError(StoreError, RuntimeError):
    """Rows read from the store are not those that were committed."""


class BundleError(GunshotError, ValueError):
    """A model bundle is foreign, damaged, or made for another recipe."""


class TrainingError(GunshotError, ValueError):
    """The rows given cannot train or evaluate a model."""


class DatasetError(GunshotError, OSError):
    """A public data set cannot be fetched, verified or unpacked."""


class RunError(GunshotError, RuntimeError):
    """A run came to its end, and its result must not be trusted."""


class UnwantedError(GunshotError, RuntimeError):
    """Nobody waits any more for what is being done."""
