"""The models by name."""

from __future__ import annotations

import pytest

from gunshot.errors import ParameterError
from gunshot.models.catalogue import DEFAULT_MODEL, MODELS, model_rule


def test_names_are_keys() -> None:
    assert all(rule.name == name for name, rule in MODELS.items())
    assert DEFAULT_MODEL in MODELS
    assert all(rule.what for rule in MODELS.values())


@pytest.mark.parametrize("name", list(MODELS))
def test_a_model_is_found(name: str) -> None:
    assert model_rule(name) is MODELS[name]


def test_only_the_regression_has_no_epochs() -> None:
    assert [name for name, rule in MODELS.items() if not rule.epochs] == ["logistic"]


@pytest.mark.parametrize("name", ["", "Logistic", "resnet"])
def test_an_unknown_name_is_told_with_the_known_ones(name: str) -> None:
    with pytest.raises(ParameterError) as error:
        model_rule(name)
    assert str(error.value) == f"--model must be one of {', '.join(MODELS)}; got {name!r}"
