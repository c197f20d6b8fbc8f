"""Geometry and N-wave of a bullet's shock wave, and the ageing of blasts."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.synthetic.ballistics import Ballistics, bullet_shock, weak_shock_growth

C = 340.0


def bullet(mach: float = 2.5, flight_m: float = 1e5) -> Ballistics:
    return Ballistics(mach=mach, calibre_m=0.0078, bullet_m=0.028, flight_m=flight_m)


@given(mach=st.floats(1.05, 3.0), distance_m=st.floats(20.0, 800.0), share=st.floats(0.0, 0.99))
def test_shock_wave_never_comes_after_the_muzzle_blast(mach: float, distance_m: float, share: float) -> None:
    angle_rad = share * math.acos(1.0 / mach)  # inside the Mach cone: beyond it there is no shock wave
    shock = bullet_shock(bullet(mach), distance_m, angle_rad, C)
    assert shock is not None
    assert 0.0 < shock.delay_s <= distance_m / C * (1 + 1e-9)


@given(mach=st.floats(1.1, 3.0), distance_m=st.floats(20.0, 800.0), share=st.floats(0.05, 0.95))
def test_arrival_is_flight_to_where_the_ray_leaves_plus_travel_of_the_sound(
    mach: float, distance_m: float, share: float
) -> None:
    ray_rad = math.acos(1.0 / mach)  # between the track and the ray, normal to the Mach cone
    angle_rad = share * ray_rad
    shock = bullet_shock(bullet(mach), distance_m, angle_rad, C)
    miss_m = distance_m * math.sin(angle_rad)
    assume(miss_m >= 1.0)
    assert shock is not None
    leaves_m = distance_m * math.cos(angle_rad) - miss_m / math.tan(ray_rad)
    assert shock.path_m == pytest.approx(miss_m / math.sin(ray_rad))
    assert shock.delay_s == pytest.approx(leaves_m / (mach * C) + shock.path_m / C)


def test_no_shock_wave_beside_behind_or_beyond_the_flight() -> None:
    ray_rad = math.acos(1.0 / 2.5)
    assert bullet_shock(bullet(), 100.0, 0.98 * ray_rad, C) is not None
    assert bullet_shock(bullet(), 100.0, 1.02 * ray_rad, C) is None
    assert bullet_shock(bullet(), 100.0, math.pi, C) is None
    assert bullet_shock(bullet(flight_m=30.0), 100.0, 0.1, C) is None


def test_n_wave_follows_whithams_powers_of_the_miss_distance() -> None:
    near, far = (bullet_shock(bullet(), r, 0.5, C) for r in (50.0, 800.0))
    assert near is not None
    assert far is not None
    assert far.peak_pa / near.peak_pa == pytest.approx(16.0**-0.75)
    assert far.duration_s / near.duration_s == pytest.approx(16.0**0.25)


def test_n_wave_of_a_rifle_bullet_is_some_200_pascal_and_200_microseconds_at_10_m() -> None:
    angle_rad = 0.5
    shock = bullet_shock(bullet(), 10.0 / math.sin(angle_rad), angle_rad, C)
    assert shock is not None
    # 0.53 p0 (M^2-1)^(1/8) d / (b^(3/4) l^(1/4)) and 1.82 M b^(1/4) d / (c (M^2-1)^(3/8) l^(1/4)) by hand
    assert shock.peak_pa == pytest.approx(223.0, rel=0.01)
    assert shock.duration_s == pytest.approx(2.46e-4, rel=0.01)


def test_subsonic_bullet_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"mach must be above 1; got 0\.9"):
        bullet(0.9)


@given(peak_pa=st.floats(10.0, 5000.0), positive_s=st.floats(2e-4, 1e-3), distance_m=st.floats(1.0, 1000.0))
def test_blasts_only_grow_longer_and_strong_ones_more(peak_pa: float, positive_s: float, distance_m: float) -> None:
    growth = weak_shock_growth(peak_pa, positive_s, distance_m, C)
    assert growth >= 1.0
    assert weak_shock_growth(peak_pa, positive_s, 2 * distance_m, C) > growth
    assert weak_shock_growth(2 * peak_pa, positive_s, distance_m, C) >= growth
    assert weak_shock_growth(peak_pa, positive_s, 0.5, C) == 1.0
