"""The flows one after the other, as a user runs them, on a server of their own."""

from __future__ import annotations

import asyncio
import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pyarrow.parquet as pq
import pytest

from gunshot.errors import BundleError, RunError, StoreIncompleteError, TransientStorageError
from gunshot.models.bundle import load_bundle
from gunshot.scoring.results import read_table
from gunshot.store.generations import current
from gunshot.store.read import open_store

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]

Gunshot = Callable[..., Any]
Json = dict[str, Any]


def one_object(text: str) -> Json:
    """The one JSON object, and the one line, that a command printed."""
    (line,) = text.splitlines()
    content = json.loads(line)
    assert isinstance(content, dict)
    return content


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Run(NamedTuple):
    """What the whole path left, and what its commands printed."""

    folder: Path
    printed: dict[str, Json]

    @property
    def store(self) -> str:
        return str(self.folder / "features.zarr")


@pytest.fixture(scope="module")
def run(
    labelled: Path,
    gunshot: Gunshot,
    write_noise: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
    prefect_server: None,
) -> Run:
    """From recordings to detections, every command with --json."""
    folder = tmp_path_factory.mktemp("run")
    for index in range(5):
        write_noise(folder / "archive" / f"2026112{index}_180000.wav", seed=index)
    (folder / "archive" / "broken.wav").write_bytes(b"no sound")
    done = Run(folder, {})
    commands: dict[str, list[str | Path]] = {
        "preprocess": ["preprocess", labelled, "--store", done.store, "--workers", "0"],
        "logistic": [
            "train", "--store", done.store, "--model", "logistic", "--out", folder / "logistic", "--workers", "0",
        ],
        "small-cnn": [
            "train", "--store", done.store, "--out", folder / "small-cnn", "--workers", "0", "--epochs", "2",
        ],
        "evaluate": ["evaluate", "--store", done.store, "--model", folder / "logistic", "--out", folder / "report"],
        "score": [
            "score", folder / "archive", "--model", folder / "logistic", "--out", folder / "results",
            "--workers", "0", "--max-failed-fraction", "0.2",
        ],
    }  # fmt: skip
    with mock.patch("gunshot.scoring.plan._BATCH_RECORDINGS", 2):  # three batches of so small an archive
        for name, command in commands.items():
            ended = gunshot(*command, "--json")
            assert ended.code == 0, ended.err
            done.printed[name] = one_object(ended.out)
    return done


class TestPreprocess:
    def test_the_summary_reconciles_with_the_store(self, run: Run) -> None:
        store = open_store(run.store)
        assert run.printed["preprocess"] == {
            "store": run.store, "n_rows": 72, "n_computed": 72, "states": {"ok": 72}, "failures": [],
        }  # fmt: skip
        assert store.header.n_rows == len(store.usable) == 72

    def test_a_rerun_computes_nothing_and_changes_no_byte(self, run: Run, labelled: Path, gunshot: Gunshot) -> None:
        before = contents(Path(run.store))
        ended = gunshot("preprocess", labelled, "--store", run.store, "--workers", 0)
        assert ended.code == 0
        assert ended.out.splitlines()[0] == "72 rows = 72 ok; 0 computed now"
        assert contents(Path(run.store)) == before

    def test_too_many_failures_leave_the_store_uncommitted(
        self, gunshot: Gunshot, write_noise: Callable[..., Path], tmp_path: Path
    ) -> None:
        for index in range(3):
            write_noise(tmp_path / "audio" / "gunshot" / f"{index}.wav", seed=index)
        (tmp_path / "audio" / "other").mkdir()
        (tmp_path / "audio" / "other" / "a.wav").write_bytes(b"no sound")
        store = tmp_path / "s.zarr"
        command = ["preprocess", tmp_path / "audio", "--store", store, "--workers", 0]
        ended = gunshot(*command, "--json")
        assert ended.code == 1
        assert ended.out == ""
        (line,) = [line for line in ended.err.splitlines() if line.startswith("gunshot: ")]
        assert "1 of 4 rows failed, more than --max-failed-fraction 0.1 allows" in line
        assert "other/a.wav: unreadable, no decoder takes it" in line
        assert line.endswith(f"{store} is not committed")
        assert ended.err.splitlines()[-1] == line  # and no traceback after it
        assert "Traceback" not in ended.err
        with pytest.raises(StoreIncompleteError):
            open_store(str(store))
        assert "preprocess-failures" in artifact_keys()
        # the same run with a wider limit has nothing left to compute
        ended = gunshot(*command, "--json", "--max-failed-fraction", "0.25")
        assert ended.code == 0
        summary = one_object(ended.out)
        assert summary["n_computed"] == 0
        assert summary["states"] == {"ok": 3, "unreadable": 1}
        assert [row["path"] for row in summary["failures"]] == ["other/a.wav"]
        assert open_store(str(store)).usable.tolist() == [0, 1, 2]


class TestTrain:
    @pytest.mark.parametrize("model", ["logistic", "small-cnn"])
    def test_the_bundle_is_the_one_that_was_printed(self, run: Run, model: str) -> None:
        bundle = load_bundle(str(run.folder / model))
        expected = {"bundle": str(run.folder / model), "digest": bundle.digest, "labels": None, "champion": None}
        assert run.printed[model] == expected
        assert bundle.name == model
        assert bundle.details["training"]["manifest_digest"] == open_store(run.store).header.manifest_digest

    def test_the_training_rows_were_doubled_once(self, run: Run) -> None:
        """Both models were trained on the same copies: there is one store of them."""
        (copies,) = Path(current(run.store), "copies").iterdir()
        for model in ("logistic", "small-cnn"):
            training = load_bundle(str(run.folder / model)).details["training"]
            assert training["copies"] == training["rows"]["train"] == open_store(str(copies)).header.n_rows

    def test_labels_and_a_champion_go_through_the_engine(
        self, run: Run, gunshot: Gunshot, labelled: Path, tmp_path: Path
    ) -> None:
        """The labels are those of the store, said once more: each of its rows gives way to one of them."""
        ended = gunshot(
            "train", "--store", run.store, "--labels", labelled / "labels.csv", "--champion", run.folder / "logistic",
            "--model", "logistic", "--out", tmp_path / "next", "--workers", 0, "--json",
        )  # fmt: skip
        assert ended.code == 0, ended.err
        printed = one_object(ended.out)
        before = load_bundle(str(run.folder / "logistic")).details["training"]
        training = load_bundle(str(tmp_path / "next")).details["training"]
        assert training["rows"] == before["rows"] == printed["labels"]["splits"]
        assert training["copies"] == before["copies"]
        assert printed["champion"]["comparison"]["models"][0]["uri"] == str(run.folder / "logistic")

    def test_epochs_are_as_many_as_asked_for(self, run: Run) -> None:
        assert len(load_bundle(str(run.folder / "small-cnn")).details["training"]["history"]) == 2


class TestEvaluate:
    def test_metrics_are_printed_and_written(self, run: Run) -> None:
        metrics = json.loads((run.folder / "report" / "metrics.json").read_text())
        assert run.printed["evaluate"] == metrics
        assert metrics["default"] == "logistic"
        assert {"test", "validation"} <= set(metrics["models"]["logistic"])
        table = pq.read_table(run.folder / "report" / "predictions.parquet").to_pylist()
        test = [(row["label"], row["called"]) for row in table if row["split"] == "test"]
        found = metrics["models"]["logistic"]["test"]
        assert found["n"] == len(test)
        assert found["accuracy"] == sum(label == called for label, called in test) / len(test)

    def test_the_report_is_there(self, run: Run) -> None:
        page = (run.folder / "report" / "report.html").read_text()
        assert "Evaluation of logistic" in page
        assert "Synthetic sound" in page

    def test_several_models_share_a_report(self, run: Run) -> None:
        from flows.evaluate import evaluate, figures

        out = run.folder / "both"
        metrics = evaluate(run.store, [str(run.folder / "small-cnn"), str(run.folder / "logistic")], str(out))
        assert metrics["default"] == "small-cnn"
        assert set(metrics["models"]) == {"small-cnn", "logistic"}
        lines = figures(metrics)
        for name in ("small-cnn", "logistic"):  # one after the other: what was counted, then what it means for a day
            counted, day = (line for line in lines if line.startswith(name))
            assert counted.split()[:3] == [name, "test", str(metrics["models"][name]["test"]["n"])]
            assert f"{metrics['models'][name]['figures']['test']['recorder_day']['false_alarms_per_day']:,.0f} f" in day
        assert [line.split()[0] for line in lines[::2]] == ["small-cnn", "logistic", "synthetic"]
        page = (out / "report.html").read_text()
        assert "logistic" in page
        assert "small-cnn" in page


class TestScore:
    def test_totals_reconcile(self, run: Run) -> None:
        summary = run.printed["score"]
        assert (summary["n_listed"], summary["n_scored"]) == (6, 6)
        assert summary["states"] == {"ok": 5, "unreadable": 1}
        assert [row["path"] for row in summary["failures"]] == ["broken.wav"]
        recordings = read_table(str(run.folder / "results"), "recordings").to_pylist()
        detections = read_table(str(run.folder / "results"), "detections").to_pylist()
        assert Counter(row["state"] for row in recordings) == summary["states"]
        assert summary["n_detections"] == len(detections) == sum(row["n_detections"] for row in recordings)
        assert summary["listened_s"] == sum(row["read_s"] for row in recordings) == 15.0
        for kind, rows in (("recordings", recordings), ("detections", detections)):
            with (run.folder / "results" / f"{kind}.csv").open(newline="") as file:
                assert [row["path"] for row in csv.DictReader(file)] == [row["path"] for row in rows]

    def test_a_rerun_scores_nothing_and_changes_no_byte(self, run: Run, gunshot: Gunshot) -> None:
        before = contents(run.folder / "results")
        ended = gunshot(
            "score", run.folder / "archive", "--model", run.folder / "logistic", "--out", run.folder / "results",
            "--workers", 0, "--max-failed-fraction", 0.2, "--json",
        )  # fmt: skip
        assert ended.code == 0
        assert one_object(ended.out) == run.printed["score"] | {"n_scored": 0, "throughput": None}
        assert contents(run.folder / "results") == before

    def test_too_many_failures_fail_the_run_after_the_results_are_written(
        self, run: Run, gunshot: Gunshot, tmp_path: Path
    ) -> None:
        out = tmp_path / "results"
        ended = gunshot(
            "score", run.folder / "archive", "--model", run.folder / "logistic", "--out", out, "--workers", 0, "--json",
            "--max-failed-fraction", 0.1,
        )  # fmt: skip
        assert ended.code == 1
        assert ended.out == ""
        (line,) = [line for line in ended.err.splitlines() if line.startswith("gunshot: ")]
        assert "1 of 6 recordings failed, more than --max-failed-fraction 0.1 allows" in line
        assert f"reasons are in {out}/recordings.csv" in line
        assert "Traceback" not in ended.err
        with (out / "recordings.csv").open(newline="") as file:
            reasons = {row["path"]: row["reason"] for row in csv.DictReader(file)}
        assert len(reasons) == 6
        assert "no decoder takes it" in reasons["broken.wav"]


def server(question: Callable[[Any], Any]) -> Any:
    """Ask the Prefect server."""
    from prefect.client.orchestration import get_client

    async def ask() -> Any:
        async with get_client() as client:
            return await question(client)

    return asyncio.run(ask())


def artifact_keys() -> set[str]:
    return {str(artifact.key) for artifact in server(lambda client: client.read_artifacts(limit=200))}


class TestWhatTheServerKnows:
    def test_failures_and_progress_are_artifacts(self, run: Run) -> None:
        assert {
            "preprocess-progress", "score-progress", "score-failures", "trained-bundle", "evaluation",
            "train-logistic-progress", "train-small-cnn-progress", "evaluation-report",
        } <= artifact_keys()  # fmt: skip

    def test_the_table_of_failures_says_why(self, run: Run) -> None:
        artifacts = server(lambda client: client.read_artifacts(limit=200))
        table = next(artifact for artifact in artifacts if artifact.key == "score-failures")
        (row,) = json.loads(table.data)
        assert (row["path"], row["state"]) == ("broken.wav", "unreadable")
        assert "no decoder takes it" in row["reason"]
        assert table.description.endswith("(1 rows)")

    def test_stages_are_seen_and_files_are_not(self, run: Run) -> None:
        """Two partitions and three batches, but one task run a stage: the number does not grow with the archive."""
        assert len(open_store(run.store).header.partitions) == 2
        assert len(list((run.folder / "results" / "recordings").iterdir())) == 3
        flow_runs = server(lambda client: client.read_flow_runs(limit=200))
        task_runs = server(lambda client: client.read_task_runs(limit=200))
        flows = {flow_run.id: flow_run.name.split()[0] for flow_run in flow_runs}
        counts = Counter(task_run.flow_run_id for task_run in task_runs)
        assert {"preprocess", "train", "evaluate", "score"} <= set(flows.values())
        for flow_run_id, count in counts.items():
            most = {"demo": 12, "train": 4}  # labels, copies, the training, the champion
            assert count <= most.get(flows[flow_run_id], 3), flows[flow_run_id]


class TestErrorsThroughTheEngine:
    """Prefect hands our errors through as they are; the command line tells them by their kind."""

    def test_a_users_mistake_is_one_line(self, gunshot: Gunshot, run: Run, tmp_path: Path) -> None:
        ended = gunshot(
            "score", run.folder / "archive", "--model", tmp_path / "none", "--out", tmp_path / "r", "--json"
        )
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.splitlines() == [ended.err.strip()]
        assert ended.err.startswith(f"gunshot: no model bundle at {tmp_path / 'none'}")
        assert not (tmp_path / "r").exists()

    def test_only_what_may_pass_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from prefect import flow, task

        from tasks.retries import TRANSIENT

        tried: list[str] = []

        @task(**TRANSIENT | {"retry_delay_seconds": 0, "retry_jitter_factor": None})
        def attempt(name: str, error: type[Exception]) -> str:
            tried.append(name)
            if tried.count(name) < 3:
                raise error("no answer")
            return name

        @flow
        def attempts() -> str:
            with pytest.raises(BundleError):
                attempt("damaged", BundleError)
            with pytest.raises(RunError):
                attempt("failed", RunError)
            return attempt("slow store", TransientStorageError)

        assert attempts() == "slow store"
        assert Counter(tried) == {"damaged": 1, "failed": 1, "slow store": 3}
