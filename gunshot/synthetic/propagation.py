"""What the air and the ground do to a sound between its source and a receiver.

Conventions: frequencies in Hz, distances and heights in metres, temperatures in degrees Celsius, relative
humidity in percent, pressures in kPa. Responses are functions of frequency with the time convention of
NumPy's FFT (a delay ``d`` is ``exp(-2j pi f d)``) and are relative to the direct sound in still, loss-free
air at the same distance: geometric spreading is `spreading_gain` and is applied by the sources.

The losses are applied without phase: the small dispersion that goes with them (well below 0.1 % of the
speed of sound) is left out, and a front is smeared to both sides by a fraction of a millisecond instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import wofz

from gunshot.errors import ParameterError

__all__ = [
    "Air",
    "Path",
    "air_absorption",
    "ground_delay_s",
    "ground_reflection",
    "path_response",
    "screening_loss_db",
    "speed_of_sound",
    "spreading_gain",
]

Float64 = NDArray[np.float64]
Complex64 = NDArray[np.complex64]
Complex128 = NDArray[np.complex128]

HARD_GROUND = 2e7
"""Flow resistivity of asphalt and concrete [Pa s/m2] (Embleton, Piercy and Daigle 1983)."""
SOFT_GROUND = 2e5
"""Flow resistivity of grassland [Pa s/m2] (Embleton, Piercy and Daigle 1983)."""
FOREST_FLOOR = 4e4
"""Flow resistivity of a forest floor [Pa s/m2] (Embleton, Piercy and Daigle 1983)."""

_STANDARD_PRESSURE_KPA = 101.325
_N_GRID = 160  # points of the logarithmic grid on which the smooth responses are computed


@dataclass(frozen=True, kw_only=True)
class Air:
    """The state of the air.

    Parameters
    ----------
    temperature_c : float
        Temperature [degrees Celsius], -50 to 60.
    humidity_percent : float
        Relative humidity [%], above 0 and at most 100.
    pressure_kpa : float
        Static pressure [kPa], 40 to 120.

    Raises
    ------
    ParameterError
        If a value is outside its range.
    """

    temperature_c: float = 15.0
    humidity_percent: float = 70.0
    pressure_kpa: float = _STANDARD_PRESSURE_KPA

    def __post_init__(self) -> None:
        """Check the ranges."""
        ranges = {
            "temperature_c": (-50.0, 60.0),
            "humidity_percent": (0.1, 100.0),
            "pressure_kpa": (40.0, 120.0),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ParameterError(f"{name} must be in [{low}, {high}]; got {value}; check its unit")


@dataclass(frozen=True, kw_only=True)
class Path:
    """The way of one wavefront to the receiver.

    Parameters
    ----------
    length_m : float
        Length of the direct path [m].
    source_height_m, receiver_height_m : float
        Heights above the ground [m].
    flow_resistivity : float
        Flow resistivity of the ground [Pa s/m2]; see `ground_reflection`.
    detour_m : float
        How much longer the way around an obstacle is than the straight one [m]; 0 is a free line of sight.
    """

    length_m: float
    source_height_m: float = 1.5
    receiver_height_m: float = 1.5
    flow_resistivity: float = SOFT_GROUND
    detour_m: float = 0.0


def speed_of_sound(temperature_c: float) -> float:
    """Speed of sound in air: ``343.2 sqrt(T / 293.15)`` (ISO 9613-1:1993, annex A).

    Parameters
    ----------
    temperature_c : float
        Temperature [degrees Celsius].

    Returns
    -------
    float
        Speed [m/s].

    Examples
    --------
    >>> speed_of_sound(20.0)
    343.2
    """
    return 343.2 * math.sqrt((temperature_c + 273.15) / 293.15)


def air_absorption(freqs_hz: Float64, air: Air) -> Float64:
    """Attenuation of pure tones by the air.

    ISO 9613-1:1993, equations (3) to (5) and annex B: classical losses and the relaxation of oxygen and
    nitrogen.

    Parameters
    ----------
    freqs_hz : ndarray of shape (n,), float64
        Frequencies [Hz].
    air : Air
        State of the air.

    Returns
    -------
    ndarray of shape (n,), float64
        Attenuation coefficient [dB/m].

    Examples
    --------
    ISO 9613-1, table 1: 3.66 dB/km at 1 kHz, 10 degrees and 70 % relative humidity.

    >>> air = Air(temperature_c=10.0, humidity_percent=70.0)
    >>> (1000 * air_absorption(np.array([1000.0]), air)).round(2).tolist()
    [3.66]
    """
    kelvin = air.temperature_c + 273.15
    pressure = air.pressure_kpa / _STANDARD_PRESSURE_KPA
    warmth = kelvin / 293.15
    saturation = 10.0 ** (4.6151 - 6.8346 * (273.16 / kelvin) ** 1.261)
    vapour = air.humidity_percent * saturation / pressure  # molar concentration [%]
    oxygen_hz = pressure * (24.0 + 4.04e4 * vapour * (0.02 + vapour) / (0.391 + vapour))
    nitrogen_hz = pressure * warmth**-0.5 * (9.0 + 280.0 * vapour * math.exp(-4.170 * (warmth ** (-1.0 / 3.0) - 1.0)))
    squared = np.asarray(freqs_hz, np.float64) ** 2
    relaxation = 0.01275 * math.exp(-2239.1 / kelvin) / (oxygen_hz + squared / oxygen_hz)
    relaxation = relaxation + 0.1068 * math.exp(-3352.0 / kelvin) / (nitrogen_hz + squared / nitrogen_hz)
    classical = 1.84e-11 / pressure * math.sqrt(warmth)
    absorption: Float64 = 8.686 * squared * (classical + warmth**-2.5 * relaxation)
    return absorption


def spreading_gain(distance_m: float) -> float:
    """Pressure at a distance over pressure at 1 m, by spherical spreading: ``1 / distance``.

    Parameters
    ----------
    distance_m : float
        Distance [m]; nearer than 1 m counts as 1 m.

    Returns
    -------
    float
        Gain [1]; -6.02 dB for every doubling.
    """
    return 1.0 / max(distance_m, 1.0)


def ground_delay_s(path: Path, temperature_c: float) -> float:
    """Time by which the ground's reflection follows the direct sound, from the image source.

    Parameters
    ----------
    path : Path
        Direct path and heights; the direct path is the slant one, between the two heights.
    temperature_c : float
        Temperature [degrees Celsius].

    Returns
    -------
    float
        Delay [s].
    """
    return (_image_path_m(path) - path.length_m) / speed_of_sound(temperature_c)


def ground_reflection(freqs_hz: Float64, path: Path, temperature_c: float) -> Complex128:
    """Reflection of a spherical wave from ground of a finite impedance.

    ``Q = R + (1 - R) F(d)`` with the plane-wave coefficient ``R``, the numerical distance ``d`` and the
    boundary loss ``F`` of Embleton, Piercy and Olson (1976), over the impedance of Delany and Bazley
    (1970). Hard ground gives about +1. Soft ground at grazing angles goes to -1 at high frequencies,
    where it cancels the direct sound.

    Parameters
    ----------
    freqs_hz : ndarray of shape (n,), float64
        Frequencies [Hz], positive.
    path : Path
        Direct path, heights and flow resistivity.
    temperature_c : float
        Temperature [degrees Celsius].

    Returns
    -------
    ndarray of shape (n,), complex128
        Reflection coefficient [1], without the delay and the longer path of the image source.
    """
    reflected_m = _image_path_m(path)
    freqs = np.asarray(freqs_hz, np.float64)
    porosity_scale = 1000.0 * freqs / path.flow_resistivity
    impedance = 1.0 + 9.08 * porosity_scale**-0.75 + 11.9j * porosity_scale**-0.73
    sine = min(max((path.source_height_m + path.receiver_height_m) / reflected_m, 1e-6), 1.0)
    plane = (impedance * sine - 1.0) / (impedance * sine + 1.0)
    wavenumber = 2.0 * np.pi * freqs / speed_of_sound(temperature_c)
    distance = np.sqrt(0.5j * wavenumber * reflected_m) * (sine + 1.0 / impedance)
    boundary = 1.0 + 1j * math.sqrt(math.pi) * distance * wofz(distance)
    # the formulas are written for exp(-i w t); NumPy's transform needs the conjugate
    coefficient: Complex128 = np.conj(plane + (1.0 - plane) * boundary)
    return coefficient


def screening_loss_db(freqs_hz: Float64, detour_m: float, temperature_c: float) -> Float64:
    """Loss behind an obstacle: ``5 + 20 lg(x / tanh x)``, ``x = sqrt(2 pi N)`` (Kurze and Anderson 1971).

    Parameters
    ----------
    freqs_hz : ndarray of shape (n,), float64
        Frequencies [Hz].
    detour_m : float
        How much longer the way around the obstacle is [m]; 0 gives no loss at all.
    temperature_c : float
        Temperature [degrees Celsius].

    Returns
    -------
    ndarray of shape (n,), float64
        Loss [dB], at most 24 (scattering fills deeper shadows).
    """
    freqs = np.asarray(freqs_hz, np.float64)
    if detour_m <= 0.0:
        return np.zeros_like(freqs)
    fresnel = 2.0 * detour_m * freqs / speed_of_sound(temperature_c)
    x = np.sqrt(2.0 * np.pi * np.maximum(fresnel, 1e-9))
    loss: Float64 = np.minimum(5.0 + 20.0 * np.log10(x / np.tanh(x)), 24.0)
    return loss


def path_response(freqs_hz: Float64, path: Path, air: Air) -> Complex64:
    """Response of one path: absorption, ground reflection and screening together.

    The smooth factors are computed on a logarithmic grid and interpolated; the delay of the ground's
    reflection is exact.

    Parameters
    ----------
    freqs_hz : ndarray of shape (n,), float64
        Frequencies [Hz], increasing from 0.
    path : Path
        The path.
    air : Air
        State of the air.

    Returns
    -------
    ndarray of shape (n,), complex64
        Pressure over the pressure of the direct sound in loss-free air above no ground [1].
    """
    freqs = np.asarray(freqs_hz, np.float64)
    grid = np.geomspace(5.0, max(float(freqs[-1]), 10.0), _N_GRID)
    loss_db = air_absorption(grid, air) * path.length_m
    loss_db = loss_db + screening_loss_db(grid, path.detour_m, air.temperature_c)
    weaker = path.length_m / _image_path_m(path)
    ground = ground_reflection(grid, path, air.temperature_c) * weaker
    gain = np.exp(np.interp(freqs, grid, loss_db * (-math.log(10.0) / 20.0)).astype(np.float32))
    bounce = np.interp(freqs, grid, ground).astype(np.complex64)
    turn = np.complex64(-2j * math.pi * ground_delay_s(path, air.temperature_c))
    response: Complex64 = gain * (1.0 + bounce * np.exp(turn * freqs.astype(np.float32)))
    return response


def _image_path_m(path: Path) -> float:
    """Length of the path by way of the ground, from the image source [m]."""
    return math.sqrt(path.length_m**2 + 4.0 * path.source_height_m * path.receiver_height_m)
