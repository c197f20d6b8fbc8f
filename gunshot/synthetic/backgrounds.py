"""Backgrounds: wind, rain, night insects, street traffic, a river, a quiet room.

Conventions: a background is a stream of float32 samples of unit RMS in the long run (slow gusts and single
events move the level of any one stretch), read in blocks of any size. The samples do not depend on how
they are read, and the memory does not grow with the length. Underneath is noise with the spectrum of
`SPECTRA`, made in grains of half a second whose ends overlap with sine tapers (which keep the power of
independent grains constant); on top come the events of the kind: drops, chirps, bubbles, hum.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gunshot.errors import ParameterError

__all__ = ["BACKGROUNDS", "SPECTRA", "Background"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

SPECTRA: dict[str, tuple[tuple[float, float], ...]] = {
    "wind": ((5, 24), (30, 20), (100, 8), (300, -4), (1000, -15), (4000, -26), (20000, -45)),
    "rain": ((30, -16), (200, -10), (1000, -3), (4000, 0), (12000, -4), (30000, -18)),
    "insects": (
        (30, -6),
        (200, -14),
        (1500, -20),
        (3800, -4),
        (4600, 0),
        (5600, -6),
        (9000, -20),
        (30000, -32),
    ),
    "traffic": ((15, 6), (60, 9), (150, 4), (500, -3), (1000, -4), (2500, -14), (8000, -28), (30000, -45)),
    "river": ((30, -14), (150, -5), (400, 0), (1500, -3), (5000, -11), (20000, -25)),
    "room": ((10, 10), (60, 6), (200, -2), (1000, -12), (5000, -22), (30000, -32)),
}
"""Shape of the power spectral density of each kind: corners (frequency [Hz], level [dB])."""

BACKGROUNDS = tuple(SPECTRA)
"""The kinds of background."""

_GRAIN_S = 0.5
_GUSTS_DB = {"wind": 3.5, "rain": 0.8, "insects": 0.8, "traffic": 2.0, "river": 0.4, "room": 0.2}
_GUST_MEMORY_S = 2.5  # correlation time of the slow level changes
_DROPS_HZ, _CHIRPS_HZ, _BUBBLES_HZ = 45.0, 2.2, 9.0  # events a second


class Background:
    """A stream of background noise.

    Parameters
    ----------
    kind : str
        One of `BACKGROUNDS`.
    sr : int
        Sample rate [Hz].
    rng : numpy.random.Generator
        Source of all draws; the stream must be its only user.

    Raises
    ------
    ParameterError
        If `kind` is unknown or `sr` is below 8000.

    Examples
    --------
    >>> stream = Background("rain", 8000, np.random.default_rng(0))
    >>> stream.read(5).shape
    (5,)
    """

    def __init__(self, kind: str, sr: int, rng: np.random.Generator) -> None:
        if kind not in SPECTRA:
            raise ParameterError(f"background must be one of {', '.join(SPECTRA)}; got {kind!r}; choose one of them")
        if sr < 8000:
            raise ParameterError(f"sr must be at least 8000 Hz; got {sr}; give the rate in Hz")
        self._kind, self._sr, self._rng = kind, sr, rng
        self._length = 2 * scipy.fft.next_fast_len(round(0.5 * _GRAIN_S * sr), real=True)
        self._taper = self._length // 5
        self._hop = self._length - self._taper
        rise = np.sin(0.5 * np.pi * (np.arange(self._taper) + 0.5) / self._taper)
        self._rise = rise.astype(np.float32)
        self._shape = _amplitudes(kind, sr, self._length)
        self._kernels = _event_kernels(kind, sr, rng)
        self._gust = float(rng.standard_normal())
        self._hum_hz, self._hum_turn = float(rng.choice([50.0, 60.0])), float(rng.random())
        self._made = 0  # samples that have left the overlap
        self._overlap = self._grain()[self._hop :]
        self._spill = np.zeros(0, np.float32)
        self._ready = np.zeros(0, np.float32)

    def read(self, n_samples: int) -> Float32:
        """Next samples of the stream.

        Parameters
        ----------
        n_samples : int
            How many, 0 or more.

        Returns
        -------
        ndarray of shape (n_samples,), float32
            Samples, of unit RMS in the long run.
        """
        parts, n_have = [self._ready], len(self._ready)
        while n_have < n_samples:
            parts.append(self._hop_of_samples())
            n_have += self._hop
        stretch = np.concatenate(parts)
        self._ready = stretch[n_samples:].copy()
        return stretch[:n_samples]

    def _hop_of_samples(self) -> Float32:
        """One more hop: a grain after the end of the last one, and the events that sound in it."""
        grain = self._grain()
        grain[: self._taper] += self._overlap
        self._overlap = grain[self._hop :].copy()
        out = self._with_events(grain[: self._hop])
        if self._kind == "room":
            turns = self._hum_turn + self._hum_hz * (self._made + np.arange(self._hop)) / self._sr
            out += (0.25 * np.sin(2 * np.pi * turns) + 0.12 * np.sin(4 * np.pi * turns)).astype(np.float32)
        self._made += self._hop
        return out

    def _grain(self) -> Float32:
        """One grain of shaped noise under the present gust, tapered at both ends."""
        rho = math.exp(-self._hop / (_GUST_MEMORY_S * self._sr))
        self._gust = rho * self._gust + math.sqrt(1.0 - rho * rho) * float(self._rng.standard_normal())
        bins = self._rng.standard_normal((2, len(self._shape)), dtype=np.float32)
        level = np.float32(10.0 ** (_GUSTS_DB[self._kind] * self._gust / 20.0))
        spectrum = np.empty(len(self._shape), np.complex64)
        np.multiply(bins[0], self._shape * level, out=spectrum.real)
        np.multiply(bins[1], self._shape * level, out=spectrum.imag)
        noise: Float32 = scipy.fft.irfft(spectrum, self._length, overwrite_x=True)
        noise[: self._taper] *= self._rise
        noise[self._hop :] *= self._rise[::-1]
        return noise

    def _with_events(self, hop: Float32) -> Float32:
        """Add the events that begin in this hop, and what is left of earlier ones."""
        rate_hz = {"rain": _DROPS_HZ, "insects": _CHIRPS_HZ, "river": _BUBBLES_HZ}.get(self._kind, 0.0)
        n_events = int(self._rng.poisson(rate_hz * self._hop / self._sr)) if rate_hz else 0
        longest = max((len(kernel) for kernel in self._kernels), default=0)
        work = np.zeros(self._hop + longest, np.float32)
        work[: self._hop] = hop
        work[: len(self._spill)] += self._spill
        for _ in range(n_events):
            kernel = self._kernels[int(self._rng.integers(len(self._kernels)))]
            first = int(self._rng.integers(self._hop))
            work[first : first + len(kernel)] += kernel * np.float32(self._rng.uniform(0.2, 1.0) ** 2)
        self._spill = work[self._hop :].copy()
        return work[: self._hop]


def _amplitudes(kind: str, sr: int, n_samples: int) -> Float32:
    """Give the standard deviations of the FFT bins (real and imaginary part) that give noise of unit RMS."""
    corners_hz, levels_db = np.array(SPECTRA[kind], np.float64).T
    freqs_hz = np.maximum(scipy.fft.rfftfreq(n_samples, 1.0 / sr), 1.0)
    amplitudes = 10.0 ** (np.interp(np.log(freqs_hz), np.log(corners_hz), levels_db) / 20.0)
    amplitudes[0] = amplitudes[-1] = 0.0
    # irfft divides by n: the variance of a sample is 4 sum(a**2) / n**2
    scaled: Float32 = (amplitudes * n_samples / math.sqrt(4.0 * np.sum(amplitudes**2))).astype(np.float32)
    return scaled


def _event_kernels(kind: str, sr: int, rng: np.random.Generator) -> list[Float32]:
    """Make a small stock of the kind's events, from which the stream draws."""
    makers: dict[str, Callable[[int, np.random.Generator], Float64]] = {
        "rain": _drop,
        "insects": _chirp,
        "river": _bubble,
    }
    if kind not in makers:
        return []
    return [makers[kind](sr, rng).astype(np.float32) for _ in range(6)]


def _drop(sr: int, rng: np.random.Generator) -> Float64:
    """Make a drop on a leaf or a roof: a click that rings for a millisecond."""
    t_s = np.arange(round(0.006 * sr)) / sr
    freq_hz = rng.uniform(1500.0, min(8000.0, 0.42 * sr))
    click: Float64 = 3.0 * np.exp(-t_s / rng.uniform(3e-4, 1.2e-3)) * np.sin(2.0 * np.pi * freq_hz * t_s)
    return click


def _chirp(sr: int, rng: np.random.Generator) -> Float64:
    """Make a cricket's chirp: three to five pulses of one tone, thirty a second."""
    t_s = np.arange(round(0.2 * sr)) / sr
    tone = np.sin(2.0 * np.pi * min(rng.uniform(3800.0, 5200.0), 0.42 * sr) * t_s)
    pulses = np.maximum(np.sin(2.0 * np.pi * rng.uniform(26.0, 34.0) * t_s), 0.0) ** 1.5
    chirp: Float64 = 1.6 * tone * pulses * np.sin(np.pi * t_s / 0.2)
    return chirp


def _bubble(sr: int, rng: np.random.Generator) -> Float64:
    """Make a bubble (Minnaert 1933): a sine that dies in some 10 ms and rises near the surface."""
    t_s = np.arange(round(0.05 * sr)) / sr
    freq_hz = rng.uniform(400.0, min(2500.0, 0.3 * sr))
    turns = freq_hz * (t_s + rng.uniform(0.0, 4.0) * t_s**2)
    bubble: Float64 = 1.2 * np.exp(-t_s / rng.uniform(0.006, 0.014)) * np.sin(2.0 * np.pi * turns)
    return bubble
