"""The card says what the bundle knows, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gunshot.evaluation.calibration import Calibration
from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models.bundle import Bundle, load_bundle, save_bundle
from gunshot.models.card import CARD_NAME, key_figures, model_card, write_card
from gunshot.recipe import Recipe

Make = Callable[..., Bundle]


@pytest.fixture
def make(
    tmp_path: Path, logistic_weights: Callable[..., bytes], operating_point: Callable[[float], OperatingPoint]
) -> Make:
    def bundle(details: dict[str, Any] | None = None, **parts: Any) -> Bundle:
        recipe = Recipe()
        return save_bundle(
            str(tmp_path / "b"), model="logistic", weights=logistic_weights(np.zeros(recipe.n_samples), [0.0]),
            recipe=recipe, operating_point=operating_point(0.25), details=details or {}, splits=b"", **parts,
        )  # fmt: skip

    return bundle


def section(card: str, title: str) -> str:
    found = re.search(rf"^## {title}\n\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    return found.group(1).strip() if found else ""


def test_a_bundle_without_details_has_a_card_without_guesses(make: Make) -> None:
    bundle = make()
    card = model_card(bundle)
    assert card.startswith(f"# logistic {bundle.digest}\n")
    for absent in ("Training data", "Figures", "Warnings of the audit", "Licences and attribution"):
        assert section(card, absent) == ""
    assert "None" not in card
    assert "not calibrated" in section(card, "Probabilities")
    assert bundle.recipe.digest in section(card, "Identity")
    assert section(card, "Limits").count("\n- ") >= 2


def test_rows_licences_and_whom_to_name_are_told_by_source(make: Make) -> None:
    training = {
        "rows": {"train": 1200, "test": 30}, "split": {"by": "group", "assignments": [["FP7/*", "test"]]}, "copies": 10,
        "rows_by_source": {"street": {"gunshots": 1000, "others": 2}, "a|b": {"gunshots": 0, "others": 200}},
        "licenses": {"street": ["CC BY 4.0", "CC0"], "range": "CC BY 3.0", "a|b": []},
        "attribution": {"street": "A. Person, 2020"}, "seed": 7,
    }  # fmt: skip
    card = model_card(make({"training": training}))
    data = section(card, "Training data")
    assert "1,200 train, 30 test, divided by group; 10 distorted copies" in data
    assert "FP7/*=test" in data
    assert "| street | 1,000 | 2 |" in data
    assert r"| a\|b | 0 | 200 |" in data
    assert section(card, "Licences and attribution").splitlines() == [
        "- a|b: not stated", "- range: CC BY 3.0", "- street: CC BY 4.0, CC0", "- street: A. Person, 2020",
    ]  # fmt: skip
    assert "| training, seed | 7 |" in section(card, "Identity")


def test_figures_are_those_of_the_evaluation_else_of_the_validation(make: Make) -> None:
    metrics = classification_metrics([1, 1, 0, 0], [0.9, 0.2, 0.1, 0.3], 0.5).as_dict()
    validation = section(model_card(make({"validation": metrics})), "Figures")
    assert "| validation | 2 | 0.5000 (0.0126 to 0.9874) | 2 | 0.0000" in validation
    evaluation = {
        "test": metrics,
        "by_source": {"test/street": metrics},
        "operating_point": {"recall": 1},
        "digest": "x",
    }
    figures = section(model_card(make({"validation": metrics, "evaluation": evaluation})), "Figures")
    assert [line.split("|")[1].strip() for line in figures.splitlines()[2:]] == ["test", "test/street"]


def test_operating_points_calibration_and_warnings(
    make: Make, operating_point: Callable[[float], OperatingPoint]
) -> None:
    other = replace(operating_point(0.5), name="miss 1%", note="no guarantee: too few groups")
    calibration = Calibration(
        method="platt", slope=2.0, intercept=-1.5, prior=0.25, n_gunshots=10, n_others=30, split="validation"
    )
    bundle = make(
        {"audit": {"warnings": ["the level tells the classes apart"]}},
        operating_points=[other],
        calibration=calibration,
    )
    card = model_card(bundle)
    points = section(card, "Operating points")
    assert points.count("(default)") == 1
    assert "| **by hand** (default) | 0.2500 | 0.5000 | 0.0000 | 4 gunshots, 4 others (validation) | none |" in points
    assert "| miss 1% | 0.5000 |" in points
    assert "no guarantee: too few groups" in points
    assert "sigmoid(2.0000 logit(score) -1.5000)" in section(card, "Probabilities")
    assert section(card, "Warnings of the audit") == "- the level tells the classes apart"


def test_the_card_of_a_trained_model_lies_beside_it_and_does_not_change_it(
    logistic_bundle: str, tmp_path: Path
) -> None:
    import shutil

    bundle = load_bundle(str(shutil.copytree(logistic_bundle, tmp_path / "b")))
    assert write_card(bundle) == str(tmp_path / "b" / CARD_NAME)
    card = (tmp_path / "b" / CARD_NAME).read_text()
    assert load_bundle(bundle.uri).digest == bundle.digest
    assert "synthetic" in section(card, "Training data")
    assert "validation" in section(card, "Figures")
    assert card.count("```") == 0
    assert all(line.count("|") >= 3 for line in card.splitlines() if line.startswith("|"))


@pytest.mark.parametrize(
    "damaged", [{}, {"operating_points": []}, {"operating_points": [{}], "default": "x", "model": "m"}]
)
def test_key_figures_of_a_damaged_model_are_none(damaged: dict[str, Any]) -> None:
    assert key_figures(damaged) == {}


def test_key_figures_are_those_of_the_default(make: Make, operating_point: Callable[[float], OperatingPoint]) -> None:
    bundle = make({}, operating_points=[replace(operating_point(0.9), name="other")])
    assert key_figures(bundle.details) == {
        "model": "logistic", "operating_point": "by hand", "threshold": 0.25, "recall": 0.5, "fpr": 0.0,
        "split": "validation",
    }  # fmt: skip
