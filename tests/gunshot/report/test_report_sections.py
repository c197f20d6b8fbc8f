"""The sections about held-out clips: words before figures, counts that reconcile, nothing said that is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gunshot.errors import ParameterError
from gunshot.evaluation.leave_out import unseen_source_recalls
from gunshot.evaluation.reported import ReportedFigures, reported_figures
from gunshot.report import Block, Section, Table, audit_section, held_out_sections
from gunshot.report.reliability_plot import reliability_svg
from gunshot.report.words import percent
from tests.gunshot.report.figures import AUDIT, KINDS, THRESHOLD, figures_of, rows_of


@pytest.fixture(scope="module")
def figures() -> ReportedFigures:
    return figures_of()


@pytest.fixture(scope="module")
def sections(figures: ReportedFigures) -> dict[str, Section]:
    rows = rows_of()
    recalls = unseen_source_recalls(rows.label, rows.score, rows.source, rows.group, [("street", 1)], (0.01, 0.001))
    return {it.id: it for it in held_out_sections({"test": figures}, recalls)}


def words_of(section: Section) -> str:
    return " ".join(sentence for block in section.blocks for sentence in block.sentences)


def block_of(section: Section, heading: str) -> Block:
    return next(block for block in section.blocks if heading in block.heading)


def table_of(block: Block) -> Table:
    assert block.table is not None
    return block.table


def column(block: Block, name: str) -> list[str]:
    table = table_of(block)
    return [row[list(table.header).index(name)][0] for row in table.rows]


class TestBlocks:
    def test_a_table_without_words_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="'Figures' must say in words"):
            Block(heading="Figures", sentences=[], table=Table(header=("a",), rows=[]))

    def test_a_row_of_another_length_is_refused(self) -> None:
        with pytest.raises(ParameterError, match=r"a cell for each of \['a', 'b'\]"):
            Table(header=("a", "b"), rows=[[("1",)]])


class TestHeadline:
    def test_both_intervals_stand_beside_each_rate(
        self, sections: dict[str, Section], figures: ReportedFigures
    ) -> None:
        m = figures.metrics
        rows = table_of(block_of(sections["held-out"], "threshold")).rows
        assert m.recall_over_groups is not None
        for row, rate, exact, groups in (
            (rows[0], m.recall, m.recall_interval, m.recall_over_groups),
            (rows[1], m.fpr, m.fpr_interval, m.fpr_over_groups),
        ):
            assert exact is not None
            assert groups is not None
            assert groups.pair is not None
            assert row[2] == (percent(rate),)
            assert row[4] == (f"{percent(exact[0])} to {percent(exact[1])}",)
            assert row[5] == (
                f"{percent(groups.pair[0])} to {percent(groups.pair[1])}", f"{groups.n_groups} groups",
            )  # fmt: skip

    def test_too_few_groups_say_so(self) -> None:
        rows = rows_of()
        few = replace(rows, group=["a" if number < 120 else "b" for number in range(len(rows))])
        found = held_out_sections({"test": reported_figures(few, THRESHOLD)})[0]
        cells = [row[5][0] for row in table_of(found.blocks[0]).rows]
        assert cells == ["none: fewer than 5 groups"] * 2

    def test_too_few_other_sounds_to_show_a_rate_are_told(
        self, sections: dict[str, Section], figures: ReportedFigures
    ) -> None:
        block = block_of(sections["held-out"], "fixed")
        assert column(block, "May be called") == [str(it.n_allowed) for it in figures.fixed_fpr] == ["1", "0"]
        said = " ".join(block.sentences)
        assert "1 of 120 other sounds may be." in said
        assert f"too few to show this rate: they show one below {percent(figures.fixed_fpr[1].fpr_limit)}" in said

    def test_a_recorder_day_names_its_base_rate(self, sections: dict[str, Section], figures: ReportedFigures) -> None:
        block = block_of(sections["held-out"], "recorder-day")
        assert "1,300 candidates an hour" in block.sentences[0]
        cells = table_of(block).rows[0]
        assert [cell[0] for cell in cells[2:]] == [percent(it.precision) for it in figures.alarms.precision]

    def test_without_other_sounds_nothing_is_said_of_false_alarms(self) -> None:
        rows = rows_of()
        shots = reported_figures(rows.take(rows.label == 1), THRESHOLD)
        found = held_out_sections({"test": shots})
        block = block_of(found[0], "recorder-day")
        assert block.table is None
        assert "no other sounds" in block.sentences[0]
        assert "There are no other sounds among the test clips." in words_of(found[2])


class TestBreakdowns:
    @pytest.mark.parametrize("by", ["source", "device", "firearm", "estimated SNR", "sample rate"])
    def test_each_adds_up_to_the_split(self, sections: dict[str, Section], figures: ReportedFigures, by: str) -> None:
        block = block_of(sections["breakdowns"], f"By {by}, test clips")
        m = figures.metrics
        assert sum(map(int, column(block, "Gunshots"))) == m.n_gunshots
        assert sum(int(cell) for cell in column(block, "Missed") if cell.isdigit()) == m.false_negatives
        if by != "firearm":
            assert sum(int(cell) for cell in column(block, "False alarms") if cell.isdigit()) == m.false_positives

    def test_bands_rise_and_the_unknown_is_last(self, sections: dict[str, Section]) -> None:
        names = column(block_of(sections["breakdowns"], "SNR"), "Estimated SNR")
        assert names[0] == "under 6 dB"
        assert names[-2:] == ["30 dB or more", "not known"]

    def test_what_nobody_knows_has_no_table(self) -> None:
        rows = rows_of()
        unknown = replace(rows, device=[""] * len(rows), snr_db=np.full(len(rows), np.nan))
        found = held_out_sections({"test": reported_figures(unknown, THRESHOLD)})[1]
        headings = " ".join(block.heading for block in found.blocks)
        assert "By source" in headings
        assert "device" not in headings
        assert "SNR" not in headings


class TestConfusers:
    def test_the_worst_is_named_and_first(self, sections: dict[str, Section], figures: ReportedFigures) -> None:
        block = sections["confusers"].blocks[0]
        worst = figures.confusers.raising[0]
        assert column(block, "Sound")[0] == worst.sound
        assert f"“{worst.sound}” with {worst.n_alarms} of all {figures.metrics.false_positives}" in block.sentences[0]
        assert sum(map(int, column(block, "False alarms"))) == figures.metrics.false_positives

    def test_fifteen_are_shown_and_the_others_counted(self) -> None:
        found = held_out_sections({"test": reported_figures(rows_of(lambda number: f"kind {number % 80}"), 0.0)})
        table = table_of(found[2].blocks[0])
        assert (len(table.rows), table.n_more) == (15, 25)

    def test_none_is_told_as_none(self) -> None:
        found = held_out_sections({"test": reported_figures(rows_of(), 1.0)})[2].blocks[0]
        assert found.table is None
        assert found.sentences == [f"None of 120 other sounds of {len(KINDS)} kinds raises a false alarm."]


class TestNewSounds:
    def test_known_and_new_add_up(self, sections: dict[str, Section], figures: ReportedFigures) -> None:
        block = sections["new-sounds"].blocks[0]
        assert column(block, "Sounds") == ["known", "new"]
        assert sum(map(int, column(block, "Other sounds"))) == figures.metrics.n_others
        assert block.note == "New: door (other)."

    def test_not_known_is_said(self) -> None:
        found = held_out_sections({"test": reported_figures(rows_of(), THRESHOLD)})[3]
        assert "Which sounds are new is not known" in found.blocks[0].sentences[0]
        assert found.blocks[0].table is None

    def test_a_source_never_met_is_told_by_its_negatives(self, sections: dict[str, Section]) -> None:
        block = block_of(sections["new-sounds"], "never met")
        assert "trained on no gunshot of range." in block.sentences[0]
        assert column(block, "Source") == ["range"] * 4
        assert column(block, "Other sounds from") == ["its own", "all held-out"] * 2


class TestReliability:
    def test_the_raw_score_is_not_called_a_probability(self) -> None:
        found = held_out_sections({"test": reported_figures(replace(rows_of(), probability=None), THRESHOLD)})[4]
        assert "its score is no probability" in words_of(found)

    def test_the_drawing_is_the_same_each_time(self, figures: ReportedFigures) -> None:
        drawn = reliability_svg(figures.reliability, name="r")
        assert drawn == reliability_svg(figures.reliability, name="r")
        assert f"{len(figures.reliability.bins)} bins" in drawn


class TestAudit:
    def test_its_warnings_come_first(self) -> None:
        found = audit_section(AUDIT)
        assert found is not None
        assert found.blocks[0].sentences == AUDIT["warnings"]
        assert column(found.blocks[0], "Read") == ["the model, whole clips", "the sample rate", "the noise floor"]

    def test_without_one_there_is_no_section(self) -> None:
        assert audit_section(None) is None


def test_no_figures_no_sections() -> None:
    assert held_out_sections({}) == []
