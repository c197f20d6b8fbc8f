"""Clips that the report draws: an original beside its distorted copy, and the worst errors.

Conventions: arrays as the store holds them, waveforms in [-1, 1] and log-mel spectrograms in dB with the
lowest band first; scores in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gunshot.errors import ParameterError
from gunshot.evaluation.rows import labelled_scores

__all__ = ["ClipPicture", "DistortionExample", "ErrorExample", "worst_errors"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipPicture:
    """A clip as the model sees it, to draw.

    Parameters
    ----------
    log_mel_db : ndarray of shape (n_mels, n_frames), float
        Log-mel spectrogram, lowest band first [dB].
    mel_hz : array_like of shape (n_mels,)
        Centre frequency of each band, rising [Hz].
    sr : int
        Sample rate of the clip [Hz].
    hop_length : int
        Samples from one frame to the next; frame i is drawn around ``i * hop_length / sr``.
    waveform : ndarray of shape (n_samples,), float, optional
        Samples in [-1, 1], for the pictures that show it or can be heard.

    Raises
    ------
    ParameterError
        If the spectrogram is empty, not finite or not 2-D, or `mel_hz` has not one value a band.
    """

    log_mel_db: NDArray[np.floating[Any]]
    mel_hz: ArrayLike
    sr: int
    hop_length: int
    waveform: NDArray[np.floating[Any]] | None = None

    def __post_init__(self) -> None:
        """Check the shapes, so that an error names the clip and not the plot."""
        shape = np.shape(self.log_mel_db)
        if len(shape) != 2 or 0 in shape or not np.isfinite(self.log_mel_db).all():
            raise ParameterError(
                f"log_mel_db must be finite and of shape (n_mels, n_frames); got shape {shape}: "
                "pass one row of the store"
            )
        if np.shape(self.mel_hz) != shape[:1]:
            raise ParameterError(
                f"mel_hz must have one frequency for each of the {shape[0]} bands; got shape "
                f"{np.shape(self.mel_hz)}: is log_mel_db transposed?"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class DistortionExample:
    """A clip beside its distorted copy.

    Parameters
    ----------
    file_name : str
        Name of the original.
    distortion : str
        What was done to the copy, in a few words.
    original, distorted : ClipPicture
        Both with waveform.
    """

    file_name: str
    distortion: str
    original: ClipPicture
    distorted: ClipPicture


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorExample:
    """A clip that the default model calls wrong.

    Parameters
    ----------
    file_name : str
        Name of the file.
    score : float
        In [0, 1].
    source : str
        Where the clip comes from.
    path : str
        Where to find it, URI and segment.
    picture : ClipPicture, optional
        Its spectrogram, and its sound where that has a waveform.
    """

    file_name: str
    score: float
    source: str = ""
    path: str = ""
    picture: ClipPicture | None = None


def worst_errors(label: ArrayLike, score: ArrayLike, threshold: float, limit: int = 12) -> tuple[list[int], list[int]]:
    """Pick the rows for the gallery: the errors that the model was most sure of.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 and scores in [0, 1].
    threshold : float
        A row is called a gunshot when ``score >= threshold``.
    limit : int
        Largest number of rows of each kind.

    Returns
    -------
    misses : list of int
        Row numbers of gunshots below the threshold, the lowest score first.
    false_alarms : list of int
        Row numbers of other sounds at or above it, the highest score first.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be.

    Examples
    --------
    >>> worst_errors([1, 1, 1, 0, 0], [0.3, 0.1, 0.9, 0.6, 0.2], threshold=0.5)
    ([1, 0], [3])
    """
    labels, scores = labelled_scores(label, score)
    rising = np.argsort(scores, kind="stable")
    falling = np.argsort(-scores, kind="stable")
    misses = [int(row) for row in rising if labels[row] == 1 and scores[row] < threshold]
    false_alarms = [int(row) for row in falling if labels[row] == 0 and scores[row] >= threshold]
    return misses[:limit], false_alarms[:limit]
