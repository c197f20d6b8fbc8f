"""Strong waves: the shock wave of a supersonic bullet, and how a blast ages on its way.

Conventions: pressures in pascal, times in seconds, distances in metres, angles in radians, speeds as Mach
numbers or in m/s. The bullet flies straight at a constant speed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gunshot.errors import ParameterError

__all__ = ["Ballistics", "Shockwave", "bullet_shock", "weak_shock_growth"]

_ATMOSPHERE_PA = 101_325.0
_HEAT_RATIO = 1.4


@dataclass(frozen=True, kw_only=True)
class Ballistics:
    """A supersonic bullet on a straight line at a constant speed.

    Parameters
    ----------
    mach : float
        Speed over the speed of sound [1], above 1.
    calibre_m, bullet_m : float
        Diameter and length of the bullet [m].
    flight_m : float
        Length of the flight, from the muzzle to where the bullet is stopped [m].
    """

    mach: float
    calibre_m: float
    bullet_m: float
    flight_m: float

    def __post_init__(self) -> None:
        """Refuse a subsonic bullet."""
        if not self.mach > 1.0:
            raise ParameterError(f"mach must be above 1; got {self.mach}; a subsonic bullet has no shock wave")


@dataclass(frozen=True, kw_only=True)
class Shockwave:
    """Where and when the shock wave of a bullet is heard, and its N-wave there.

    Parameters
    ----------
    delay_s : float
        Arrival after the shot was fired [s].
    path_m : float
        Way of the sound from the bullet's track to the receiver [m].
    peak_pa, duration_s : float
        Peak overpressure [Pa] and duration [s] of the N-wave.
    """

    delay_s: float
    path_m: float
    peak_pa: float
    duration_s: float


def weak_shock_growth(peak_pa: float, positive_s: float, distance_m: float, c: float) -> float:
    """Factor by which a strong blast has grown longer, and lower than by spreading, since 1 m.

    Weak-shock theory of a spherical wave with a linear positive phase (Landau 1945; Whitham 1974, chapter
    9): the front outruns the zero crossing, while the impulse times the distance is kept,
    ``T(r) / T(1) = sqrt(1 + (g + 1)/(2 g) P r1 / (p0 c T) ln(r / r1))``.

    Parameters
    ----------
    peak_pa, positive_s : float
        Peak overpressure [Pa] and positive duration [s] at 1 m.
    distance_m : float
        Distance [m]; nearer than 1 m counts as 1 m.
    c : float
        Speed of sound [m/s].

    Returns
    -------
    float
        The factor [1], at least 1.
    """
    strength = (_HEAT_RATIO + 1.0) / (2.0 * _HEAT_RATIO) * peak_pa / (_ATMOSPHERE_PA * c * positive_s)
    return math.sqrt(1.0 + strength * math.log(max(distance_m, 1.0)))


def bullet_shock(bullet: Ballistics, distance_m: float, angle_rad: float, c: float) -> Shockwave | None:
    """Shock wave of a supersonic bullet at a receiver.

    Geometry (Maher 2006): with the receiver ``X`` along and ``B`` off the line of fire, the shock leaves
    the track at ``X - B / sqrt(M**2 - 1)``, on the Mach cone of half-angle ``arcsin(1 / M)``, and arrives
    after ``(X + B sqrt(M**2 - 1)) / (M c)``, never later than the muzzle blast. N-wave (Whitham 1952,
    in the form of Sadler, Pham and Sadler 1998, JASA 104 955):
    ``P = 0.53 p0 d (M**2 - 1)**(1/8) / (B**(3/4) l**(1/4))`` and
    ``T = 1.82 M B**(1/4) d / (c (M**2 - 1)**(3/8) l**(1/4))``.

    Parameters
    ----------
    bullet : Ballistics
        The bullet.
    distance_m : float
        Distance between muzzle and receiver [m].
    angle_rad : float
        Angle between the line of fire and the receiver, seen from the muzzle [rad], in [0, pi].
    c : float
        Speed of sound [m/s].

    Returns
    -------
    Shockwave or None
        None where the receiver is outside of the region that the shock wave sweeps.
    """
    along_m = distance_m * math.cos(angle_rad)
    miss_m = max(distance_m * math.sin(angle_rad), 1.0)
    beta = math.sqrt(bullet.mach**2 - 1.0)
    leaves_m = along_m - miss_m / beta
    if not 0.0 <= leaves_m <= bullet.flight_m:
        return None
    slender = bullet.calibre_m / bullet.bullet_m**0.25
    return Shockwave(
        delay_s=(along_m + miss_m * beta) / (bullet.mach * c),
        path_m=miss_m * bullet.mach / beta,
        peak_pa=0.53 * _ATMOSPHERE_PA * slender * beta**0.25 / miss_m**0.75,
        duration_s=1.82 * bullet.mach * miss_m**0.25 * slender / (c * beta**0.75),
    )
