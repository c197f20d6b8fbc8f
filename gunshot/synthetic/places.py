"""Places: what surrounds a source and a receiver adds echoes and a reverberant tail.

Conventions: seconds, metres, Hz. The response of a place is that of the late sound alone, relative to the
direct sound: the received spectrum is the direct spectrum times ``1 + late``. The tail is noise that
decays exponentially, with a reverberation time (60 dB) of its own in each of `BANDS_HZ`; echoes are single
copies from large surfaces. Its share of the energy grows with the distance, as the direct sound spreads
and the late sound hardly does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gunshot.errors import ParameterError
from gunshot.synthetic.propagation import FOREST_FLOOR, HARD_GROUND, SOFT_GROUND, Air, Path, path_response
from gunshot.synthetic.sources import Arrival

__all__ = ["BANDS_HZ", "PLACES", "Place", "late_response", "received"]

Float32 = NDArray[np.float32]
Complex128 = NDArray[np.complex128]

BANDS_HZ = (0.0, 350.0, 1400.0, 5000.0, np.inf)
"""Edges of the bands in which the tail decays at its own rate [Hz]."""

_RISE_S = 0.001  # half width of an echo's spread


@dataclass(frozen=True, kw_only=True)
class Place:
    """A kind of surroundings.

    Parameters
    ----------
    reverberation_s : tuple of float
        Reverberation times in the four `BANDS_HZ` [s].
    colour_db : tuple of float
        Level of the tail's energy density in the four bands [dB], relative.
    late_db : float
        Energy of the tail over that of the direct sound far beyond `critical_m` [dB].
    critical_m : float
        Distance at which the share has half of that value [m].
    build_up_s : float
        Time constant with which the tail swells [s].
    echoes : tuple of int
        Fewest and most single echoes.
    echo_s : tuple of float
        Earliest and latest delay of an echo [s].
    echo_db : tuple of float
        Weakest and strongest echo relative to the direct sound [dB].
    flow_resistivity : float
        Flow resistivity of the ground [Pa s/m2].
    screened : float
        Probability that an obstacle stands in the line of sight.
    """

    reverberation_s: tuple[float, float, float, float]
    colour_db: tuple[float, float, float, float]
    late_db: float
    critical_m: float
    build_up_s: float
    echoes: tuple[int, int]
    echo_s: tuple[float, float]
    echo_db: tuple[float, float]
    flow_resistivity: float
    screened: float


PLACES: dict[str, Place] = {
    "open field": Place(
        reverberation_s=(0.9, 0.7, 0.5, 0.3),
        colour_db=(0.0, -3.0, -8.0, -16.0),
        late_db=-13.0,
        critical_m=150.0,
        build_up_s=0.05,
        echoes=(0, 1),
        echo_s=(0.15, 0.7),
        echo_db=(-32.0, -20.0),
        flow_resistivity=SOFT_GROUND,
        screened=0.1,
    ),
    "forest": Place(
        reverberation_s=(1.3, 1.6, 1.1, 0.5),
        colour_db=(-3.0, 0.0, -3.0, -10.0),
        late_db=0.0,
        critical_m=80.0,
        build_up_s=0.02,
        echoes=(0, 2),
        echo_s=(0.03, 0.4),
        echo_db=(-26.0, -14.0),
        flow_resistivity=FOREST_FLOOR,
        screened=0.3,
    ),
    "street": Place(
        reverberation_s=(1.8, 1.6, 1.1, 0.5),
        colour_db=(0.0, 0.0, -3.0, -9.0),
        late_db=2.0,
        critical_m=50.0,
        build_up_s=0.004,
        echoes=(2, 6),
        echo_s=(0.012, 0.25),
        echo_db=(-20.0, -6.0),
        flow_resistivity=HARD_GROUND,
        screened=0.4,
    ),
}
"""The places by name."""


def late_response(place: Place, distance_m: float, *, length_s: float, sr: int, rng: np.random.Generator) -> Float32:
    """Impulse response of a place without the direct sound.

    Parameters
    ----------
    place : Place
        The place; its reverberation times are drawn anew within 20 %.
    distance_m : float
        Distance between source and receiver [m].
    length_s : float
        Length of the response [s], at least one sample.
    sr : int
        Sample rate [Hz].
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Response to a direct sound that is a unit impulse at sample 0 [1].

    Raises
    ------
    ParameterError
        If `length_s` is below one sample.
    """
    n_samples = round(length_s * sr)
    if n_samples < 1:
        raise ParameterError(f"length_s must hold a sample at {sr} Hz; got {length_s}; make it longer")
    n_fft = scipy.fft.next_fast_len(max(n_samples, 64), real=True)
    freqs_hz = scipy.fft.rfftfreq(n_fft, 1.0 / sr)
    noise = rng.standard_normal((2, len(freqs_hz)), dtype=np.float32)
    spectrum = noise[0] + 1j * noise[1]
    t_s = np.arange(n_samples, dtype=np.float32) / np.float32(sr)
    tail = np.zeros(n_samples, np.float32)
    speed = float(rng.uniform(0.8, 1.2))
    for k, reverberation_s in enumerate(place.reverberation_s):
        low, high = np.searchsorted(freqs_hz, BANDS_HZ[k : k + 2])
        if low < high:
            bins = np.zeros_like(spectrum)
            bins[low:high] = spectrum[low:high]
            band = scipy.fft.irfft(bins, n_fft)[:n_samples]
            decay = np.exp(t_s * np.float32(-6.91 / (reverberation_s * speed)))
            tail += band * decay * np.float32(10.0 ** (place.colour_db[k] / 20.0))
    tail *= 1.0 - np.exp(-t_s / np.float32(place.build_up_s))
    near = (distance_m / place.critical_m) ** 2
    energy = 10.0 ** (place.late_db / 10.0) * near / (1.0 + near)
    tail *= np.float32(np.sqrt(energy / max(float(np.sum(tail**2)), 1e-20)))
    _add_echoes(tail, place, sr, rng)
    return tail


def received(
    arrivals: tuple[Arrival, ...],
    path: Path,
    air: Air,
    place: Place,
    *,
    sr: int,
    n_samples: int,
    lead_samples: int,
    spacing_s: tuple[float, ...] = (0.0,),
    rng: np.random.Generator,
) -> Float32:
    """Give a sound as it reaches the microphones: through air, over ground, within a place.

    Parameters
    ----------
    arrivals : tuple of Arrival
        The sound in ideal air; its first wavefront is sample 0 of each arrival.
    path : Path
        Heights, ground and screening; the length is taken from each arrival.
    air : Air
        State of the air.
    place : Place
        The surroundings.
    sr : int
        Sample rate [Hz].
    n_samples : int
        Samples wanted, with the lead.
    lead_samples : int
        Sample at which the first wavefront arrives; room for what band-limiting smears ahead of it.
    spacing_s : tuple of float
        Delay of each microphone after the first one [s].
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of shape (n_samples, len(spacing_s)), float32
        Pressure [Pa].
    """
    room = n_samples - lead_samples
    longest = min(max(len(arrival.y) for arrival in arrivals), room)
    slower = _late_decimation(sr)
    n_fft = slower * scipy.fft.next_fast_len(-(-(lead_samples + longest + room) // slower), real=True)
    freqs_hz = scipy.fft.rfftfreq(n_fft, 1.0 / sr)
    dry = np.zeros(len(freqs_hz), np.complex64)
    padded = np.zeros(n_fft, np.float32)
    for arrival in arrivals:
        n_fits = min(len(arrival.y), room)
        padded[lead_samples : lead_samples + n_fits] = arrival.y[:n_fits]
        padded[lead_samples + n_fits :] = 0.0
        response = path_response(freqs_hz, replace(path, length_m=arrival.path_m), air)
        dry += scipy.fft.rfft(padded) * response
    out = np.empty((n_samples, len(spacing_s)), np.float32)
    for channel, delay_s in enumerate(spacing_s):
        late = late_response(place, path.length_m, length_s=room / sr, sr=sr // slower, rng=rng)
        wet = dry.copy()
        late_spectrum = scipy.fft.rfft(late, n_fft // slower)
        wet[: len(late_spectrum)] += dry[: len(late_spectrum)] * late_spectrum
        if delay_s:
            wet *= np.exp(np.complex64(-2j * np.pi * delay_s) * freqs_hz.astype(np.float32))
        out[:, channel] = scipy.fft.irfft(wet, n_fft)[:n_samples]
    return out


def _late_decimation(sr: int) -> int:
    """Give the factor by which late sound needs a lower rate: nothing of it is left above 20 kHz."""
    factor = max(1, sr // 44_100)
    return factor if sr % factor == 0 else 1


def _add_echoes(tail: Float32, place: Place, sr: int, rng: np.random.Generator) -> None:
    """Add single echoes, each spread over 2 ms as by a rough surface, in place."""
    width = max(3, round(2 * _RISE_S * sr))
    spread = np.hanning(width + 2)[1:-1]
    for _ in range(int(rng.integers(place.echoes[0], place.echoes[1] + 1))):
        first = round(rng.uniform(*place.echo_s) * sr)
        gain = 10.0 ** (rng.uniform(*place.echo_db) / 20.0)
        shape = spread * rng.choice([-1.0, 1.0, 1.0, 1.0], width) * (gain / np.sum(spread))
        n_fits = min(width, len(tail) - first)
        if n_fits > 0:
            tail[first : first + n_fits] += shape[:n_fits].astype(np.float32)
