"""The exception tree: what a caller may catch, and that errors survive the way between processes."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from gunshot import errors
from gunshot.errors import AudioError, FailureState, GunshotError

STATES: tuple[FailureState, ...] = ("short", "empty", "silent", "unreadable", "timed out")

# The natural builtin of each: code that knows nothing of this project may catch that.
BUILTINS: dict[str, type[Exception]] = {
    "AudioError": OSError,
    "BundleError": ValueError,
    "DatasetError": OSError,
    "GunshotError": Exception,
    "LeaseError": RuntimeError,
    "ManifestError": ValueError,
    "ParameterError": ValueError,
    "RecipeError": ValueError,
    "RunError": RuntimeError,
    "StorageError": OSError,
    "StoreDamagedError": RuntimeError,
    "StoreError": Exception,
    "StoreIncompleteError": RuntimeError,
    "StoreMismatchError": ValueError,
    "TrainingError": ValueError,
    "TransientStorageError": OSError,
    "UnwantedError": RuntimeError,
}


def test_all_errors_are_public_and_listed_with_their_builtin() -> None:
    defined = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert defined == set(errors.__all__) == set(BUILTINS)


@pytest.mark.parametrize("name", sorted(BUILTINS))
def test_an_error_is_ours_and_its_builtin_and_drawn_in_the_tree(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, GunshotError)
    assert issubclass(kind, BUILTINS[name])
    assert name in (errors.__doc__ or "")


def test_what_may_pass_can_be_told_from_what_will_not() -> None:
    assert issubclass(errors.TransientStorageError, errors.StorageError)
    assert not issubclass(errors.StorageError, errors.TransientStorageError)
    assert not issubclass(AudioError, errors.StorageError)


@pytest.mark.parametrize("name", sorted(set(BUILTINS) - {"AudioError"}))
def test_errors_keep_their_message_between_processes(name: str) -> None:
    error = getattr(errors, name)("n_fft = 0: must be positive; correct the recipe")
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error) == "n_fft = 0: must be positive; correct the recipe"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("reason", ["only digital zeros", "", "two: words"])
def test_an_audio_error_keeps_state_and_reason_between_processes(state: FailureState, reason: str) -> None:
    error = AudioError(state, reason, may_pass=True)
    for arrived in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(arrived) is AudioError
        assert (arrived.state, arrived.reason, arrived.may_pass, str(arrived)) == (state, reason, True, reason)
