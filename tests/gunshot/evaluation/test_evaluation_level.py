"""Levels from the clip alone: known ratios come out, and what cannot be told is NaN."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.errors import ParameterError
from gunshot.evaluation.level import GUARD_S, LOUDEST_S, SNR_BANDS_DB, all_bands, band_names, estimated_snr_db

SR, LEAD = 12_000, 600


def clip(before: float, after: float, n: int = 6000) -> NDArray[np.float32]:
    """A clip of two levels: the samples before the onset are +-before, those after it +-after."""
    y = np.where(np.arange(n) < LEAD, before, after) * np.where(np.arange(n) % 2, -1, 1)
    return y.astype(np.float32)


def snr(*clips: NDArray[np.float32], lead: int = LEAD) -> list[float]:
    return estimated_snr_db(np.stack(clips), SR, lead).tolist()


class TestEstimatedSnr:
    @given(st.floats(1e-4, 0.1), st.floats(-20.0, 60.0))
    @settings(max_examples=30)
    def test_the_ratio_of_two_levels(self, before: float, ratio_db: float) -> None:
        assert snr(clip(before, before * 10 ** (ratio_db / 20))) == pytest.approx([ratio_db], abs=1e-4)

    @pytest.mark.parametrize("gain", [1e-3, 0.5, 8.0])
    def test_gain_changes_nothing(self, gain: float) -> None:
        rng = np.random.default_rng(0)
        y = (rng.standard_normal(6000) * np.where(np.arange(6000) < LEAD, 0.01, 0.1)).astype(np.float32)
        assert snr(y * np.float32(gain)) == pytest.approx(snr(y), abs=1e-4)

    def test_steady_sound_gives_a_little_over_0_db(self) -> None:
        rng = np.random.default_rng(1)
        found = estimated_snr_db(rng.standard_normal((50, 6000)).astype(np.float32) * 0.1, SR, LEAD)
        assert 0.0 < np.median(found) < 2.0

    def test_the_last_of_the_lead_does_not_count(self) -> None:
        """An onset may be found late: the beginning of the sound is no background."""
        y = clip(0.01, 0.1)
        late = y.copy()
        late[LEAD - round(GUARD_S * SR) : LEAD] = 0.1
        assert snr(late) == snr(y)
        late[LEAD - round(GUARD_S * SR) - 1] = 0.1
        assert snr(late)[0] < snr(y)[0]

    def test_the_loudest_stretch_counts_wherever_it_is(self) -> None:
        width = round(LOUDEST_S * SR)
        quiet = clip(0.01, 0.01)
        first, last = quiet.copy(), quiet.copy()
        first[LEAD : LEAD + width] *= 10
        last[-width:] *= 10
        assert snr(first, last) == pytest.approx([20.0, 20.0], abs=1e-4)
        half = quiet.copy()
        half[-width // 2 :] *= 10
        assert snr(half)[0] == pytest.approx(10 * np.log10((100 + 1) / 2), abs=1e-3)

    def test_less_sound_than_the_stretch_is_taken_whole(self) -> None:
        assert snr(clip(0.01, 0.1, n=LEAD + 10)) == pytest.approx([20.0], abs=1e-4)

    def test_what_cannot_be_told_is_nan(self) -> None:
        quiet_end = LEAD - round(GUARD_S * SR)
        digital, muted, silent = clip(0.0, 0.1), clip(0.01, 0.1), clip(0.01, 0.0)
        muted[: quiet_end // 2 + 1] = 0.0
        assert np.isnan(snr(digital, muted, silent, clip(0.0, 0.0))).all()
        assert np.isnan(snr(clip(0.01, 0.1), lead=0)).all()
        assert np.isnan(snr(clip(0.01, 0.1), lead=round(GUARD_S * SR))).all()

    def test_zeros_before_the_recording_do_not_dilute_the_background(self) -> None:
        quiet_end = LEAD - round(GUARD_S * SR)
        half = clip(0.01, 0.1)
        half[: quiet_end // 2] = 0.0
        assert snr(half) == pytest.approx([20.0], abs=1e-4)

    def test_each_clip_stands_for_itself(self) -> None:
        clips = [clip(0.01, 0.1), clip(0.0, 0.1), clip(0.02, 0.02)]
        np.testing.assert_array_equal(snr(*clips), [snr(one)[0] for one in clips])
        assert estimated_snr_db(np.empty((0, 6000), np.float32), SR, LEAD).shape == (0,)

    @pytest.mark.parametrize(("shape", "lead"), [((6000,), 600), ((2, 600), 600), ((2, 600), -1)])
    def test_what_is_no_clip_is_refused(self, shape: tuple[int, ...], lead: int) -> None:
        with pytest.raises(ParameterError, match=r"more than lead_samples=.*got shape"):
            estimated_snr_db(np.zeros(shape, np.float32), SR, lead)


class TestBands:
    def test_names_from_quiet_to_loud(self) -> None:
        assert all_bands((3.0, 6.5), "m") == ["under 3 m", "3 to 6.5 m", "6.5 m or more", "not known"]
        assert all_bands((3.0,)) == ["under 3 dB", "3 dB or more", "not known"]

    @given(st.lists(st.floats(-100.0, 100.0) | st.sampled_from([*SNR_BANDS_DB, np.nan]), max_size=20))
    def test_every_value_is_in_its_band(self, values: list[float]) -> None:
        names = band_names(np.array(values, dtype=np.float64), SNR_BANDS_DB)
        bands = all_bands(SNR_BANDS_DB)
        assert len(names) == len(values)
        for value, name in zip(values, names, strict=True):
            # by counting: a value on an edge belongs to the band above it
            expected = len(bands) - 1 if np.isnan(value) else sum(value >= edge for edge in SNR_BANDS_DB)
            assert name == bands[expected]
