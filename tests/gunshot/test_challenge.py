"""A new model against the one it may replace: what is told is what a comparison counts, and it is noted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gunshot.challenge import NOTE, challenge, check_champion, check_held_out, service_in_review
from gunshot.comparison import compare_bundles
from gunshot.division import SplitPlan
from gunshot.errors import ParameterError, StoreMismatchError, TrainingError
from gunshot.models.bundle import load_bundle
from gunshot.models.copies import copy_bundle
from gunshot.models.splits import splits_by_group
from gunshot.recipe import ClipRule, Recipe
from gunshot.report import champion_section
from gunshot.review.queue import load_queue
from gunshot.review.service import ServiceFigures
from gunshot.review.session import ReviewSession
from gunshot.split import SplitName
from gunshot.store.read import open_store
from gunshot.training import train_model
from tests.review.conftest import make_results


@pytest.fixture(scope="module")
def champion(small_store: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that finds much."""
    out = tmp_path_factory.mktemp("champion") / "model"
    return train_model(small_store, "logistic", str(out), operating_point="0.2").uri


@pytest.fixture(scope="module")
def challenger(small_store: str, champion: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Trained on the same rows, with a higher threshold."""
    out = tmp_path_factory.mktemp("challenger") / "model"
    plan = SplitPlan(keep=champion)
    return train_model(small_store, "logistic", str(out), plan=plan, operating_point="0.9").uri


def test_won_and_lost_are_those_of_a_comparison_and_are_noted_in_the_bundle(
    small_store: str, champion: str, challenger: str
) -> None:
    digest = load_bundle(challenger).digest
    found, bundle = challenge(champion, challenger, small_store, None, None)
    expected = compare_bundles(small_store, champion, challenger)
    assert found.comparison.as_dict() == expected.as_dict()
    assert expected.shots.lost > 0  # so high a threshold misses what the champion finds
    assert bundle.details[NOTE] == json.loads(json.dumps(found.as_dict()))
    assert bundle.digest == digest  # a note is no other model
    line = next(line for line in found.lines() if " shots " in line and "won" in line)
    assert f"of {expected.shots.n} shots {expected.shots.won} won" in line
    assert f"{expected.shots.lost} lost" in line
    card = Path(challenger, "MODEL_CARD.md").read_text()
    row = next(line for line in card.splitlines() if line.startswith("| all sources"))
    assert row.split(" | ")[1:4] == [str(n) for n in (expected.shots.n, expected.shots.won, expected.shots.lost)]


def test_the_page_says_the_same(small_store: str, champion: str, challenger: str) -> None:
    found, bundle = challenge(champion, challenger, small_store, None, None)
    section = champion_section(bundle.details[NOTE])
    assert section is not None
    compared, lost = section.blocks
    assert compared.table is not None
    assert compared.table.rows[-1][:4] == [
        ("all sources",), *((str(n),) for n in (found.comparison.shots.n, found.comparison.shots.won,
                                                found.comparison.shots.lost)),
    ]  # fmt: skip
    assert lost.table is not None
    assert len(lost.table.rows) + lost.table.n_more == found.comparison.shots.lost
    assert champion_section(None) is None


def test_a_copy_with_another_threshold_says_nothing_of_it(
    small_store: str, champion: str, challenger: str, tmp_path: Path
) -> None:
    _, bundle = challenge(champion, challenger, small_store, None, None)
    copy = copy_bundle(bundle, str(tmp_path / "copy"), bundle.operating_points[1])
    assert NOTE not in copy.details


def test_the_service_is_that_of_the_review(small_store: str, logistic_bundle: str, tmp_path: Path) -> None:
    results = make_results(tmp_path)
    review = ReviewSession(results, load_queue(results), "Anna")
    for number in range(20):
        review.decide(number, "gunshot" if number % 4 else "not")
    service = service_in_review(results, logistic_bundle)
    assert service is not None
    assert (service.n_reviewed, service.n_gunshots) == (20, 15)
    written = json.loads(json.dumps(dataclasses.asdict(service)))
    assert ServiceFigures.from_dict(written) == service
    section = champion_section({"comparison": EMPTY, "service": written})
    assert section is not None
    words = " ".join(section.blocks[-1].sentences)
    assert "15 are gunshots: 75%" in words
    assert section.blocks[-1].table is not None
    assert sum(int(row[2][0]) for row in section.blocks[-1].table.rows) == 20


NOTHING = {"both": 0, "won": 0, "lost": 0, "neither": 0, "n": 0, "p": 1.0}
EMPTY = {
    "store": "s", "models": [{"uri": "a", "digest": "d", "threshold": 0.5}] * 2, "shots": NOTHING, "alarms": NOTHING,
    "by_source": {}, "lost_shots": [],
}  # fmt: skip


class TestRefusals:
    def test_random_rows(self, small_store: str, logistic_bundle: str) -> None:
        with pytest.raises(ParameterError, match="held out by group; leave --split random out"):
            check_champion(logistic_bundle, small_store, "random")

    def test_another_recipe(
        self, small_corpus: Path, logistic_bundle: str, preprocessed: Callable[..., str], tmp_path: Path
    ) -> None:
        other = preprocessed([small_corpus / "gunshot"], tmp_path / "s", Recipe(clip=ClipRule(length_s=0.75)))
        with pytest.raises(StoreMismatchError):
            check_champion(logistic_bundle, other, "group")

    def test_nothing_that_both_hold_out(
        self, logistic_bundle: str, small_store: str, store_of_clips: Callable[..., str], tmp_path: Path
    ) -> None:
        check_held_out(logistic_bundle, small_store, None, SplitPlan(keep=logistic_bundle))
        y = np.random.default_rng(2).standard_normal((40, 6000)).astype(np.float32) * 0.1
        groups = [f"g{row // 4}" for row in range(40)]
        store = store_of_clips(tmp_path / "s", y, [row % 2 for row in range(40)], groups)
        random = train_model(store, "logistic", str(tmp_path / "random"), plan=SplitPlan("random")).uri
        with pytest.raises(TrainingError, match=r"trained with --split random.*leave --champion out"):
            check_champion(random, store, "group")
        by_group = train_model(store, "logistic", str(tmp_path / "by-group")).uri
        check_champion(by_group, store, "group")
        moved = SplitPlan(assignments=tuple((path, split) for path, split in swapped(store, by_group)), keep=by_group)
        with pytest.raises(TrainingError, match=r"trained or chosen on every group.*leave --champion out"):
            check_held_out(by_group, store, None, moved)


def swapped(store: str, bundle: str) -> list[tuple[str, SplitName]]:
    """Each row's path and another split: what tested the bundle trains, what trained it validates and tests."""
    known = splits_by_group(bundle)
    opened = open_store(store)
    trained = sorted(group for group, splits in known.items() if "train" in splits)
    places: dict[str, SplitName] = dict.fromkeys(known, "train")
    places |= {trained[0]: "test", trained[1]: "validation"}
    return [
        (str(path), places[str(group)])
        for path, group in zip(opened.column("path"), opened.column("group"), strict=True)
    ]
