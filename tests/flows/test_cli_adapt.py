"""``gunshot adapt`` as a shell sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gunshot.adaptation.checks import Change
from gunshot.adaptation.kept import Adaptation
from gunshot.manifest.sources import build_manifest
from gunshot.preprocess.partition import preprocess_partition
from gunshot.recipe import Recipe
from gunshot.store.layout import prepare_store
from gunshot.store.write import commit_store
from gunshot.training import train_model

Gunshot = Callable[..., Any]

DONE = Adaptation(
    bundle="out", digest="b" * 16, parent="a" * 16, step=0.5, n_shots=35, n_others=20, n_checking=12, listened_h=3.0,
    thresholds=(0.7, 0.8), operating_point="site 10 a day: no guarantee", site_found=(5, 8, 9),
    alarms_a_day=(40.0, 8.0),
    changes=(Change("held out", "livefire", 300, 900, 280, 279, 5, 5, 2, 1, 0.006, "recall", 1 / 300, 0.012),),
    refused=("step 1: held out/livefire loses 9",), suspects=("night.wav at 3.000 s, score 0.900",), n_suspects=4,
    suspects_uri="out/suspects.csv", failures=(),
)  # fmt: skip


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow and its task as plain functions."""
    import flows.adapt

    for name in ("adapt", "adapt_bundle"):
        monkeypatch.setattr(flows.adapt, name, getattr(flows.adapt, name).fn)


@pytest.fixture
def given(plain: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the verb is given, which then does nothing."""
    found: dict[str, Any] = {}

    def verb(model: str, labels: str, out: str, **parameters: Any) -> Adaptation:
        found.update(parameters, model=model, labels=labels, out=out)
        return DONE

    monkeypatch.setattr("tasks.adapt.adapt_model", verb)
    return found


WORDS = ("adapt", "--model", "./m", "--labels", "site.csv", "--out", "out")


class TestSummary:
    def test_before_and_after_are_printed(self, gunshot: Gunshot, given: dict[str, Any]) -> None:
        ended = gunshot(*WORDS)
        assert ended.code == 0
        lines = ended.out.splitlines()
        assert lines[0] == "site: 35 shots + 20 others = 43 fitted + 12 checking"
        assert "  refused: step 1: held out/livefire loses 9" in lines
        row = next(line for line in lines if line.startswith("held out/livefire"))
        assert row.split()[2:] == ["300", "280", "279", "1", "2", "0.003", "0.012", "900", "5", "5"]
        assert "site, each at its own threshold: 5 of 9 checking shots before, 8 after" in lines
        assert "site, candidates called a day: 40 before, 8 after" in lines
        assert lines[-1] == f"bundle: out ({'a' * 16} -> {'b' * 16})"

    def test_json_is_one_object(self, gunshot: Gunshot, given: dict[str, Any]) -> None:
        ended = gunshot(*WORDS, "--json")
        (line,) = ended.out.splitlines()
        content = json.loads(line)
        assert content["parent"] == "a" * 16
        assert content["changes"][0]["source"] == "livefire"

    def test_what_is_asked_reaches_the_verb(self, gunshot: Gunshot, given: dict[str, Any]) -> None:
        words = ["--store", "s", "--operating-point", "3 a day", "--may-lose", "0.02", "--seed", "4"]
        assert gunshot(*WORDS, *words, "--background", "a", "b").code == 0
        assert given == {
            "model": "./m", "labels": "site.csv", "out": "out", "background": ["a", "b"], "store": "s",
            "operating_point": "3 a day", "may_lose": 0.02, "seed": 4,
        }  # fmt: skip

    def test_several_backgrounds_may_be_named(self, gunshot: Gunshot, given: dict[str, Any]) -> None:
        assert gunshot(*WORDS, "--background", "a", "--background", "b", "c").code == 0
        assert given["background"] == ["a", "b", "c"]


@pytest.fixture(scope="module")
def store(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    header = prepare_store(str(tmp_path_factory.mktemp("adapt") / "s"), build_manifest([str(labelled)]), Recipe())
    for partition in header.partitions:
        preprocess_partition(header.uri, partition)
    commit_store(header)
    return header.uri


@pytest.mark.usefixtures("plain")
class TestMistakes:
    def test_a_logistic_bundle_is_one_line(self, gunshot: Gunshot, store: str, labelled: Path, tmp_path: Path) -> None:
        model = train_model(store, "logistic", str(tmp_path / "m")).uri
        ended = gunshot("adapt", "--model", model, "--labels", labelled / "labels.csv", "--out", tmp_path / "o")
        assert ended.code == 2
        assert ended.err.splitlines()[-1].startswith(f"gunshot: {model}: logistic is no network and cannot be adapted")
        assert not (tmp_path / "o").exists()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("night.wav",), "unexpected argument 'night.wav'; sound of the site follows --background"),
            (("--may-lose", "2"), "--may-lose must lie in [0, 1]; got 2"),
            (("--operating-point", "often"), "'often' is none of the forms"),
            (("--out", "./m"), "is the model's own folder"),
            ((), "no model bundle at ./m"),
        ],
    )
    def test_others_are_one_line(self, gunshot: Gunshot, words: tuple[str, ...], message: str) -> None:
        ended = gunshot(*WORDS, *words)
        assert ended.code == 2
        assert ended.out == ""
        assert message in ended.err.splitlines()[-1]
        assert "Traceback" not in ended.err
