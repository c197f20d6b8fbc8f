"""A threshold from a site's own sound: what it keeps to, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner

from flows.cli import cli
from gunshot.errors import BundleError, ParameterError
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.scoring.recording import score_recordings
from gunshot.scoring.refit import refit_to_site
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.targets import list_targets

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def model(logistic_bundle: str) -> Bundle:
    return load_bundle(logistic_bundle)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, write_recording: Write) -> Path:
    """A minute of sound with many onsets, and a file that is none."""
    out = tmp_path_factory.mktemp("site")
    for number in range(3):
        write_recording(out / f"{number}.wav", 20, [1.0], np.arange(2.5, 19), seed=number)
    (out / "words.wav").write_text("no sound " * 40)
    return out


def called_a_day(bundle: Bundle, site: Path) -> float:
    heard = list(score_recordings(list_targets([str(site)]), bundle, ScoringRule(floor=0.0)))
    threshold = bundle.operating_point.threshold
    n_called = sum(row["score"] >= threshold for one in heard for row in one.candidates)
    return n_called * 86_400 / sum(one.row["read_s"] for one in heard)


@pytest.mark.parametrize("limit", [2_000.0, 20_000.0])
def test_the_copy_keeps_to_the_limit_on_that_sound(model: Bundle, site: Path, tmp_path: Path, limit: float) -> None:
    done = refit_to_site(model, [str(site)], str(tmp_path / "here"), max_per_day=limit)
    copy = load_bundle(str(tmp_path / "here"))
    assert copy.digest == done.digest != model.digest
    assert copy.operating_point.threshold == done.thresholds[1]
    assert called_a_day(copy, site) == pytest.approx(done.alarms_a_day[1])
    assert done.alarms_a_day[1] <= limit
    assert called_a_day(model, site) == pytest.approx(done.alarms_a_day[0])
    assert done.listened_h == pytest.approx(60 / 3600, rel=1e-3)
    assert [failure.split(":")[0] for failure in done.failures] == ["words.wav"]


def test_fewer_alarms_take_a_higher_threshold_and_find_no_more(model: Bundle, site: Path, tmp_path: Path) -> None:
    few, many = (
        refit_to_site(model, [str(site)], str(tmp_path / f"{limit:g}"), max_per_day=limit) for limit in (10.0, 50_000.0)
    )
    assert few.thresholds[1] > many.thresholds[1]
    assert few.recall[1] <= many.recall[1]
    assert few.alarms_a_day[1] < many.alarms_a_day[1]


def test_the_model_itself_is_left_alone(model: Bundle, site: Path) -> None:
    before = {path: path.read_bytes() for path in Path(model.uri).iterdir()}
    with pytest.raises(BundleError, match="needs a folder of its own"):
        refit_to_site(model, [str(site)], model.uri)
    assert {path: path.read_bytes() for path in Path(model.uri).iterdir()} == before


def test_sound_of_which_nothing_can_be_used_makes_no_model(model: Bundle, tmp_path: Path) -> None:
    (tmp_path / "words.wav").write_text("no sound " * 40)
    sf.write(tmp_path / "zeros.wav", np.zeros(30_000), 12_000)
    with pytest.raises(ParameterError, match=r"--background holds nothing that can be scored; .*words.wav"):
        refit_to_site(model, [str(tmp_path)], str(tmp_path / "here"))
    assert not (tmp_path / "here").exists()


def test_as_a_user_types_it(model: Bundle, site: Path, tmp_path: Path) -> None:
    words = [
        "models",
        "refit",
        model.uri,
        "--background",
        str(site),
        "--a-day",
        "3000",
        "--out",
        str(tmp_path / "here"),
    ]
    told = CliRunner().invoke(cli, words)
    assert told.exit_code == 0, told.output
    assert "threshold" in told.stdout
    assert f"bundle: {tmp_path / 'here'}" in told.stdout
    again = json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)
    assert again["digest"] in told.stdout
