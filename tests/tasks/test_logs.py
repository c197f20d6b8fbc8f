"""What workers warn of reaches who reads the run; a worker does without Prefect for it."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path

import pytest
from distributed import Client

from tasks.fanout import fan_out
from tasks.heard import hearing


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNSHOT_LOG_FORMAT", "json")


def warned(err: str) -> list[str]:
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    return [line["message"] for line in lines if line["event"] == "dask-warned"]


def test_a_warning_is_one_line_and_what_is_less_is_left_out() -> None:
    said: list[str] = []
    logger = logging.getLogger("distributed.worker.memory")
    with hearing(said.append):
        logger.warning("short of\n  memory: %d%%", 95)
        logger.info("nothing")
    logger.warning("later")
    assert said == ["short of memory: 95%"]


@pytest.mark.usefixtures("machine")
def test_what_a_worker_warns_of_during_a_unit_names_the_worker(cluster: str, capfd: pytest.CaptureFixture[str]) -> None:
    def unit(item: int) -> int:
        if item == 3:
            logging.getLogger("distributed.worker.memory").warning("unit %d takes much", item)
        return item

    assert sorted(fan_out(cluster, unit, range(6))) == list(range(6))
    (line,) = [line for line in warned(capfd.readouterr().err) if "takes much" in line]
    assert line.startswith("tcp://127.0.0.1:")
    assert line.endswith(": unit 3 takes much")
    with Client(cluster, set_as_default=False) as client:
        assert set(client.run(lambda: "prefect" in sys.modules).values()) == {False}


@pytest.mark.usefixtures("machine")
def test_a_worker_that_dies_is_told_of(cluster: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mark = tmp_path / "died"

    def unit(item: int) -> int:
        if item == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    assert sorted(fan_out(cluster, unit, range(6))) == list(range(6))
    told = warned(capfd.readouterr().err)
    assert any("estarting worker" in line or "killed" in line for line in told), told
