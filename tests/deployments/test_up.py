"""`gunshot up` as a person has it: started, killed, started again, stopped; runs scored, cancelled, retried."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import soundfile as sf
from distributed import Client

from flows.cluster import open_cluster
from flows.operations.processes import marked
from gunshot.scoring.results import KINDS, read_table
from tests.deployments.running import (
    ENDED,
    LONG_S,
    Up,
    dask_workers,
    free_port,
    holder,
    nothing_left,
    wait,
    words,
    write_archive,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * LONG_S)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with nothing_left(tmp_path_factory.mktemp("up") / "home") as home:
        yield home


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


def test_a_killed_one_is_taken_up_where_it_was(home: Path, port: int) -> None:
    write_archive(home / "archive", range(2), 2.0)
    up = Up(home, port)
    up.wait_ready()
    assert "created   deployment score-nightly" in up.said()
    done = up.begin("score/score-nightly", inputs=["archive"], model="field", out="results", settle_s=0, workers=0)
    assert up.wait_for(done, "Completed", "Failed", "Crashed") == "Completed"
    assert up.ask(f"/flow_runs/{done}")["name"].startswith("score 20")
    ledger = {path.name: path.stat().st_mtime_ns for path in (home / "results" / "recordings").glob("*.parquet")}
    assert ledger

    # one is at work when everything is killed
    write_archive(home / "archive", range(2, 30), 60.0)
    lost = up.begin("score/score-nightly", inputs=["archive"], model="field", out="results", settle_s=0, workers=1)
    up.wait_for(lost, "Running")
    wait(lambda: holder(home) is not None)
    before = holder(home)
    up.process.kill()
    up.process.wait()
    assert marked(str(home)), "what it started is still there"

    again = Up(home, port)
    again.wait_ready()
    assert "processes of an earlier 'gunshot up' that was killed were ended" in again.said()
    assert "unchanged deployment score-nightly" in again.said()
    assert again.state(lost) == "Crashed"
    assert again.state(done) == "Completed", "history is where it was"
    again.set_state(lost, "SCHEDULED", "AwaitingRetry")  # as the UI's Retry
    # the lease of the one that was killed lies there until the retry takes it over
    wait(lambda: holder(home) not in (None, before) or again.state(lost) == "Completed")

    # cancelled from the UI: its work ends, its lease is given back
    if again.state(lost) != "Completed":
        again.set_state(lost, "CANCELLING", "Cancelling")
        again.wait_for(lost, "Cancelled")
        wait(lambda: not dask_workers(home))
        wait(lambda: holder(home) is None)
    last = again.begin("score/score-backfill", inputs=["archive"], model="field", out="results", plan=False, workers=1)
    assert again.wait_for(last, "Completed", "Failed", "Crashed") == "Completed"
    for name, written in ledger.items():
        assert (home / "results" / "recordings" / name).stat().st_mtime_ns == written, "what was done is not done twice"

    assert again.stop() == 0
    assert not marked(str(home))


def test_a_cancel_amid_a_batch_stops_the_work_soon_and_a_rerun_does_the_rest(home: Path, port: int) -> None:
    write_archive(home / "long", range(200), 30.0)
    given = {"inputs": ["long"], "model": "field", "out": "cancelled", "plan": False, "workers": 2}
    given |= {"operating_point": "0.5"}  # most of the archive's clicks are called there
    ledger = home / "cancelled" / "recordings"
    up = Up(home, port)
    up.wait_ready()
    run = up.begin("score/score-backfill", **given)
    wait(lambda: any(ledger.glob("*.parquet")))  # a batch is done, and workers are at others
    assert up.state(run) == "Running"
    dask_workers(home)[0].kill()  # it is brought back
    wait(lambda: any("estarting worker" in line for line in up.log_of(run)))
    began_s = monotonic()
    up.set_state(run, "CANCELLING", "Cancelling")
    wait(lambda: not dask_workers(home) and holder(home, "cancelled") is None)
    took_s = monotonic() - began_s
    print(f"\ncancel to no worker left and the lease free: {took_s:.1f} s")
    assert took_s < 30
    assert up.wait_for(run, *ENDED) == "Cancelled"
    done = {path: path.stat().st_mtime_ns for path in ledger.glob("*.parquet")}
    assert 0 < read_table(str(home / "cancelled"), "recordings").num_rows < 200

    assert up.wait_for(up.begin("score/score-backfill", **given), *ENDED) == "Completed"
    rows = read_table(str(home / "cancelled"), "recordings")
    assert rows.num_rows == len(set(rows["path"].to_pylist())) == 200
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what was done is not done twice"

    with open_cluster(2) as address:
        _cancel_beside_others(up, home, address)
    assert up.stop() == 0


def _cancel_beside_others(up: Up, home: Path, address: str) -> None:
    """On a scheduler that somebody else uses too, amid the run's only batch."""
    names = [f"20261122_19{number:04d}.wav" for number in range(24)]
    for name in names:
        (home / "part").mkdir(exist_ok=True)
        (home / "part" / name).hardlink_to(home / "long" / name)
    hour = home / "part" / "20261122_180000.wav"  # the batch must not be done before the cancel has come
    y = 0.05 * np.random.default_rng(1).standard_normal(3600 * 12_000, dtype=np.float32)
    y[::1200] = 0.9
    sf.write(hour, y, 12_000)
    profile = home / "shared.yaml"
    profile.write_text(f"kind: address\naddress: {address}\n")
    # the workers' folder is not the run's
    given = {"inputs": [str(home / "part")], "model": "field", "out": str(home / "shared"), "plan": False}
    given["operating_point"] = "0.5"
    given |= {"cluster": str(profile)}  # `--workers` of this server is nothing that has to be taken back
    beats, enough = home / "beats", home / "enough"

    def others() -> int:
        while not enough.exists():
            with beats.open("a") as file:
                file.write(".")
            sleep(0.1)
        return beats.stat().st_size

    # whatever fails, the other's task ends, or the workers would be waited for
    with Client(address, set_as_default=False) as client, ExitStack() as leaving:
        leaving.callback(enough.touch)

        def at_work() -> list[str]:
            found = client.run(lambda dask_worker: [task.key for task in dask_worker.state.executing])
            return [key for keys in found.values() for key in keys if key.startswith("score_batch")]

        their = client.submit(others)
        run = up.begin("score/score-backfill", **given)
        wait(lambda: bool(at_work()) or up.state(run) in ENDED)
        assert up.state(run) == "Running"
        began_s = monotonic()
        up.set_state(run, "CANCELLING", "Cancelling")
        wait(lambda: not at_work() and holder(home, "shared") is None)
        took_s = monotonic() - began_s
        print(f"\ncancel on a shared scheduler to no task left and the lease free: {took_s:.1f} s")
        assert took_s < 30
        assert up.wait_for(run, *ENDED) == "Cancelled"
        assert not list((home / "shared").glob("*/*.parquet")), "the batch was broken off"
        hour.unlink()
        assert up.wait_for(up.begin("score/score-backfill", **given), *ENDED) == "Completed"
        assert their.status == "pending"
        before = beats.stat().st_size
        enough.touch()
        assert their.result(timeout=LONG_S) >= before > 0
    for kind in KINDS[::2]:
        found, clean = (read_table(str(home / out), kind).drop_columns(["uri"]) for out in ("shared", "cancelled"))
        clean = clean.filter(pc.is_in(clean["path"], pa.array(names)))
        if kind == "recordings":
            found, clean = found.drop_columns(["run_id"]), clean.drop_columns(["run_id"])
        assert found.num_rows >= len(names)
        assert found.equals(clean)


def test_a_child_that_dies_ends_the_rest_in_one_line(home: Path, port: int) -> None:
    up = Up(home, port)
    up.wait_ready()
    (worker,) = [each for each in marked(str(home)) if {"worker", "start"} <= set(words(each))]
    worker.kill()
    assert up.process.wait(LONG_S) == 1
    last = up.said().splitlines()[-1]
    assert last.startswith("gunshot: the Prefect worker has ended (exit code -9")
    assert not marked(str(home))


def test_ctrl_c_while_it_starts(home: Path, port: int) -> None:
    up = Up(home, port)
    wait(lambda: "starting the Prefect server" in up.said())
    assert up.stop(signal.SIGINT) == 130
    assert not marked(str(home))
    assert "Traceback" not in up.said()
