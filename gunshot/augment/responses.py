"""Frequency responses drawn at random: more distance, a place, a recorder.

Conventions
-----------
A response is complex, one value a frequency of the real FFT; the formulas are those of `gunshot.synthetic`: ISO 9613-1
absorption, reflection from a ground of finite impedance, reverberation in bands. Spherical spreading only changes the
level, which the chain draws by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from gunshot.synthetic.places import PLACES, late_response
from gunshot.synthetic.propagation import HARD_GROUND, SOFT_GROUND, Air, Path, path_response
from gunshot.synthetic.recorders import RECORDERS, sections

__all__ = ["ResponseBank", "place_response", "recorder_response", "response_length", "way_response"]

Complex64 = NDArray[np.complex64]
Float64 = NDArray[np.float64]


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def way_response(freqs_hz: Float64, rng: np.random.Generator) -> Complex64:
    """Draw what 5 to 1,500 m more of air, over ground and perhaps behind an obstacle, do to a sound.

    Parameters
    ----------
    freqs_hz : ndarray of shape (n,), float64
        Frequencies [Hz], from 0.
    rng : numpy.random.Generator
        Of the copy.

    Returns
    -------
    ndarray of shape (n,), complex64
        The response [1].
    """
    air = Air(
        temperature_c=float(rng.uniform(-5.0, 35.0)),
        humidity_percent=float(rng.uniform(15.0, 95.0)),
        pressure_kpa=float(rng.uniform(90.0, 103.0)),
    )
    path = Path(
        length_m=_log_uniform(5.0, 1500.0, rng),
        source_height_m=float(rng.uniform(0.8, 2.0)),
        receiver_height_m=float(rng.uniform(0.5, 8.0)),
        flow_resistivity=SOFT_GROUND if rng.random() < 0.6 else HARD_GROUND,
        detour_m=_log_uniform(0.01, 1.0, rng) if rng.random() < 0.4 else 0.0,
    )
    return path_response(freqs_hz, path, air)


def place_response(n_fft: int, sr: int, rng: np.random.Generator) -> Complex64:
    """Draw a place: the direct sound and its reverberation and echoes.

    Parameters
    ----------
    n_fft : int
        Length of the transform [samples]; the response is half as long.
    sr : int
        Sample rate [Hz].
    rng : numpy.random.Generator
        Of the copy.

    Returns
    -------
    ndarray of shape (n_fft // 2 + 1,), complex64
        The response [1].
    """
    names = sorted(PLACES)
    place = PLACES[names[int(rng.integers(len(names)))]]
    late = late_response(place, _log_uniform(3.0, 600.0, rng), length_s=n_fft / 2 / sr, sr=sr, rng=rng)
    late *= np.float32(10.0 ** (rng.uniform(-8.0, 6.0) / 20.0))
    late[0] += 1.0
    return np.asarray(scipy.fft.rfft(late, n_fft), dtype=np.complex64)


def recorder_response(freqs_hz: Float64, sr: int, rng: np.random.Generator) -> Complex64:
    """Draw a recorder: a device's filters, a band, a tilt.

    Parameters
    ----------
    freqs_hz : ndarray of shape (n,), float64
        Frequencies [Hz], from 0 to half of `sr`.
    sr : int
        Sample rate [Hz].
    rng : numpy.random.Generator
        Of the copy.

    Returns
    -------
    ndarray of shape (n,), complex64
        The response [1].
    """
    response = np.ones(freqs_hz.size, dtype=np.complex128)
    if rng.random() < 0.5:
        names = sorted(RECORDERS)
        sos = sections(RECORDERS[names[int(rng.integers(len(names)))]], sr)
        response *= scipy.signal.sosfreqz(sos, freqs_hz, fs=sr)[1]
    ratio = np.maximum(freqs_hz, 1.0)
    if rng.random() < 0.5:  # magnitudes of Butterworth filters, of zero phase
        corner, order = _log_uniform(1200.0, sr / 2.0, rng), int(rng.integers(2, 9))
        response /= np.sqrt(1.0 + (ratio / corner) ** (2 * order))
    if rng.random() < 0.5:
        corner, order = _log_uniform(30.0, 500.0, rng), int(rng.integers(1, 5))
        response /= np.sqrt(1.0 + (corner / ratio) ** (2 * order))
    tilt_db = rng.uniform(-4.0, 4.0)  # an octave
    response *= 10.0 ** (tilt_db / 20.0 * np.log2(np.clip(ratio, 50.0, None) / 1000.0))
    return response.astype(np.complex64)


class ResponseBank:
    """Responses drawn once and taken many times.

    Drawing them is most of a distortion's time: ground, absorption and a reverberant tail are computed at every
    frequency. Ways, places and recorders are taken independently of each other, so that a bank of 256 of each stands
    for millions of ways to hear a sound.

    Parameters
    ----------
    seed : sequence of int
        Of the draws.
    n_samples : int
        Length of the sounds [samples].
    sr : int
        Sample rate [Hz].
    size : int
        Responses of each kind.
    """

    def __init__(self, seed: Sequence[int], n_samples: int, sr: int, size: int = 256) -> None:
        rng = np.random.default_rng(seed)
        self.n_fft = response_length(n_samples)
        freqs_hz = scipy.fft.rfftfreq(self.n_fft, 1.0 / sr)
        self._ways = [way_response(freqs_hz, rng) for _ in range(size)]
        self._places = [place_response(self.n_fft, sr, rng) for _ in range(size)]
        self._recorders = [recorder_response(freqs_hz, sr, rng) for _ in range(size)]

    def way(self, rng: np.random.Generator) -> Complex64:
        """Take one of `way_response`.

        Parameters
        ----------
        rng : numpy.random.Generator
            Of the copy.

        Returns
        -------
        ndarray of shape (n_fft // 2 + 1,), complex64
            The response [1].
        """
        return self._ways[int(rng.integers(len(self._ways)))]

    def place(self, rng: np.random.Generator) -> Complex64:
        """Take one of `place_response`.

        Parameters
        ----------
        rng : numpy.random.Generator
            Of the copy.

        Returns
        -------
        ndarray of shape (n_fft // 2 + 1,), complex64
            The response [1].
        """
        return self._places[int(rng.integers(len(self._places)))]

    def recorder(self, rng: np.random.Generator) -> Complex64:
        """Take one of `recorder_response`.

        Parameters
        ----------
        rng : numpy.random.Generator
            Of the copy.

        Returns
        -------
        ndarray of shape (n_fft // 2 + 1,), complex64
            The response [1].
        """
        return self._recorders[int(rng.integers(len(self._recorders)))]


def response_length(n_samples: int) -> int:
    """Length of the transforms in which sounds are convolved.

    Parameters
    ----------
    n_samples : int
        Length of the sound [samples].

    Returns
    -------
    int
        At least twice as long [samples]: nothing wraps around.
    """
    return int(scipy.fft.next_fast_len(2 * n_samples, real=True))
