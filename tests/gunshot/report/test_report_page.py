"""The page: complete, escaped, self-contained, the same for the same content, readable with parts missing."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest

from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.rates import alarm_rate
from gunshot.report import (
    DatasetSummary,
    DetectionRow,
    ErrorExample,
    FailureRow,
    ModelResult,
    RecordingTimeline,
    ReportContent,
    ScoredSplit,
    ScoringSummary,
    held_out_sections,
    render_report,
)
from tests.gunshot.report.figures import figures_of

VOID = {"meta", "br", "link", "img", "input", "hr"}
ATTACK = "<script>alert('x')</script>"
SECTIONS = (
    *("models", "threshold", "curves", "held-out", "breakdowns", "confusers", "new-sounds", "reliability", "shortcuts"),
    *("scores", "training", "sources", "dataset"),
    *("distortion", "errors", "recordings", "failures", "card", "provenance"),
)
MINIMAL = ReportContent(title="Scores", trained_on="One model.", date="2024-01-01", is_synthetic=False)


class Outline(HTMLParser):
    """Elements of a page; an end without its start is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Open an element."""
        self.tags.append(tag)
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """Note an empty element."""
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note the words."""
        if self.stack and self.stack[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        """All words of the page with single spaces."""
        return re.sub(r"\s+", " ", " ".join(self.words))


def sections(page: str) -> list[str]:
    """Return the ids of the sections in order."""
    return re.findall(r'<h2 id="([^"]*)"', page)


class TestWholePage:
    """A report with every part."""

    def test_is_well_nested(self, page: str) -> None:
        """Every element is closed, in order."""
        assert Outline(page).stack == []
        assert page.startswith("<!DOCTYPE html>")

    def test_same_content_same_bytes(self, content: ReportContent, page: str) -> None:
        """No clock, no random id."""
        assert render_report(content) == page

    def test_needs_nothing_else(self, page: str) -> None:
        """No other file, no address to load from, and one script, which the policy knows by its digest."""
        tags = Outline(page).tags
        assert not set(tags) & {"link", "img", "iframe", "object"}
        assert tags.count("script") == 1
        own = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
        assert own is not None
        digest = base64.b64encode(hashlib.sha256(own[1].encode()).digest()).decode()
        policy = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
        assert f"{policy}; script-src 'sha256-{digest}'\"" in page
        assert not re.search(r"""\son[a-z]+=["']|javascript:|https?://(?!www\.w3\.org/)""", page)
        hrefs = re.findall(r'(?:href|src)="([^"]*)"', page)
        assert all(href.startswith(("#", "data:image/png;base64,", "data:audio/flac;base64,")) for href in hrefs)
        assert not re.search(r"url\((?!#)|@import", page)
        assert "default-src 'none'" in page

    def test_is_small(self, page: str) -> None:
        """Three models, a distortion, errors and recordings: well below 3 MB."""
        assert len(page.encode()) < 2_000_000

    def test_has_every_section_and_links_to_it(self, page: str) -> None:
        """The links at the top are the sections in order."""
        assert tuple(sections(page)) == SECTIONS
        assert tuple(re.findall(r'<li><a href="#([^"]*)"', page)) == SECTIONS

    def test_ids_are_unique(self, page: str) -> None:
        """Figures do not refer into each other."""
        ids = re.findall(r'\bid="([^"]*)"', page)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', page)) <= set(ids)

    def test_key_figures_are_those_of_the_default_model(self, content: ReportContent, page: str) -> None:
        """The counts of its test split, in words."""
        model = content.key_model
        assert model is not None
        assert model.main_split is not None
        m = model.main_split.metrics
        text = Outline(page).text
        assert f"{m.false_negatives} missed of {m.n_gunshots} test gunshots" in text
        assert f"{m.false_positives} of {m.n_others} other test sounds" in text
        assert re.search(r"Of 1,000 other sounds, \d+ raises? a false alarm 95%: \d+ to \d+", text)
        assert f"when its score is {m.threshold:.3f} or more" in text
        day = alarm_rate(m, 1300.0, ())
        head = Outline(render_report(replace(content, candidates_per_hour=1300.0))).text.partition("Models Model")[0]
        assert f"One recorder raises {day.false_alarms_per_day:,.0f} false alarms a day" in head
        assert "where it brings 1,300 candidates an hour" in head

    def test_every_model_and_split_has_its_counts(self, content: ReportContent, page: str) -> None:
        """A confusion matrix each, beside a row of the table."""
        for model in content.models:
            for split in model.splits:
                matrix = re.search(rf"<caption>{model.name}, {split.split}</caption>.*?</table>", page, re.DOTALL)
                assert matrix is not None
                m = split.metrics
                cells = [int(n) for n in re.findall(r'<td class="(?:right|wrong)">(\d+)<', matrix[0])]
                assert cells == [m.true_positives, m.false_negatives, m.false_positives, m.true_negatives]

    def test_the_dataset_table_is_that_of_the_paper(self, page: str) -> None:
        """First five and last four rows, with a gap between."""
        text = Outline(page).text
        assert "File Name Sample Rate Duration (s) Label 0 IP_162A_S01.wav 44100 1.875283 1" in text
        assert "4 SA_153B_S02.wav 48000 2.057167 1 … 605 50001010800.wav 192000 0.512358 0" in text

    def test_recordings_reconcile(self, page: str) -> None:
        """Listed = ok + each failure state."""
        assert "Recordings: 12 listed = 8 ok + 1 short + 1 silent + 2 unreadable." in Outline(page).text

    def test_adapts_to_dark_phone_and_paper(self, page: str) -> None:
        """The three media it is read on."""
        assert "prefers-color-scheme: dark" in page
        assert "@media print" in page
        assert 'name="viewport" content="width=device-width' in page
        variables = set(re.findall(r"var\((--[a-z0-9-]+)\)", page))
        for media in (r":root \{(.*?)\}", r"dark\) \{\s*:root \{(.*?)\}", r"print \{\s*:root \{(.*?)\}"):
            block = re.search(media, page, re.DOTALL)
            assert block is not None
            assert variables <= set(re.findall(r"(--[a-z0-9-]+):", block[1]))


class TestEscaping:
    """Names are text, wherever they come from."""

    def test_a_script_in_every_name(self, content: ReportContent) -> None:
        """File names, labels, sources, reasons, commands: shown, never run."""
        model = content.models[0]
        hostile = replace(
            content,
            title=ATTACK,
            trained_on=ATTACK,
            date=ATTACK,
            class_names=(ATTACK, ATTACK + "1"),
            models=[replace(model, name=ATTACK, description=ATTACK, by_source={ATTACK: model.splits[0].metrics})],
            default_model=ATTACK,
            misses=[ErrorExample(file_name=ATTACK, score=0.1, source=ATTACK, path=ATTACK)],
            false_alarms=[],
            failures=[FailureRow(file=ATTACK, state=ATTACK, reason=ATTACK)],
            scoring=ScoringSummary(
                n_listed=1,
                states={ATTACK: 1},
                listened_s=60.0,
                n_detections=1,
                archive=ATTACK,
                detections=[DetectionRow(recording=ATTACK, start_s=1.0, score=0.9, start_utc=ATTACK)],
                timelines=[RecordingTimeline(recording=ATTACK, duration_s=60.0, detection_s=[1.0])],
            ),
            sections=held_out_sections({"test": figures_of(lambda number: ATTACK)}),
            provenance=None,
            distortion=None,
        )
        page = render_report(hostile)
        assert re.findall(r"<script.{20}", page, re.DOTALL) == ['<script>"use strict";\n// Sh']  # the page's own
        assert unescape(page).count(ATTACK) >= 20
        assert Outline(page).stack == []

    def test_braces_are_text_too(self) -> None:
        """A name is not a template."""
        page = render_report(replace(MINIMAL, title="{{ 7 * 7 }} {% if %}"))
        assert "<h1>{{ 7 * 7 }} {% if %}</h1>" in page


class TestMissingParts:
    """The page reads well with whatever there is."""

    def test_nothing_but_a_title(self) -> None:
        """No sections, no links, no empty tables."""
        page = render_report(MINIMAL)
        assert sections(page) == []
        assert "script" not in page
        assert not {"table", "figure", "svg", "section"} & set(Outline(page).tags)

    @pytest.mark.parametrize(
        ("part", "empty", "section"),
        [
            ("dataset", None, "dataset"),
            ("distortion", None, "distortion"),
            ("scoring", None, "recordings"),
            ("failures", (), "failures"),
            ("card", "", "card"),
            ("provenance", None, "provenance"),
        ],
    )
    def test_a_part_left_out_leaves_its_section_out(
        self, content: ReportContent, part: str, empty: object, section: str
    ) -> None:
        """And no other."""
        small = replace(content, models=(), default_model=None, misses=(), false_alarms=(), sections=())
        full = ["dataset", "distortion", "recordings", "failures", "card", "provenance"]
        assert sections(render_report(replace(small, **{part: empty}))) == [s for s in full if s != section]

    def test_one_model_with_counts_only(self) -> None:
        """Without rows there are figures but no curves."""
        metrics = classification_metrics([1, 0, 0], [0.9, 0.2, 0.7], 0.5)
        model = ModelResult(name="bought", splits=[ScoredSplit(split="test", metrics=metrics)])
        page = render_report(replace(MINIMAL, models=[model]))
        assert sections(page) == ["models"]
        assert "Of 1,000 other sounds, 500 raise a false alarm" in page

    def test_a_test_split_of_one_class(self) -> None:
        """No curve, an honest sentence, dashes in the table."""
        label, score = [0, 0], [0.1, 0.2]
        split = ScoredSplit(split="test", metrics=classification_metrics(label, score, 0.5), label=label, score=score)
        page = render_report(replace(MINIMAL, models=[ModelResult(name="m", splits=[split])]))
        assert sections(page) == ["models", "scores"]
        assert "How many gunshots are missed is not known" in page
        assert "—" in page
        assert "None" not in Outline(page).text

    def test_a_model_without_figures(self) -> None:
        """A name alone gives no table."""
        assert sections(render_report(replace(MINIMAL, models=[ModelResult(name="m")]))) == []

    def test_an_empty_data_set(self) -> None:
        """Zero clips are told as zero."""
        page = render_report(replace(MINIMAL, dataset=DatasetSummary.from_rows([])))
        assert "0 clips" in page

    def test_recordings_without_truth_or_detections(self) -> None:
        """Only what is known is told."""
        scoring = ScoringSummary(n_listed=2, states={"ok": 2}, listened_s=7200.0, n_detections=0)
        page = render_report(replace(MINIMAL, scoring=scoring))
        text = Outline(page).text
        assert "0 detections in 2 h 00 min of sound" in text
        assert "known events" not in text
        assert "table" not in Outline(page).tags


class TestLimits:
    """Long lists are cut, and say so."""

    def test_the_banner_is_for_synthetic_sound_only(self, content: ReportContent, page: str) -> None:
        """Made by a program or not is told by the content alone."""
        banner = "Synthetic sound: no figure here is accuracy on real recordings."
        assert page.count(banner) == 1
        assert banner not in render_report(replace(content, is_synthetic=False, models=(), default_model=None))

    def test_detections(self) -> None:
        """Fifty of many, with the number of all."""
        rows = [DetectionRow(recording=f"rec-{i}.wav", start_s=i, score=0.9) for i in range(60)]
        scoring = ScoringSummary(n_listed=1, states={"ok": 1}, listened_s=60.0, n_detections=1234, detections=rows)
        page = render_report(replace(MINIMAL, scoring=scoring))
        assert page.count("rec-") == 50
        assert "The first 50 of 1,234 detections." in page

    def test_failures(self) -> None:
        """A hundred of many, with the number of the others."""
        failures = [FailureRow(file=f"bad-{i}.wav", state="empty", reason="0 bytes") for i in range(1103)]
        page = render_report(replace(MINIMAL, failures=failures))
        assert page.count("bad-") == 100
        assert "1,003 more files are not listed here." in page

    def test_gallery(self) -> None:
        """Thirty misses and thirty false alarms at most, the first twelve of each open."""
        many = [ErrorExample(file_name=f"clip-{i}.wav", score=0.1) for i in range(35)]
        page = render_report(replace(MINIMAL, misses=many, false_alarms=many))
        assert page.count('class="example"') == 60
        assert "clip-29.wav" in page
        assert "clip-30.wav" not in page
        first, folded, *_ = re.split(r"</?details", page)
        assert "clip-11.wav" in first
        assert "clip-12.wav" not in first
        assert "<summary>18 more</summary>" in folded
        few = render_report(replace(MINIMAL, misses=many[:12]))
        assert "<details" not in few

    def test_overview_draws_the_busiest_recordings(self) -> None:
        """24 of 30, those with the most detections."""
        lines = [
            RecordingTimeline(recording=f"rec-{i:02d}", duration_s=60.0, detection_s=list(range(i))) for i in range(30)
        ]
        scoring = ScoringSummary(n_listed=30, states={"ok": 30}, listened_s=1800.0, n_detections=435, timelines=lines)
        page = render_report(replace(MINIMAL, scoring=scoring))
        assert "These 24 have the most detections; 6 more are not drawn." in page
        assert "rec-06" in page
        assert "rec-05" not in page
