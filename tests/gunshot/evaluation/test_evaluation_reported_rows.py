"""Columns of reported rows: one value a row, and parts of them in the same order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.evaluation.reported_rows import ReportedRows, as_floats

Make = Callable[..., ReportedRows]

COLUMNS = [field.name for field in fields(ReportedRows)]


class TestReportedRows:
    def test_a_column_of_another_length_is_named(self, reported: Make) -> None:
        with pytest.raises(ParameterError, match=r"one value a row each; got .*'device': 1.*: take them from one"):
            reported([1, 0], [0.9, 0.1], device=["one"])

    def test_columns_that_nobody_has_do_not_count(self, reported: Make) -> None:
        rows = reported([1, 0, 0], [0.9, 0.1, 0.2])
        assert len(rows) == 3
        assert (rows.probability, rows.distance_m) == (None, None)

    @given(st.lists(st.booleans(), max_size=12))
    def test_a_part_is_every_column_of_the_same_rows(self, reported: Make, mask: list[bool]) -> None:
        n = len(mask)
        rows = reported(
            [i % 2 for i in range(n)], [i / 12 for i in range(n)], sound=[f"s{i}" for i in range(n)],
            sr=[None if i % 3 else i for i in range(n)], probability=[i / 24 for i in range(n)],
        )  # fmt: skip
        part = rows.take(np.array(mask, dtype=bool))
        where = np.flatnonzero(mask).tolist()
        assert len(part) == len(where)
        for name in COLUMNS:
            whole, taken = getattr(rows, name), getattr(part, name)
            if whole is None:
                assert taken is None
            else:
                assert list(taken) == [whole[i] for i in where]
                assert type(taken) is type(whole)

    def test_both_parts_make_the_whole(self, reported: Make) -> None:
        rows = reported([1, 0, 1, 0], [0.1, 0.2, 0.3, 0.4])
        mask = np.array([True, False, False, True])
        both = [*rows.take(mask).row, *rows.take(~mask).row]
        assert sorted(both) == rows.row.tolist()


class TestAsFloats:
    def test_what_is_not_known_is_nan(self) -> None:
        values = as_floats([1, None, 0.0])
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values, [1.0, np.nan, 0.0])

    def test_no_value_is_no_row(self) -> None:
        assert as_floats([]).shape == (0,)
