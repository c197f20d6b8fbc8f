"""The exported runtime: a network's scores without TensorFlow.

Conventions
-----------
LiteRT on one thread: workers are the unit of parallelism. An interpreter is not thread-safe; each process has its
own. Batches are padded to one size, because a change of size makes LiteRT plan its memory again. They are small: of
eight clips what one layer leaves for the next stays in the processor's cache (of 64, the field model takes 1.2 times
as long).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import BundleError
from gunshot.models.native import without_greeting

__all__ = ["BATCH", "NetworkRuntime"]

BATCH = 8
"""Clips in one call of the runtime."""


class NetworkRuntime:
    """A network ready to score.

    Parameters
    ----------
    content : bytes
        The exported model.
    shape : tuple of int
        Shape of one input: (n_mels, n_frames).

    Raises
    ------
    BundleError
        If it is not such a model.
    """

    def __init__(self, content: bytes, shape: tuple[int, ...]) -> None:
        from ai_edge_litert.interpreter import Interpreter  # 0.15 s that a bundle of another kind need not pay

        try:
            with without_greeting():
                self._interpreter = Interpreter(model_content=content, num_threads=1)
            details = self._interpreter.get_input_details()[0]
            there = tuple(int(size) for size in details["shape"][1:])
            if there != tuple(shape):
                raise ValueError(f"its input is {there}, the recipe's clips are {tuple(shape)}")
            self._input = details["index"]
            self._interpreter.resize_tensor_input(self._input, (BATCH, *shape), strict=True)
            with without_greeting():
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"weights are not an exported network: {error}") from error
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._batch = np.zeros((BATCH, *shape), dtype=np.float32)

    def scores(self, log_mels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score clips.

        Parameters
        ----------
        log_mels : ndarray of shape (n, n_mels, n_frames), float32
            Spectrograms [dB].

        Returns
        -------
        ndarray of shape (n,), float32
            Scores in [0, 1].
        """
        result = np.empty(len(log_mels), dtype=np.float32)
        for start in range(0, len(log_mels), BATCH):
            part = log_mels[start : start + BATCH]
            self._batch[: len(part)] = part
            self._interpreter.set_tensor(self._input, self._batch)
            self._interpreter.invoke()
            result[start : start + len(part)] = self._interpreter.get_tensor(self._output)[: len(part), 0]
        return result
