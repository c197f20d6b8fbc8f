"""What is exported: one model's detections, once each; whatever is left out is counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError, StorageError
from gunshot.export.selection import Filters, by_recording, parse_time, rows, select
from gunshot.scoring.results import write_batch
from tests.gunshot.export.conftest import START, detection_row, recording_row

Results = Callable[..., str]

HOUR = timedelta(hours=1)
times = st.none() | st.integers(-5, 5).map(lambda hours: START + hours * HOUR)
shares = st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.95, 1.0])


def test_no_results_are_one_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no results at .*: give the folder or prefix"):
        select(str(tmp_path), Filters())


def test_several_models_must_be_told_apart(results: Results) -> None:
    other = {"model": "small-cnn", "model_digest": "n" * 16}
    uri = results([detection_row("a.wav"), detection_row("a.wav", **other), detection_row("b.wav", 3, **other)])
    with pytest.raises(ParameterError, match=r"holds 2 models: name one with --model: field-cnn m+ \(1 rec.*small-cnn"):
        select(uri, Filters())
    for wanted in ("small-cnn", "n" * 16, "nnn"):
        found = select(uri, Filters(model=wanted))
        assert (found.model, found.detections.num_rows, found.recordings.num_rows) == ("small-cnn", 2, 2)
        assert found.filtered == {"of other models": 1}
    with pytest.raises(ParameterError, match="--model paper is none of those"):
        select(uri, Filters(model="paper"))
    results([detection_row("a.wav", model_digest="k" * 16)], name="two")
    with pytest.raises(ParameterError, match="--model field-cnn fits several of those"):
        select(uri, Filters(model="field-cnn"))


def test_a_recording_that_was_scored_twice_gives_each_detection_once(results: Results) -> None:
    results([detection_row("a.wav"), detection_row("a.wav", 9)])
    uri = results([detection_row("a.wav"), detection_row("a.wav", 5)], [recording_row("a.wav", etag="2")], "two")
    found = select(uri, Filters())
    assert found.detections.column("start_s").to_pylist() == [1, 5, 9]
    assert found.filtered == {"scored twice": 1}


def test_recordings_of_one_name_are_not_mixed(results: Results) -> None:
    places = [("x.wav", "/one/x.wav"), ("x.wav", "/two/x.wav")]
    uri = results([detection_row(path, start, uri=uri) for start in (1, 2) for path, uri in places])
    grouped = list(by_recording(select(uri, Filters())))
    assert [(key, [row["start_s"] for row in found]) for key, _, found in grouped] == [(key, [1, 2]) for key in places]
    assert [ledger["uri"] for _, ledger, _ in grouped] == ["/one/x.wav", "/two/x.wav"]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(shares, st.none() | shares, times), max_size=12),
    st.none() | shares, st.none() | shares, times, times,
)  # fmt: skip
def test_filters_keep_what_they_say_and_count_the_rest(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[tuple[float, float | None, datetime | None]],
    min_score: float | None,
    min_probability: float | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    uri = str(tmp_path_factory.mktemp("results"))
    found = [
        detection_row("a.wav", float(number), score=score, probability=probability, start_utc=time)
        for number, (score, probability, time) in enumerate(values)
    ]
    write_batch(uri, "one", found, [recording_row("a.wav")])
    chosen = select(uri, Filters(min_score=min_score, min_probability=min_probability, since=since, until=until))
    kept = {
        number
        for number, (score, probability, time) in enumerate(values)
        if (min_score is None or score >= min_score)
        and (min_probability is None or (probability is not None and probability >= min_probability))
        and (since is None or (time is not None and time >= since))
        and (until is None or (time is not None and time < until))
    }
    assert {int(row["start_s"]) for row in rows(chosen.detections)} == kept
    assert chosen.n_detections == len(values) == len(kept) + sum(chosen.filtered.values())


def test_times_are_utc_unless_they_say_otherwise() -> None:
    assert parse_time(None, "--since") is None
    assert parse_time("2026-11-22T18:00", "--since") == datetime(2026, 11, 22, 18, tzinfo=UTC)
    for text in ("yesterday", "", "2026-13-01", "0001-01-01T00:00+14:00"):
        with pytest.raises(ParameterError, match="--until takes a time in UTC"):
            parse_time(text, "--until")
