"""The command line: light to start, one line for a user's mistake, and nothing half written."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from flows.cli import cli, main
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.manifest.sources import build_manifest
from gunshot.models.bundle import load_bundle, save_bundle
from gunshot.preprocess.partition import preprocess_partition
from gunshot.recipe import ClipRule, Recipe
from gunshot.scoring.results import read_table
from gunshot.store.generations import current, prepare_generation, publish
from gunshot.store.layout import commit_uri
from gunshot.store.read import open_store
from gunshot.store.write import commit_store
from gunshot.training import train_model

Gunshot = Callable[..., Any]

HEAVY = {
    "dask", "distributed", "fsspec", "keras", "librosa", "matplotlib", "numpy", "pandas", "prefect", "pyarrow",
    "pydantic", "scipy", "sklearn", "tensorflow", "zarr",
}  # fmt: skip


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it."""

    def below(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield words, command
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from below(f"{words} {name}".strip(), child)

    yield from below("", cli)


class TestHelp:
    @pytest.mark.parametrize(
        ("words", "command"), list(commands()), ids=[words or "gunshot" for words, _ in commands()]
    )
    def test_every_command_has_help(self, words: str, command: click.Command) -> None:
        assert command.help
        for flag in ("-h", "--help"):
            result = CliRunner().invoke(cli, [*words.split(), flag])
            assert result.exit_code == 0
            assert result.output.startswith("Usage: ")
            assert command.help.splitlines()[0] in " ".join(result.output.split())

    @pytest.mark.parametrize(
        ("words", "command"), list(commands()), ids=[words or "gunshot" for words, _ in commands()]
    )
    def test_every_command_shows_an_example_that_can_be_given(self, words: str, command: click.Command) -> None:
        """The first is of the command itself, or of one below it; every option in all of them exists and is met."""
        text = CliRunner().invoke(cli, [*words.split(), "--help"], terminal_width=200, max_content_width=200).output
        lines = re.findall(r"^ {2,}(?:[A-Z][\w ]+:)? *(gunshot .*)$", text, re.MULTILINE)
        found = [shlex.split(part) for line in lines for part in re.split(r"  +# .*| > .*| && ", line) if part]
        assert found, f"gunshot {words} --help has no line with an example"
        assert found[0][1 : 1 + len(words.split())] == words.split()
        for _, *left in found:
            called: click.Command = cli
            context = click.Context(cli, info_name="gunshot")
            while isinstance(called, click.Group):
                name = left.pop(0)
                called = called.commands[name]
            if left != ["--help"]:
                called.make_context(name, left, parent=context)

    @pytest.mark.parametrize(
        ("words", "command"), list(commands()), ids=[words or "gunshot" for words, _ in commands()]
    )
    def test_nothing_in_a_help_is_left_unsaid(self, words: str, command: click.Command) -> None:
        """Each option says what it is for and what to give; in 80 columns no command's line is cut off."""
        context = click.Context(command)
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, option.opts
                assert option.is_flag or not re.search("INTEGER|FLOAT|RANGE", option.make_metavar(context))
        text = CliRunner().invoke(cli, [*words.split(), "--help"], terminal_width=80).output
        assert not re.findall(r"^ .*\.\.\.$", text.partition("Commands:")[2], re.MULTILINE)

    def test_the_commands_that_scripts_depend_on_are_there(self) -> None:
        assert {"demo", "manifest", "preprocess", "train", "evaluate", "score"} <= set(cli.commands)

    @pytest.mark.parametrize(
        "words",
        [
            ["demo"],
            ["preprocess", "x", "--store", "s"],
            ["train", "--store", "s", "--out", "o"],
            ["score", "x", "--model", "m", "--out", "o"],
        ],
    )
    def test_defaults_are_those_of_the_flow(self, words: list[str]) -> None:
        """The schedule and the command line must not differ in what nobody said."""
        name, *given = words
        flow = importlib.import_module(f"flows.{name}")
        defaults = {
            parameter.name: parameter.default
            for parameter in inspect.signature(getattr(flow, name).fn).parameters.values()
            if parameter.default is not inspect.Parameter.empty
        }
        values = cli.commands[name].make_context(name, given).params
        found = {key: values[key] or None if key == "assign" else values[key] for key in defaults if key in values}
        assert len(found) >= 3
        assert found == {key: defaults[key] for key in found}

    def test_the_version_is_the_packages(self) -> None:
        result = CliRunner().invoke(cli, ["--version"])
        assert result.output.strip() == f"gunshot, version {importlib.metadata.version('gunshot')}"

    def test_the_installed_command_is_this_one(self) -> None:
        (entry,) = importlib.metadata.entry_points(group="console_scripts", name="gunshot")
        assert entry.load() is main

    @pytest.mark.parametrize("words", [["--help"], ["score", "--help"], ["--version"], ["synthesize", "corpus", "-h"]])
    def test_help_imports_click_and_little_else(self, words: list[str]) -> None:
        code = (
            "import sys; from flows.cli import main; "
            f"sys.argv = ['gunshot', *{words!r}]; main(); "
            "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
        )
        began = time.perf_counter()
        bare = subprocess.run([sys.executable, "-c", "pass"], capture_output=True, check=True)
        after_bare = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        ended = time.perf_counter()
        print(f"bare start {after_bare - began:.3f} s, {' '.join(words)} {ended - after_bare:.3f} s")
        assert bare.returncode == 0
        imported = set(re.findall(r"'([^']+)'", done.stderr))
        assert {"click", "flows", "gunshot"} <= imported
        assert not imported & HEAVY


class Place:
    """A folder with all that a user may have: recordings, stores, bundles; and what goes wrong with them."""

    def __init__(self, folder: Path, labelled: Path) -> None:
        self.folder = folder
        self.audio = labelled
        self.store = folder / "good.zarr"
        self.model = folder / "model"
        manifest = build_manifest([str(labelled)])
        self._make_store(self.store, manifest, Recipe())
        train_model(str(self.store), "logistic", str(self.model))
        self.unlabelled = folder / "unlabelled.zarr"
        self._make_store(self.unlabelled, build_manifest([str(labelled / "other")]), Recipe())
        self.open_store = folder / "open.zarr"
        shutil.copytree(self.store, self.open_store)
        Path(commit_uri(current(str(self.open_store)))).unlink()
        self.other_model = folder / "other-model"
        self._make_other_model()
        self.damaged_model = folder / "damaged-model"
        shutil.copytree(self.model, self.damaged_model)
        (self.damaged_model / "model.json").write_text("{")
        (folder / "empty").mkdir()
        (folder / "file").write_text("no folder")
        texts = {
            "misspelt.toml": "sr_hz = 12000\n[clip]\nlenght_s = 0.5\n",
            "broken.toml": "sr_hz = \n",
            "other.toml": "[mel]\nn_mels = 32\n",
            "missing.csv": "path,label\ngunshot/nothing.wav,1\nother/nobody.wav,0\n",
            "column.csv": "path,label,colour\na.wav,1,red\n",
            "values.csv": "path,label\na.wav,yes\nb.wav,7\n",
        }
        for name, text in texts.items():
            (folder / name).write_text(text)

    @staticmethod
    def _make_store(out: Path, manifest: Any, recipe: Recipe) -> None:
        header = prepare_generation(str(out), manifest, recipe)
        for partition in header.partitions:
            preprocess_partition(header.uri, partition)
        commit_store(header)
        publish(str(out), header)

    def _make_other_model(self) -> None:
        """A model for longer clips."""
        recipe = Recipe(clip=ClipRule(length_s=0.75))
        weights = self.folder / "w.npz"
        np.savez(weights, coefficients=np.zeros(recipe.n_samples), intercept=np.zeros(1))
        point = OperatingPoint(
            name="x", threshold=0.5, split="validation", recall=1.0, fpr=0.0, n_gunshots=1, n_others=1
        )
        save_bundle(
            str(self.other_model), model="logistic", weights=weights.read_bytes(), recipe=recipe,
            operating_point=point, details={}, splits=b"",
        )  # fmt: skip

    def state(self) -> dict[str, bytes | None]:
        """Everything that is there."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes() if path.is_file() else None
            for path in self.folder.rglob("*")
        }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, labelled: Path) -> Place:
    return Place(tmp_path_factory.mktemp("place"), labelled)


# arguments (a name in braces is one of the place's), exit code, and what the line says
MISTAKES: list[tuple[str, int, str]] = [
    # what click finds
    ("preprocess {audio}", 2, "Missing option '--store'; see 'gunshot preprocess --help'"),
    ("score {audio} --model {model} --out {new} --workers many", 2, "'many' is not a valid integer"),
    ("train --store {store} --out {new} --split by-day", 2, "'by-day' is not one of 'group', 'random'"),
    ("train --store {store} --out {new} --modle logistic", 2, "No such option '--modle'"),
    ("listen", 2, "No such command 'listen'; see 'gunshot --help'"),
    # preprocess
    ("preprocess --store {new}", 2, "nothing to read: give a folder, file, glob or s3:// prefix, or --labels CSV"),
    ("preprocess {nothing} --store {new}", 2, "nothing: it does not exist; check the address"),
    ("preprocess {empty} --store {new}", 2, "no audio in .*empty"),
    ("preprocess {file} --store {new} --workers 0", 1, "1 of 1 rows failed"),
    ("preprocess {audio} --store {new} --labels {missing}", 2, "2 of 2 rows name files that do not exist .*line 2"),
    ("preprocess {audio} --store {new} --labels {column}", 2, "unknown column 'colour'"),
    ("preprocess {audio} --store {new} --labels {values}", 2, "line 2: label must be 1 .*; line 3"),
    ("preprocess {audio} --store {new} --labels {nothing}", 2, "label table: cannot read .*does not exist"),
    ("preprocess {audio} --store {new} --recipe {misspelt}", 2, "'clip.lenght_s': did you mean 'length_s'"),
    ("preprocess {audio} --store {new} --recipe {broken}", 2, "not valid TOML"),
    ("preprocess {audio} --store {new} --recipe {nothing}", 2, "recipe .* cannot be read"),
    (
        "preprocess {audio} --store {store} --recipe {other} --workers 0",
        2,
        "mel.n_mels 40 there, 32 here; give another --store",
    ),
    ("preprocess {audio} --store {model} --workers 0", 2, "holds something else than a feature store"),
    ("preprocess {audio} --store {new} --file-limit-s 0", 2, "--file-limit-s must be more than 0 s; got 0"),
    ("preprocess {audio} --store {new} --workers 2 --scheduler tcp://h:1", 2, "give one of them"),
    ("preprocess {audio} --store {new} --workers -1", 2, "--workers must be 0 or more; got -1"),
    ("preprocess {audio} --store {new} --max-failed-fraction 1.5", 2, r"--max-failed-fraction must lie in \[0, 1\]"),
    # train
    ("train --store {nothing} --out {new}", 2, "no feature store at .*gunshot preprocess INPUT"),
    ("train --store {open_store} --out {new}", 2, "not committed.*run 'gunshot preprocess' again"),
    ("train --store {unlabelled} --out {new}", 2, "36 of 36 usable rows carry no label.*--labels CSV"),
    ("train --store {store} --out {new} --model resnet", 2, "--model must be one of logistic, paper-cnn, small-cnn"),
    ("train --store {store} --out {new} --assign gunshot/*", 2, "--assign must be GLOB=SPLIT"),
    ("train --store {store} --out {new} --assign *=training", 2, "--assign must be GLOB=SPLIT.*got '[*]=training'"),
    ("train --store {store} --out {new} --assign *=test", 2, "no .* in the .* split; .*--assign GLOB="),
    ("train --store {store} --out {new} --epochs 0", 2, "--epochs must be 1 or more; got 0"),
    ("train --store {store} --out {new} --seed -1", 2, "--seed must be 0 or more"),
    ("train --store {store} --out {new} --max-fpr -0.1", 2, r"--max-fpr must lie in \[0, 1\]; got -0.1"),
    ("train --store {store} --out {new} --max-fpr nan", 2, r"--max-fpr must lie in \[0, 1\]; got nan"),
    (
        "train --store {store} --out {new} --operating-point sometimes",
        2,
        "operating point 'sometimes' is none of the forms",
    ),
    (
        "train --store {store} --out {new} --operating-point 7",
        2,
        r"threshold of an operating point must lie in \[0, 1\]",
    ),
    ("train --store {store} --out {new} --operating-point 0.5 --max-fpr 0.1", 2, "both set the threshold; give one"),
    ("train --store {store} --out {new} --workers 2 --scheduler tcp://h:1", 2, "give one of them"),
    ("train --store {store} --out {file}/model --model logistic --augment none", 1, "cannot write .*file/model"),
    # evaluate
    ("evaluate --store {store} --model {nothing} --out {new}", 2, "no model bundle at"),
    ("evaluate --store {store} --model {other_model} --out {new}", 2, r"was made with recipe \w+, but \w+ is needed"),
    ("evaluate --store {store} --model {damaged_model} --out {new}", 2, "model.json is damaged"),
    ("evaluate --store {nothing} --model {model} --out {new}", 2, "no feature store at"),
    ("evaluate --store {unlabelled} --model {model} --out {new}", 2, "no labelled row"),
    # score
    ("score --model {model} --out {new}", 2, "nothing to score: give a file, a folder, a glob or an s3:// prefix"),
    ("score {nothing} --model {model} --out {new}", 2, "nothing: it does not exist"),
    ("score {empty} --model {model} --out {new}", 2, "no audio in .*empty"),
    ("score {audio} --model {nothing} --out {new}", 2, "no model bundle at"),
    ("score {audio} --model {damaged_model} --out {new}", 2, "model.json is damaged"),
    (
        "score {audio} --model {model} --out {new} --operating-point often",
        2,
        "'often' is none of the forms.* holds 'fpr",
    ),
    ("score {audio} --model {other_model} --out {new} --operating-point 0.7", 2, "no rows to choose .*it holds 'x'"),
    ("score {audio} --model {model} --out {new} --max-failed-fraction -1", 2, r"must lie in \[0, 1\]; got -1"),
    ("score {audio} --model {model} --out {new} --workers 1 --scheduler tcp://h:1", 2, "give one of them"),
    # what needs no flow
    ("manifest --out {new}", 2, "nothing to read"),
    ("manifest {empty} --out {new}", 2, "no audio in"),
    ("manifest {audio} --out {file}/m.parquet", 1, "cannot write .*file/m.parquet"),
    ("synthesize corpus --out {new} --gunshots -1", 2, "n_gunshots must be at least 0; got -1"),
    ("synthesize corpus --out {file}/corpus --gunshots 1 --others 1", 1, "Not a directory"),
    ("synthesize archive --out {new} --start yesterday", 2, "--start must be an ISO 8601 time .*got 'yesterday'"),
    ("synthesize archive --out {new} --duration-s 10 --shots 99", 2, "must fit 1.5 s apart"),
    ("datasets fetch nothing", 2, "must be one of .*got 'nothing'"),
]


class TestMistakes:
    @pytest.mark.usefixtures("plain_flows")
    @pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES, ids=[item[0] for item in MISTAKES])
    def test_it_is_one_line_and_changes_nothing(
        self, place: Place, gunshot: Gunshot, arguments: str, code: int, message: str
    ) -> None:
        names = {
            name: str(place.folder / file)
            for name, file in {
                "new": "new", "nothing": "nothing", "empty": "empty", "file": "file", "missing": "missing.csv",
                "column": "column.csv", "values": "values.csv", "misspelt": "misspelt.toml", "broken": "broken.toml",
                "other": "other.toml",
            }.items()
        }  # fmt: skip
        words = [word.format(**names, **vars(place)) for word in arguments.split()]
        before = place.state()
        ended = gunshot(*words)
        assert ended.code == code
        assert ended.out == ""
        stages = r"(list|preprocess|augment|train-\w+|evaluate|score) +\d+ [a-z]+ in [\d.]+ s"
        lines = [line for line in ended.err.splitlines() if not re.fullmatch(stages, line)]
        assert len(lines) == 1, ended.err
        assert re.match(f"gunshot: .*{message}", lines[0])
        if code == 2:  # found before any work, but for reading what there is
            changed = {name for name, content in place.state().items() if before.get(name, b"?") != content}
            assert not changed
        shutil.rmtree(place.folder / "new", ignore_errors=True)

    def test_a_group_without_a_command_shows_what_there_is(self, gunshot: Gunshot) -> None:
        for words in ((), ("synthesize",), ("datasets",)):
            ended = gunshot(*words)
            assert ended.code == 2
            assert "Commands:" in ended.err
            assert ended.out == ""

    def test_our_own_mistakes_are_not_hidden(self, gunshot: Gunshot, monkeypatch: pytest.MonkeyPatch) -> None:
        import flows.score

        def broken(**parameters: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(flows.score, "score", broken)
        with pytest.raises(ZeroDivisionError):
            gunshot("score", "x", "--model", "m", "--out", "o")

    def test_an_interrupt_is_no_traceback(self, gunshot: Gunshot, monkeypatch: pytest.MonkeyPatch) -> None:
        import flows.score

        def stopped(**parameters: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(flows.score, "score", stopped)
        ended = gunshot("score", "x", "--model", "m", "--out", "o")
        assert ended.code == 130
        assert ended.err.split() == ["stopped"]


@pytest.mark.usefixtures("plain_flows")
class TestWork:
    """What the commands print and write; that the engine changes nothing of it is tested with the flows."""

    def test_an_unreadable_file_is_a_row_and_the_run_ends_well(
        self, gunshot: Gunshot, tmp_path: Path, write_noise: Callable[..., Path]
    ) -> None:
        for index in range(11):
            write_noise(tmp_path / "audio" / f"{index:02d}.wav", seed=index)
        (tmp_path / "audio" / "notes.wav").write_text("no sound")
        ended = gunshot("preprocess", tmp_path / "audio", "--store", tmp_path / "s", "--workers", 0)
        assert ended.code == 0
        lines = ended.out.splitlines()
        assert lines[0] == "12 rows = 11 ok + 1 unreadable; 12 computed now"
        assert lines[1].startswith("  unreadable: notes.wav: no decoder takes it")
        assert lines[-1] == f"store: {tmp_path / 's'}"
        assert len(open_store(str(tmp_path / "s")).usable) == 11

    def test_scoring_prints_counts_that_reconcile(
        self, gunshot: Gunshot, place: Place, tmp_path: Path, write_noise: Callable[..., Path]
    ) -> None:
        for index in range(10):
            write_noise(tmp_path / "audio" / f"{index}.wav", seed=index)
        (tmp_path / "audio" / "x.wav").touch()
        out = tmp_path / "results"
        ended = gunshot("score", tmp_path / "audio", "--model", place.model, "--out", out, "--workers", 0)
        assert ended.code == 0
        lines = ended.out.splitlines()
        assert lines[0] == "11 recordings = 1 empty + 10 ok; 11 scored now"
        assert lines[1] == "  empty: x.wav: the file has 0 bytes"
        n_detections = read_table(str(out), "detections").num_rows
        assert lines[2] == f"{n_detections} detections in {30 / 3600:.2f} h"
        assert lines[3] == f"results: {out} (detections.csv, recordings.csv, nights.csv, summary.json)"

    def test_an_operating_point_is_chosen_at_training_and_at_scoring(
        self, gunshot: Gunshot, place: Place, tmp_path: Path
    ) -> None:
        model, out = tmp_path / "m", tmp_path / "results"
        ended = gunshot(
            "train", "--store", place.store, "--model", "logistic", "--out", model, "--augment", "none",
            "--operating-point", "miss 5%",
        )  # fmt: skip
        assert ended.code == 0
        assert load_bundle(str(model)).operating_point.name == "miss 5%"
        for words in ([], ["--operating-point", "fpr 25%"], ["--operating-point", "0.75"]):
            ended = gunshot("score", place.audio, "--model", model, "--out", out, "--workers", 0, *words)
            assert ended.code == 0
            assert "; 0 scored now" not in ended.out  # each is another model to the ledger
        expected = {load_bundle(str(model), text).digest for text in ("miss 5%", "fpr 25%", "0.75")}
        assert set(read_table(str(out), "recordings").column("model_digest").to_pylist()) == expected
        assert len(expected) == 3

    @pytest.mark.parametrize("as_json", [False, True])
    def test_progress_and_results_go_different_ways(
        self, gunshot: Gunshot, place: Place, tmp_path: Path, as_json: bool
    ) -> None:
        ended = gunshot(
            "train", "--store", place.store, "--model", "logistic", "--out", tmp_path / "m", "--augment", "none",
            *(["--json"] if as_json else []),
        )  # fmt: skip
        assert ended.code == 0
        digest = load_bundle(str(tmp_path / "m")).digest
        if as_json:
            assert json.loads(ended.out) == {
                "bundle": str(tmp_path / "m"), "digest": digest, "labels": None, "champion": None,
            }  # fmt: skip
            assert ended.out.count("\n") == 1
        else:
            assert ended.out == f"bundle: {tmp_path / 'm'} ({digest})\n"
        assert ended.err.startswith("train-logistic")

    @pytest.mark.parametrize("command", ["preprocess", "evaluate", "score", "manifest"])
    def test_json_is_one_object_and_nothing_else(
        self, gunshot: Gunshot, place: Place, tmp_path: Path, command: str
    ) -> None:
        out = tmp_path / "out"
        words = {
            "preprocess": [place.audio, "--store", out, "--workers", 0],
            "evaluate": ["--store", place.store, "--model", place.model, "--out", out],
            "score": [place.audio, "--model", place.model, "--out", out, "--workers", 0],
            "manifest": [place.audio, "--out", out / "m.parquet"],
        }[command]
        ended = gunshot(command, *words, "--json")
        assert ended.code == 0, ended.err
        assert isinstance(json.loads(ended.out), dict)
        assert ended.out.count("\n") == 1
        assert out.exists()

    def test_a_seed_and_a_false_alarm_rate_reach_the_model(
        self, gunshot: Gunshot, place: Place, tmp_path: Path
    ) -> None:
        ended = gunshot(
            "train", "--store", place.store, "--model", "logistic", "--out", tmp_path / "m", "--augment", "none",
            "--seed", 3, "--max-fpr", 0.5, "--split", "random",
        )  # fmt: skip
        assert ended.code == 0
        bundle = load_bundle(str(tmp_path / "m"))
        assert bundle.details["training"]["seed"] == 3
        assert bundle.details["training"]["split"] == {"by": "random", "assignments": [], "seed": 3, "keep": None}
        assert bundle.operating_point.name == "fpr 50%"

    def test_the_report_names_the_seed_of_the_training(self, gunshot: Gunshot, place: Place, tmp_path: Path) -> None:
        model = tmp_path / "m"
        words = ["--store", place.store, "--model", "logistic", "--out", model, "--augment", "none", "--seed", 6789]
        assert gunshot("train", *words).code == 0
        assert gunshot("evaluate", "--store", place.store, "--model", model, "--out", tmp_path / "r").code == 0
        page = (tmp_path / "r" / "report.html").read_text()
        assert "6789" in page[page.index('id="provenance"') :]


@pytest.mark.slow
class TestRealProcess:
    """The command as the shell runs it, with the server that Prefect starts for it."""

    def start(self, *words: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return subprocess.run(
            [sys.executable, "-c", "from flows.cli import main; main()", *map(str, words)],
            capture_output=True, text=True, check=False, env=environment | {"PREFECT_HOME": str(home)},
        )  # fmt: skip

    def test_a_mistake_is_one_line(self, place: Place, tmp_path: Path) -> None:
        done = self.start(
            "train", "--store", place.store, "--out", tmp_path / "m", "--assign", "x", home=tmp_path / "home"
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(r"gunshot: --assign must be GLOB=SPLIT .*got 'x'\n", done.stderr)
        assert not (tmp_path / "m").exists()

    def test_json_is_alone_on_the_output(self, place: Place, tmp_path: Path) -> None:
        done = self.start(
            "score", place.audio, "--model", place.model, "--out", tmp_path / "r", "--workers", "1", "--json",
            home=tmp_path / "home",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert summary["n_listed"] == summary["n_scored"] == 72
        assert done.stdout.count("\n") == 1
        assert re.fullmatch(r"list +72 recordings in [\d.]+ s\nscore +72 recordings in [\d.]+ s\n", done.stderr)
