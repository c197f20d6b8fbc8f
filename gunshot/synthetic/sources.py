"""Gunshots: the muzzle blast, the bullet's shock wave, and how shots follow each other.

Conventions: pressures in pascal, times in seconds, distances in metres. A sound is given as it arrives: a
few `Arrival` whose samples share one time origin, the first wavefront at sample 0, with spreading (and
for the strong waves of firearms the lengthening by distance) applied, but neither air absorption nor
ground, place or recorder.

What the numbers rest on. Peak levels: small arms reach 140 to 175 dB near the muzzle or the ear (Murphy
et al. 2018, Int. J. Audiology 57 S1); the level depends more on the direction of fire than on the arm
(Beck, Nakasone and Marr 2011, JASA 129 1748; Maher and Routh 2015, AES 9471). Shape: a Friedlander wave, as
ANSI S12.7 describes impulses in a free field; the whole disturbance lasts 3 to 5 ms (Maher 2006 and 2007,
IEEE SAFE). Positive phases of 0.25 to 0.8 ms put the spectral peak at 200 to 640 Hz, where handgun live
fire recorded at 45 to 894 m has it (290 to 520 Hz, ShotSpotter Technical Note 098). The ranges are rounded
by hand from such reports; they are not a fit to any one set of recordings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import ParameterError
from gunshot.synthetic.ballistics import Ballistics, Shockwave, bullet_shock, weak_shock_growth
from gunshot.synthetic.propagation import speed_of_sound, spreading_gain
from gunshot.synthetic.sampling import place_friedlander, place_n_wave, silence
from gunshot.synthetic.waves import pascal

__all__ = [
    "WEAPONS",
    "Arrival",
    "Weapon",
    "firing_times",
    "gunshot",
]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Firing = Literal["single", "series", "burst"]

_GAS_NOISE_S = 0.006  # time constant of the turbulent gas that follows the blast


@dataclass(frozen=True, kw_only=True)
class Weapon:
    """One class of firearms; each pair is the range from which a shot's value is drawn.

    Parameters
    ----------
    peak_db : tuple of float
        Peak level of the muzzle blast 1 m from the muzzle, ahead of it [dB re 20 uPa].
    positive_s : tuple of float
        Duration of the positive phase there [s].
    speed_m_s : tuple of float or None
        Speed of the bullet at the muzzle [m/s]; None for shot pellets, which leave no clear N-wave.
    calibre_m, bullet_m : tuple of float
        Diameter and length of the bullet [m].
    gap_db : float or None
        Level of the blast from a revolver's cylinder gap, relative to the muzzle blast [dB].
    """

    peak_db: tuple[float, float]
    positive_s: tuple[float, float]
    speed_m_s: tuple[float, float] | None
    calibre_m: tuple[float, float] = (0.009, 0.0115)
    bullet_m: tuple[float, float] = (0.013, 0.017)
    gap_db: float | None = None


WEAPONS: dict[str, Weapon] = {
    "pistol": Weapon(peak_db=(152.0, 163.0), positive_s=(2.5e-4, 4.5e-4), speed_m_s=(240.0, 400.0)),
    "revolver": Weapon(peak_db=(153.0, 164.0), positive_s=(2.5e-4, 4.5e-4), speed_m_s=(230.0, 440.0), gap_db=-10.0),
    "rifle": Weapon(
        peak_db=(156.0, 168.0),
        positive_s=(4.0e-4, 7.0e-4),
        speed_m_s=(680.0, 950.0),
        calibre_m=(0.0056, 0.0079),
        bullet_m=(0.019, 0.032),
    ),
    "shotgun": Weapon(peak_db=(152.0, 162.0), positive_s=(4.5e-4, 8.0e-4), speed_m_s=None),
}
"""The weapon classes by name."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One kind of wavefront at the receiver.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        Pressure from the first wavefront of the sound [Pa].
    path_m : float
        Way through the air, for absorption and ground [m].
    """

    y: Float32
    path_m: float


def firing_times(firing: Firing, rng: np.random.Generator) -> Float64:
    """Draw the times of the shots of one event.

    Parameters
    ----------
    firing : {"single", "series", "burst"}
        One shot; two to four aimed shots 0.2 to 0.6 s apart; or three to eight rounds of automatic fire
        at 600 to 900 rounds per minute, regular to 1 %.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    ndarray of shape (n_shots,), float64
        Times from the first shot [s], increasing from 0.

    Raises
    ------
    ParameterError
        If `firing` is none of the three.
    """
    if firing == "single":
        return np.zeros(1)
    if firing == "series":
        gaps_s = rng.uniform(0.2, 0.6, size=int(rng.integers(1, 4)))
    elif firing == "burst":
        n_gaps = int(rng.integers(2, 8))
        gaps_s = 60.0 / rng.uniform(600.0, 900.0) * rng.normal(1.0, 0.01, size=n_gaps)
    else:
        raise ParameterError(f"firing must be single, series or burst; got {firing!r}; choose one of them")
    times_s: Float64 = np.concatenate([np.zeros(1), np.cumsum(gaps_s)])
    return times_s


def gunshot(
    weapon: str,
    firing: Firing,
    *,
    sr: int,
    distance_m: float,
    max_s: float,
    temperature_c: float,
    rng: np.random.Generator,
) -> tuple[Arrival, ...]:
    """One event of gunfire as it arrives through ideal air.

    The aim is drawn at random. Where a supersonic bullet's shock wave sweeps over the receiver it comes
    first and the muzzle blast follows by geometry; the blast is weaker behind the shooter.

    Parameters
    ----------
    weapon : str
        A key of `WEAPONS`.
    firing : {"single", "series", "burst"}
        How the shots follow each other; see `firing_times`.
    sr : int
        Sample rate [Hz].
    distance_m : float
        Distance between muzzle and receiver [m].
    max_s : float
        Longest sound wanted [s]; what comes later is cut.
    temperature_c : float
        Temperature of the air [degrees Celsius].
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    tuple of Arrival
        The muzzle blasts, and the shock waves if there are any.

    Raises
    ------
    ParameterError
        If `weapon` or `firing` is unknown.
    """
    if weapon not in WEAPONS:
        raise ParameterError(f"weapon must be one of {', '.join(WEAPONS)}; got {weapon!r}; choose one of them")
    arm = WEAPONS[weapon]
    c = speed_of_sound(temperature_c)
    angle_rad = float(rng.uniform(0.0, math.pi))
    times_s = firing_times(firing, rng)
    shock = _shock_of(arm, distance_m, angle_rad, c, rng)
    lead_s = distance_m / c - shock.delay_s if shock else 0.0
    arrivals = [
        Arrival(
            y=_muzzle_blasts(arm, times_s + lead_s, distance_m, angle_rad, sr, max_s, c, rng),
            path_m=distance_m,
        )
    ]
    if shock:
        y = silence(times_s[-1] + 2.0 * shock.duration_s, sr, max_s)
        for time_s in times_s:
            place_n_wave(y, sr, float(time_s), shock.peak_pa, shock.duration_s)
        arrivals.append(Arrival(y=y.astype(np.float32), path_m=shock.path_m))
    return tuple(arrivals)


def _shock_of(arm: Weapon, distance_m: float, angle_rad: float, c: float, rng: np.random.Generator) -> Shockwave | None:
    """Draw a bullet, and give its shock wave at the receiver where there is one."""
    if arm.speed_m_s is None:
        return None
    mach = float(rng.uniform(*arm.speed_m_s)) / c
    calibre_m, bullet_m = float(rng.uniform(*arm.calibre_m)), float(rng.uniform(*arm.bullet_m))
    flight_m = float(np.exp(rng.uniform(math.log(20.0), math.log(300.0))))
    if mach <= 1.02:
        return None
    bullet = Ballistics(mach=mach, calibre_m=calibre_m, bullet_m=bullet_m, flight_m=flight_m)
    return bullet_shock(bullet, distance_m, angle_rad, c)


def _muzzle_blasts(
    arm: Weapon,
    times_s: Float64,
    distance_m: float,
    angle_rad: float,
    sr: int,
    max_s: float,
    c: float,
    rng: np.random.Generator,
) -> Float32:
    """Blasts at the receiver, one for every shot, of one arm and its small spread from shot to shot."""
    front_pa = pascal(float(rng.uniform(*arm.peak_db)))
    positive_s = float(rng.uniform(*arm.positive_s))
    decay = float(rng.uniform(0.9, 1.3))
    behind_db = float(rng.uniform(6.0, 16.0))
    aside_pa = front_pa * 10.0 ** (-behind_db * (1.0 - math.cos(angle_rad)) / 40.0)
    growth = weak_shock_growth(aside_pa, positive_s, distance_m, c)
    gain = spreading_gain(distance_m) / growth
    gap_s = float(rng.uniform(3e-4, 7e-4)) if arm.gap_db is not None else 0.0
    gas_db = float(rng.uniform(-30.0, -18.0))
    y = silence(float(times_s[-1]) + gap_s + 0.04, sr, max_s)
    for time_s in times_s:
        peak_pa = aside_pa * gain * 10.0 ** (rng.normal(0.0, 0.7) / 20.0)
        length_s = positive_s * growth * rng.normal(1.0, 0.03)
        if arm.gap_db is not None:
            place_friedlander(y, sr, float(time_s), peak_pa * 10.0 ** (arm.gap_db / 20.0), 0.5 * length_s)
        place_friedlander(y, sr, float(time_s) + gap_s, peak_pa, length_s, decay)
        _add_gas_noise(y, sr, float(time_s) + gap_s, peak_pa * 10.0 ** (gas_db / 20.0), rng)
    return y.astype(np.float32)


def _add_gas_noise(y: Float64, sr: int, start_s: float, rms_pa: float, rng: np.random.Generator) -> None:
    """Add the noise of the turbulent gas behind a blast: it swells within 1 ms and dies away."""
    first = min(round(start_s * sr), len(y))
    n_samples = min(round(6.0 * _GAS_NOISE_S * sr), len(y) - first)
    t_s = np.arange(n_samples) / sr
    noise = rng.standard_normal(n_samples)
    n_smooth = max(1, round(sr / 8000))  # jets of this size radiate little above a few kHz
    if n_samples > n_smooth:
        noise = np.convolve(noise, np.full(n_smooth, n_smooth**-0.5), mode="same")
    y[first : first + n_samples] += rms_pa * noise * np.exp(-t_s / _GAS_NOISE_S) * np.tanh(t_s / 1e-3)
