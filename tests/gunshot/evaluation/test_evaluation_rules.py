"""What users may write, and what they are told otherwise."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.evaluation.rules import DEFAULT_RULES, PointRule, parse_rule

RULES = (
    st.builds(PointRule, st.sampled_from(["miss", "fpr"]), st.integers(0, 10_000).map(lambda n: n / 10_000))
    | st.builds(PointRule, st.just("day"), st.integers(1, 10**6).map(lambda n: n / 10), st.sampled_from([1300.0, 20.5]))
    | st.builds(PointRule, st.just("threshold"), st.floats(0, 1))
)


@pytest.mark.parametrize(
    ("text", "kind", "value", "name"),
    [
        ("miss 1%", "miss", 0.01, "miss 1%"),
        ("  Miss at most  1 % ", "miss", 0.01, "miss 1%"),
        ("miss 0.01", "miss", 0.01, "miss 1%"),
        ("miss .5%", "miss", 0.005, "miss 0.5%"),
        ("miss 0", "miss", 0.0, "miss 0%"),
        ("fpr 0.2%", "fpr", 0.002, "fpr 0.2%"),
        ("fpr 2e-3", "fpr", 0.002, "fpr 0.2%"),
        ("fpr 100%", "fpr", 1.0, "fpr 100%"),
        ("10 a day", "day", 10.0, "10 a day"),
        ("10/day", "day", 10.0, "10 a day"),
        ("0.5 per day", "day", 0.5, "0.5 a day"),
        ("10 a day at 1300 an hour", "day", 10.0, "10 a day"),
        ("10 a day at 400 an hour", "day", 10.0, "10 a day at 400 an hour"),
        ("0.7", "threshold", 0.7, "threshold 0.7"),
        ("threshold 0.7", "threshold", 0.7, "threshold 0.7"),
        ("1", "threshold", 1.0, "threshold 1.0"),
    ],
)
def test_a_text_and_its_name(text: str, kind: str, value: float, name: str) -> None:
    rule = parse_rule(text)
    assert (rule.kind, rule.name) == (kind, name)
    assert rule.value == pytest.approx(value, rel=1e-12)
    assert parse_rule(name) == rule


@given(RULES)
def test_a_name_reads_back_as_its_rule(rule: PointRule) -> None:
    again = parse_rule(rule.name)
    assert again.name == rule.name
    assert again.value == pytest.approx(rule.value, rel=1e-9)
    assert again.candidates_per_hour == rule.candidates_per_hour


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "operating point '' is none of the forms 'miss 1%', '10 a day'"),
        ("few", "operating point 'few' is none of the forms"),
        ("1%", "operating point '1%' is none of the forms"),
        ("miss", "operating point 'miss' is none of the forms"),
        ("miss 1% or so", "is none of the forms"),
        ("miss -1%", "is none of the forms"),
        ("miss 1", "operating point 'miss 1': write 'miss 1%', or a share below 1"),
        ("fpr 2", "operating point 'fpr 2': write 'fpr 2%', or a share below 1"),
        ("miss 101%", r"miss of an operating point must lie in \[0, 1\]; got 1.01: a percentage has a percent sign"),
        ("0 a day", "false alarms a day of an operating point must be more than 0; got 0"),
        ("10 a day at 0 an hour", "candidates an hour of an operating point must be more than 0; got 0"),
        ("7", r"threshold of an operating point must lie in \[0, 1\]; got 7: give 'miss 1%'"),
        ("-0.1", r"threshold of an operating point must lie in \[0, 1\]; got -0.1"),
        ("nan", r"threshold of an operating point must lie in \[0, 1\]; got nan"),
    ],
)
def test_what_is_no_rule(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as error:
        parse_rule(text)
    assert "\n" not in str(error.value)


@given(st.text(max_size=30))
def test_any_other_text_is_one_clear_error(text: str) -> None:
    with contextlib.suppress(ParameterError):
        assert parse_rule(text).share >= 0.0


def test_false_alarms_a_day_are_a_share_of_the_candidates() -> None:
    assert parse_rule("31.2 a day").share == pytest.approx(0.001)
    assert parse_rule("31.2 a day at 130 an hour").share == pytest.approx(0.01)
    assert parse_rule("miss 2%").share == 0.02


def test_defaults_have_different_names() -> None:
    assert [rule.name for rule in DEFAULT_RULES] == ["miss 1%", "miss 5%", "10 a day", "100 a day"]
