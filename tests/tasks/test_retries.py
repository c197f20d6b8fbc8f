"""Which failures a stage is tried again for."""

from __future__ import annotations

from typing import Any

import pytest
from prefect import Task

from gunshot import errors
from gunshot.errors import AudioError, GunshotError, StorageError, TransientStorageError
from tasks.augment import augment_training_rows
from tasks.evaluate import evaluate_models
from tasks.preprocess import preprocess_partitions
from tasks.retries import TRANSIENT
from tasks.score import score_batches
from tasks.train import train_bundle


class Failed:
    """A task run's state, as the condition is asked about it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def result(self, *, raise_on_failure: bool = True) -> BaseException:
        assert not raise_on_failure, "the condition must not raise what it judges"
        return self.error


def is_retried(error: BaseException) -> bool:
    return bool(TRANSIENT["retry_condition_fn"](None, None, Failed(error)))


def test_a_store_that_did_not_answer_is_asked_again() -> None:
    assert is_retried(TransientStorageError("timed out"))


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for name in errors.__all__
        if isinstance(kind := getattr(errors, name), type) and issubclass(kind, GunshotError)
        if not issubclass(kind, TransientStorageError)
    ],
)
def test_no_other_error_of_ours_is(kind: type[GunshotError]) -> None:
    assert not is_retried(AudioError("short", "x") if kind is AudioError else kind("x"))


@pytest.mark.parametrize(
    "error", [ValueError(), OSError(), TimeoutError(), MemoryError(), KeyError(), AssertionError()]
)
def test_no_bug_is(error: Exception) -> None:
    assert not is_retried(error)


def test_a_transient_error_is_a_storage_error() -> None:
    """So that it ends a run with exit code 1 when it does not pass."""
    assert issubclass(TransientStorageError, StorageError)


@pytest.mark.parametrize(
    "task", [preprocess_partitions, augment_training_rows, train_bundle, evaluate_models, score_batches]
)
def test_every_stage_that_reads_or_writes_a_store_is_tried_again(task: Task[Any, Any]) -> None:
    assert task.retries == 3
    assert task.retry_delay_seconds == [2, 10, 30]
    assert task.retry_jitter_factor == 0.5
    assert task.retry_condition_fn is TRANSIENT["retry_condition_fn"]
