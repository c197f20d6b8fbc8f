"""The content refuses what does not fit together, and counts what it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.evaluation.metrics import classification_metrics
from gunshot.report import (
    ClipPicture,
    DatasetRow,
    DatasetSummary,
    GroupCount,
    ModelResult,
    ReportContent,
    ScoredSplit,
    ScoringSummary,
    worst_errors,
)

ROWS = st.lists(
    st.builds(
        DatasetRow,
        file_name=st.sampled_from(["a.wav", "b.wav"]),
        sample_rate_hz=st.sampled_from([44100, 48000, 192000]),
        duration_s=st.floats(0.1, 10.0),
        label=st.integers(0, 1),
        group=st.sampled_from(["", "g1", "g2"]),
    ),
    max_size=20,
)


def row(number: int, group: str = "") -> DatasetRow:
    """Return one row of a data set."""
    return DatasetRow(file_name=f"{number}.wav", sample_rate_hz=44100, duration_s=2.0, label=number % 2, group=group)


class TestDatasetSummary:
    """The table and the counts of a data set."""

    @given(ROWS)
    def test_counts_reconcile(self, rows: list[DatasetRow]) -> None:
        """Every breakdown adds up; groups leave out only the rows without one."""
        summary = DatasetSummary.from_rows(rows)
        assert summary.n_gunshots + summary.n_others == len(rows)
        assert sum(g.n_gunshots for g in summary.by_sample_rate) == summary.n_gunshots
        assert sum(g.n_others for g in summary.by_sample_rate) == summary.n_others
        grouped = sum(g.n_gunshots + g.n_others for g in summary.by_group)
        assert grouped == sum(r.group != "" for r in rows)
        totals = [g.n_gunshots + g.n_others for g in summary.by_group]
        assert totals == sorted(totals, reverse=True)

    @given(ROWS)
    def test_head_and_tail_are_rows_of_the_table_once(self, rows: list[DatasetRow]) -> None:
        """First five and last four, none twice, each with its own number."""
        summary = DatasetSummary.from_rows(rows)
        shown = [*summary.head, *summary.tail]
        numbers = [number for number, _ in shown]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == min(len(rows), 9)
        assert all(rows[number] is shown_row for number, shown_row in shown)

    def test_the_longest_table_shown_whole(self) -> None:
        """Nine rows are the first five and the last four; the tenth makes a gap."""
        nine, ten = (DatasetSummary.from_rows([row(i) for i in range(n)]) for n in (9, 10))
        assert [number for number, _ in (*nine.head, *nine.tail)] == list(range(9))
        assert [number for number, _ in (*ten.head, *ten.tail)] == [0, 1, 2, 3, 4, 6, 7, 8, 9]

    def test_groups_by_hand(self) -> None:
        """Two classes in one group, one row without a group."""
        summary = DatasetSummary.from_rows([row(0, "a"), row(1, "a"), row(2, "b"), row(3)])
        assert summary.by_group == (
            GroupCount(value="a", n_gunshots=1, n_others=1),
            GroupCount(value="b", n_gunshots=0, n_others=1),
        )
        assert summary.by_sample_rate == (GroupCount(value="44,100 Hz", n_gunshots=2, n_others=2),)
        assert summary.total_duration_s == 8.0

    def test_a_row_without_a_label_is_refused(self) -> None:
        """A row that no class counts would make the totals wrong."""
        with pytest.raises(ParameterError, match=r"label of '1.wav' must be 0 .* got -1"):
            replace(row(1), label=-1)


class TestWorstErrors:
    """The rows of the gallery."""

    @given(
        st.lists(st.tuples(st.integers(0, 1), st.floats(0.0, 1.0)), min_size=1, max_size=30),
        st.floats(0.0, 1.0),
        st.integers(0, 8),
    )
    def test_errors_and_only_errors_the_worst_first(
        self, rows: list[tuple[int, float]], threshold: float, limit: int
    ) -> None:
        """As many as there are up to the limit, and none left out is worse than one shown."""
        label, score = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
        misses, false_alarms = worst_errors(label, score, threshold, limit)
        m = classification_metrics(label, score, threshold)
        assert len(misses) == min(limit, m.false_negatives)
        assert len(false_alarms) == min(limit, m.false_positives)
        missed = np.sort(score[(label == 1) & (score < threshold)])
        alarmed = np.sort(score[(label == 0) & (score >= threshold)])[::-1]
        assert score[misses].tolist() == missed[:limit].tolist()
        assert score[false_alarms].tolist() == alarmed[:limit].tolist()
        assert (label[misses] == 1).all()
        assert (label[false_alarms] == 0).all()


class TestRefusals:
    """What does not fit together."""

    METRICS = classification_metrics([1, 0], [0.9, 0.1], 0.5)

    def test_rows_of_another_split(self) -> None:
        """The curves would not be those of the table."""
        with pytest.raises(ParameterError, match=r"label of split 'test' must be the 2 rows .* got 3"):
            ScoredSplit(split="test", metrics=self.METRICS, label=[1, 0, 1], score=[0.9, 0.1, 0.8])

    def test_labels_without_scores(self) -> None:
        """One column alone draws nothing."""
        with pytest.raises(ParameterError, match="both or neither"):
            ScoredSplit(split="test", metrics=self.METRICS, label=[1, 0])

    def test_recordings_that_do_not_reconcile(self) -> None:
        """Listed = ok + each failure state, or an error that shows the sum."""
        with pytest.raises(ParameterError, match=r"got 10 and ok 8 \+ short 1"):
            ScoringSummary(n_listed=10, states={"ok": 8, "short": 1}, listened_s=1.0, n_detections=0)

    def test_models_of_one_name(self) -> None:
        """A legend could not tell them apart."""
        models = [ModelResult(name="cnn"), ModelResult(name="cnn")]
        with pytest.raises(ParameterError, match="names of their own"):
            ReportContent(title="t", trained_on="x", date="d", is_synthetic=False, models=models)

    def test_a_default_model_that_is_not_there(self) -> None:
        """The message lists those that are."""
        models = [ModelResult(name="cnn")]
        with pytest.raises(ParameterError, match=r"one of \['cnn'\]; got 'rnn'"):
            ReportContent(title="t", trained_on="x", date="d", is_synthetic=False, models=models, default_model="rnn")

    def test_pictures(self, clip: ClipPicture) -> None:
        """A transposed, empty or broken spectrogram is named before it is drawn."""
        with pytest.raises(ParameterError, match="is log_mel_db transposed"):
            replace(clip, log_mel_db=clip.log_mel_db.T)
        with pytest.raises(ParameterError, match=r"got shape \(0, 5\)"):
            replace(clip, log_mel_db=np.zeros((0, 5)), mel_hz=[])
        broken = clip.log_mel_db.copy()
        broken[3, 4] = -np.inf
        with pytest.raises(ParameterError, match="log_mel_db must be finite"):
            replace(clip, log_mel_db=broken)


class TestChoices:
    """Which model and split are the key ones."""

    def test_the_test_split_is_the_main_one(self) -> None:
        """Whatever the order; then unseen sources, validation, and the first there is."""
        names = ("train", "validation", "unseen", "test")
        splits = [ScoredSplit(split=name, metrics=TestRefusals.METRICS) for name in names]
        for n in (4, 3, 2, 1):
            assert ModelResult(name="m", splits=splits[:n]).main_split is splits[n - 1]
        assert ModelResult(name="m").main_split is None

    def test_the_key_model(self, content: ReportContent) -> None:
        """The default model by name; the first where none is named; None without models."""
        assert replace(content, default_model="logistic").key_model is content.models[2]
        assert replace(content, default_model=None).key_model is content.models[0]
        assert replace(content, default_model=None, models=()).key_model is None
