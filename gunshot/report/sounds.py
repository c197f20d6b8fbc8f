"""Sounds that stand in a page: FLAC, as an address that holds them.

Conventions: every browser of today plays FLAC, and it is half of WAV. A sound is made louder until its peak is 0.9, by
30 times at most; sounds that are compared get one gain. The same samples give the same text.
"""

from __future__ import annotations

import base64
import io

import numpy as np
import soundfile as sf
from numpy.typing import ArrayLike

__all__ = ["flac_address", "playing_gain"]

_PEAK = 0.9
_MOST_GAIN = 30.0


def playing_gain(*sounds: ArrayLike) -> float:
    """Return what sounds are multiplied by before they are played.

    Parameters
    ----------
    *sounds : array_like of shape (n_samples,)
        Samples in [-1, 1], of any length each.

    Returns
    -------
    float
        1 for silence.

    Examples
    --------
    >>> playing_gain([0.0, -0.3], [0.45])
    2.0
    """
    peak = max((float(np.abs(sound).max(initial=0.0)) for sound in sounds), default=0.0)
    return min(_PEAK / peak, _MOST_GAIN) if peak else 1.0


def flac_address(y: ArrayLike, sr: int, gain: float | None = None) -> str:
    """Return a sound as the address of an audio element.

    Parameters
    ----------
    y : array_like of shape (n_samples,)
        Samples in [-1, 1].
    sr : int
        Sample rate [Hz].
    gain : float, optional
        What they are multiplied by; `playing_gain` of `y` if not given.

    Returns
    -------
    str
        ``data:audio/flac;base64,...``
    """
    samples = np.asarray(y, dtype=np.float64)
    buffer = io.BytesIO()
    louder = samples * (playing_gain(samples) if gain is None else gain)
    sf.write(buffer, np.clip(louder, -1.0, 1.0), sr, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(buffer.getvalue()).decode()}"
