"""Nights by site, and whether one is unlike those before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.scoring.nights import (
    N_SCORE_BINS,
    PSI_SHIFTED,
    count_scores,
    drift_of_nights,
    night_of,
    nights_table,
    population_stability,
)
from gunshot.scoring.results.schemas import table_of

Row = dict[str, Any]

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TIMES = st.datetimes(datetime(2001, 1, 2), datetime(2030, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))
COUNTS = st.lists(st.integers(0, 1000), min_size=N_SCORE_BINS, max_size=N_SCORE_BINS).map(np.array)


def recording(uri: str, start: datetime | None = NOON, **values: Any) -> Row:
    return {
        "path": uri, "uri": uri, "size": 1, "etag": "1", "state": "ok", "reason": "", "read_s": 3600.0,
        "start_utc": start, "time_source": "", "n_candidates": 400, "n_detections": 0, "threshold": 0.5, "model": "m",
        "model_digest": "d", "recipe_digest": "r", "site": "A",
    } | values  # fmt: skip


def detection(uri: str, **values: Any) -> Row:
    return {
        "path": uri, "uri": uri, "etag": "1", "start_s": 1.0, "end_s": 2.0, "time_source": "", "n_shots": 2,
        "shots_s": [1.0, 1.5], "score": 0.75, "threshold": 0.5, "model": "m", "model_digest": "d", "recipe_digest": "r",
    } | values  # fmt: skip


class TestNightOf:
    @given(start=TIMES, longitude=st.none() | st.floats(-180, 180))
    def test_a_night_is_one_day_of_times(self, start: datetime, longitude: float | None) -> None:
        """The instant at which a night begins is in it, the one a day later is in the next, and all between are not."""
        local_noon = datetime.fromisoformat(night_of(start, longitude)).replace(tzinfo=UTC) + timedelta(hours=12)
        begins = local_noon - timedelta(hours=(longitude or 0.0) / 15)
        assert timedelta() <= start - begins < timedelta(days=1)

    def test_what_has_no_time_has_no_night(self) -> None:
        assert night_of(None, 9.7) == ""


class TestNightsTable:
    def test_every_recording_and_detection_is_in_one_row(self) -> None:
        recordings = [
            recording("a", NOON), recording("b", NOON + timedelta(hours=23, minutes=59), n_detections=2),
            recording("c", NOON + timedelta(hours=24)), recording("d", NOON, site="B"),
            recording("e", None, n_detections=1),
            recording("f", NOON, state="unreadable", read_s=0.0, n_candidates=0),
            recording("g", NOON, state="silent", n_candidates=0),
        ]  # fmt: skip
        detections = [detection("b"), detection("b", score=0.9, n_shots=1), detection("e")]
        rows = nights_table(table_of(recordings, "recordings"), table_of(detections, "detections"))
        assert [(row["site"], row["night"], row["recordings"], row["detections"], row["shots"]) for row in rows] == [
            ("A", "", 1, 1, 2), ("A", "2026-11-22", 4, 2, 3), ("A", "2026-11-23", 1, 0, 0),
            ("B", "2026-11-22", 1, 0, 0),
        ]  # fmt: skip
        night = rows[1]
        assert (night["not usable"], night["hours listened"], night["candidates an hour"]) == (1, 2.0, 400)
        assert night["best score"] == 0.9

    def test_a_detection_belongs_to_the_night_of_its_recordings_content(self) -> None:
        """A file that was overwritten has two rows; each keeps its own detections."""
        recordings = [
            recording("a", NOON, n_detections=1),
            recording("a", NOON + timedelta(days=3), etag="2", n_detections=1),
        ]
        rows = nights_table(
            table_of(recordings, "recordings"), table_of([detection("a"), detection("a", etag="2")], "detections")
        )
        assert [row["detections"] for row in rows] == [1, 1]


class TestDrift:
    @given(counts=COUNTS, other=COUNTS)
    def test_the_index_is_zero_for_equal_shares_else_positive_and_symmetric(
        self, counts: np.ndarray, other: np.ndarray
    ) -> None:
        assert population_stability(counts, counts) == 0
        assert population_stability(counts, other) >= 0
        assert population_stability(counts, other) == pytest.approx(population_stability(other, counts))

    @given(score=st.lists(st.floats(0, 1, width=32)))
    def test_every_score_is_counted_once(self, score: list[float]) -> None:
        counts = count_scores(np.array(score, dtype=np.float32))
        assert counts.sum() == len(score)
        assert counts.size == N_SCORE_BINS

    def nights(self, *shares: float, n: int = 400, rate: float = 1.0) -> pa.Table:
        """Nights of a share of high scores each."""
        rows = []
        for number, share in enumerate(shares):
            counts = np.zeros(N_SCORE_BINS, dtype=int)
            counts[0], counts[12] = round(n * (1 - share)), round(n * share)
            start = NOON + timedelta(days=number)
            rows.append(recording(f"{number}", start, score_counts=counts.tolist(), read_s=3600.0 * rate))
        return table_of(rows, "recordings")

    def test_a_night_like_the_others_is_not_shifted_and_another_is(self) -> None:
        first, second, third, fourth = drift_of_nights(self.nights(0.05, 0.05, 0.06, 0.6))
        assert first.psi_before is None
        assert first.rate_ratio is None
        assert not first.is_shifted
        for same in (second, third):
            assert same.psi_before is not None
            assert not same.is_shifted
            assert same.rate_ratio == pytest.approx(1.0)
        assert fourth.is_shifted
        assert fourth.psi_before is not None
        assert fourth.psi_before > PSI_SHIFTED

    def test_few_candidates_say_nothing(self) -> None:
        assert [night.psi_before for night in drift_of_nights(self.nights(0.05, 0.9, n=100))] == [None, None]

    def test_sites_are_held_against_themselves(self) -> None:
        quiet, loud = self.nights(0.05, 0.05), self.nights(0.9, 0.9)
        loud = loud.set_column(loud.schema.get_field_index("site"), loud.schema.field("site"), pa.array(["B", "B"]))
        assert not any(night.is_shifted for night in drift_of_nights(pa.concat_tables([quiet, loud])))

    def test_results_of_before_there_were_counts_and_unknown_nights_are_left_out(self) -> None:
        rows = [recording("a"), recording("b", None, score_counts=[9] * N_SCORE_BINS)]
        assert drift_of_nights(table_of(rows, "recordings")) == []

    def test_the_training_data_are_a_reference_of_their_own(self) -> None:
        training = np.zeros(N_SCORE_BINS, dtype=np.int64)
        training[0] = 1000
        (same,) = drift_of_nights(self.nights(0.0), training)
        (other,) = drift_of_nights(self.nights(0.5), training)
        assert same.psi_training is not None
        assert other.psi_training is not None
        assert same.psi_training < 0.1 < PSI_SHIFTED < other.psi_training
