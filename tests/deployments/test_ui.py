"""The Prefect UI in a real browser: runs begun by its forms, watched, read when they fail, mended and retried."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import botocore.session
import psutil
import pytest

from flows.operations.processes import marked
from flows.operations.specification import SHIPPED_FILE, load_flow, read_deployments
from gunshot.scoring.results import read_table
from gunshot.storage import lease
from tests.deployments.pages import PrefectUI, opened
from tests.deployments.running import BIN, LONG_S, Up, free_port, nothing_left, wait, write_archive
from tests.s3.seaweed import S3Server, SeaweedFS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * LONG_S)]

BUCKET = "no-such-bucket"
N_LOCAL, N_REMOTE = 600, 8
REASON = f"cannot list s3://{BUCKET}/recordings: it does not exist; check the address"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that this process, and those that it starts, know by the standard chain alone."""
    weed = SeaweedFS(tmp_path_factory.mktemp("s3-server"))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in weed.server.environment.items():
            patch.setenv(name, value)
        try:
            weed.start()
            yield weed.server
        finally:
            weed.kill()
            weed.remove()


@pytest.fixture(scope="module")
def up(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with nothing_left(tmp_path_factory.mktemp("ui") / "home") as home:
        write_archive(home / "archive", range(N_LOCAL), 10.0)
        up = Up(home, free_port())
        up.wait_ready()
        yield up
        assert up.stop() == 0


@pytest.fixture
def ui(up: Up) -> Iterator[PrefectUI]:
    with opened(up.api.removesuffix("/api")) as ui:
        yield ui


def test_the_forms_show_every_parameter_with_what_it_means(ui: PrefectUI) -> None:
    for spec in read_deployments(SHIPPED_FILE).deployments:
        fields = load_flow(spec).fn.parameters.model_fields
        ui.open_form(spec.name)
        assert ui.labels() == list(fields), spec.name
        for name, about in fields.items():
            assert ui.description(name) == about.json_schema_extra["description"], (spec.name, name)


def make_bucket(s3: S3Server, folder: Path) -> None:
    """The bucket that was not there, with recordings, one of which is none."""
    write_archive(folder, range(10_000, 10_000 + N_REMOTE), 5.0)
    client = botocore.session.get_session().create_client("s3", endpoint_url=s3.endpoint)
    try:
        client.create_bucket(Bucket=BUCKET)
        for path in folder.iterdir():
            client.put_object(Bucket=BUCKET, Key=f"recordings/{path.name}", Body=path.read_bytes())
        client.put_object(Bucket=BUCKET, Key="recordings/broken.wav", Body=b"no sound")
    finally:
        client.close()


def begin(ui: PrefectUI, *inputs: str) -> None:
    """Fill in the form of `score-backfill`, whose default is to say what it would do."""
    ui.open_form("score-backfill")
    ui.write_list("inputs", inputs)
    ui.write("out", "results")
    ui.write("max_failed_fraction", "0.5")
    ui.switch("plan")
    ui.submit()


def watch_progress(ui: PrefectUI) -> list[int]:
    """How far the run was, whenever one looked, until it was done."""
    ui.open_artifact("score-progress")
    seen: list[int] = []
    while 100 not in seen:
        found = re.search(r"(\d+)%", ui.artifact())
        assert found
        seen.append(int(found[1]))
        ui.page.reload()
    return seen


def test_a_run_by_the_form_fails_is_read_mended_and_retried(
    ui: PrefectUI, up: Up, s3: S3Server, tmp_path: Path
) -> None:
    begin(ui, "archive")
    run = ui.page.url
    ui.wait_for("Running")
    seen = watch_progress(ui)
    assert seen == sorted(seen)
    assert [percent for percent in seen if 0 < percent < 100], "it was seen at work"
    ui.page.goto(run)
    assert ui.wait_for("Completed", "Failed", "Crashed") == "Completed"
    ledger = {path: path.stat().st_mtime_ns for path in (up.home / "results" / "recordings").glob("*.parquet")}

    begin(ui, "archive", f"s3://{BUCKET}/recordings")
    assert ui.wait_for("Completed", "Failed", "Crashed") == "Failed"
    assert ui.state_message() == f"Flow run encountered an exception: ManifestError: {REASON}"
    errors = [entry for entry in ui.log() if entry.startswith("ERROR")]
    assert errors
    for entry in errors:
        assert f"gunshot.errors.ManifestError: {REASON}" in entry.splitlines()
        assert "s3fs" not in entry, "causes of the error bury what it says"
    assert REASON in errors[0].splitlines()[1], "the first line says it"

    make_bucket(s3, tmp_path / "remote")
    ui.retry()
    assert ui.wait_for("Completed", "Failed", "Crashed") == "Completed"
    assert {path: path.stat().st_mtime_ns for path in ledger} == ledger, "what was done is not done twice"
    assert_artifacts_tell_of_it(ui)
    assert_same_as_by_hand(up.home)


def test_a_run_is_cancelled(ui: PrefectUI, up: Up) -> None:
    with lease(str(up.home / "results")):  # for which it waits
        begin(ui, "archive")
        ui.wait_for("Running")
        wait(lambda: bool(processes_of(up, ui)))
        ui.cancel()
        assert ui.wait_for("Cancelled", "Completed", "Failed", "Crashed") == "Cancelled"
        assert not processes_of(up, ui)


def processes_of(up: Up, ui: PrefectUI) -> list[int]:
    """Of the run whose page is open."""
    run, found = ui.page.url.rpartition("/")[2].partition("?")[0], []
    for process in marked(str(up.home)):
        with suppress(psutil.Error):
            if process.environ().get("PREFECT__FLOW_RUN_ID") == run:
                found.append(process.pid)
    return found


def assert_artifacts_tell_of_it(ui: PrefectUI) -> None:
    run, told = ui.page.url, {}
    for name in ("score-morning", "score-failures", "score-nights", "score-progress"):
        ui.page.goto(run)
        told[name] = ui.open_artifact(name)
    assert f"{N_LOCAL + N_REMOTE + 1} recordings = {N_LOCAL + N_REMOTE} ok + 1 unreadable" in told["score-morning"]
    assert f"{N_REMOTE + 1} recordings, " in told["score-morning"].split("This run")[1], "only what was missing"
    for word in ("broken.wav", "unreadable", "Format not recognised"):
        assert word in told["score-failures"]
    assert "2026-11-22" in told["score-nights"]
    assert told["score-progress"] == "Progress: 100%"
    ui.page.goto(run)
    assert [entry for entry in ui.log() if re.search(rf"score +{N_REMOTE + 1} recordings in ", entry)]
    ui.page.goto(run)
    ui.open_artifact("score-morning")
    assert ui.picture_width("Shots and hours listened by night") > 0


def assert_same_as_by_hand(home: Path) -> None:
    """The results are those of one run of the command line over the same."""
    words = ["score", "archive", f"s3://{BUCKET}/recordings", "--model", "field", "--out", "by-hand"]
    words += ["--sample", "0.01", "--max-failed-fraction", "0.5", "--workers", "1"]
    subprocess.run([str(BIN / "gunshot"), *words], cwd=home, check=True, timeout=LONG_S)
    for kind in ("detections", "candidates", "recordings"):
        found, expected = (read_table(str(home / out), kind) for out in ("results", "by-hand"))
        assert expected.num_rows
        own = {"run_id"} & set(expected.column_names)
        assert found.drop_columns(list(own)).equals(expected.drop_columns(list(own))), kind
