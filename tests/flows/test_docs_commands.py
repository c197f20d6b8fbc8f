"""The commands in the pages do what the pages say; what is no command is a file that is taken."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from flows.clusters.choice import LOCAL_WORKERS, read_profile
from gunshot.recipe import read_recipe
from gunshot.scoring.results import read_table
from gunshot.store.read import open_store
from tests.deployments.running import free_port
from tests.handbook import PAGES, blocks, command, run_by
from tests.s3.conftest import close_clients
from tests.s3.runs import upload
from tests.s3.seaweed import BUCKET, SeaweedFS

ROOT = Path(__file__).resolve().parents[2]
Gunshot = Callable[..., Any]

SHORTER = {
    "gunshot train --store features.zarr --model small-cnn": "--epochs 1",
    "gunshot synthesize corpus": "--gunshots 3 --others 3",
    "gunshot synthesize archive": "--recordings 1 --duration-s 8 --shots 1 --confusers 0",
    "gunshot models refit": "--a-day 100000",  # in a few seconds of sound no smaller rate can be seen
}
"""Options that are given once more, so that what follows takes seconds: of two the last one counts."""


def test_each_block_is_run_by_a_test_or_is_a_file() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for block in blocks():
        if block.about in ("yaml", "toml", "ini"):
            continue
        assert block.about.startswith("sh test"), f"{block.page}: nobody runs {block.text!r}"
        name = block.about.removeprefix("sh test").strip()
        assert f'run_by("{name}")' in tests or not name, f"{block.page}: no test runs what is for {name!r}"
        assert "..." not in block.text


@pytest.mark.parametrize("block", [each for each in blocks() if each.about == "yaml"], ids=lambda each: each.text[:20])
def test_a_profile_of_the_pages_is_valid(block: Any, tmp_path: Path) -> None:
    for name in ("ca.pem", "client.pem", "client-key.pem"):
        (tmp_path / name).touch()
    (tmp_path / "mine.yaml").write_text(block.text)
    profile = read_profile(str(tmp_path / "mine.yaml"))
    assert f"kind: {profile.kind}" in block.text


def test_a_recipe_of_the_pages_is_taken(tmp_path: Path) -> None:
    (block,) = [each for each in blocks() if each.about == "toml"]
    (tmp_path / "recipe.toml").write_text(block.text)
    assert read_recipe(str(tmp_path / "recipe.toml")).sr_hz == tomllib.loads(block.text)["sr_hz"]


def test_the_service_starts_what_the_page_starts_by_hand() -> None:
    (block,) = [each for each in blocks() if each.about == "ini"]
    (started,) = re.findall(r"^ExecStart=/\S+/(gunshot .*)$", block.text, re.MULTILINE)
    assert started == command("gunshot up", "server")


def words(line: str) -> list[str]:
    more = next((options for begins, options in SHORTER.items() if line.startswith(begins)), "")
    return shlex.split(f"{line} {more}")[1:]


@pytest.fixture
def recordings(
    labelled: Path, write_noise: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Recordings at sites, in folders named by class, and an archive and nights without labels."""
    sites = ("site-1", "site-1", "site-1", "site-3", "site-7", "youtube")
    for number, path in enumerate(sorted(labelled.rglob("*.wav"))):
        kind = "gunshot" if "gunshot" in path.parent.name or "gunshot" in path.name else "other"
        place = tmp_path / "recordings" / sites[number % 6] / kind / f"20261122_{190000 + number}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    write_noise(tmp_path / "archive" / "20261122_190000.wav", 10.0)
    write_noise(tmp_path / "nights" / "20261121_190000.wav", 20.0, seed=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(LOCAL_WORKERS, "0")
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_the_commands_work_in_their_order(gunshot: Gunshot, recordings: Path) -> None:
    assert {path.name for path in (recordings / "recordings" / "site-1").iterdir()} == {"gunshot", "other"}
    first, *others = PAGES
    for line in [*run_by("", first), "", *run_by("", *others)]:
        if not line:  # the tutorial ends; who goes on to a schedule has no results yet
            shutil.rmtree("results")
            continue
        assert line.startswith("gunshot ")
        if line.startswith("gunshot results misses"):
            label_sample(gunshot)
        ended = gunshot(*words(line))
        assert ended.code == 0, f"{line}: {ended.out} {ended.err}"
    assert (recordings / "results" / "recordings.csv").exists()
    assert (recordings / "evaluation" / "report.html").exists()
    assert (recordings / "november.html").exists()


def label_sample(gunshot: Gunshot) -> None:
    """A sample is kept from below the threshold, and somebody has listened to it."""
    ended = gunshot("score", "archive", "--model", "field", "--out", "results", "--sample", "1")
    assert ended.code == 0, ended.err
    assert read_table("results", "candidates").num_rows
    sample = Path("results", "review", "sample.csv")
    sample.write_text(sample.read_text().replace(",,", ",0,"))


def test_what_adapts_is_told_what_the_page_says(gunshot: Gunshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adapting takes minutes: `tests/gunshot/adaptation` does it. Here the command says all that it was given."""
    import flows.adapt
    from gunshot.errors import ParameterError

    def adapt(*_: Any, **given: Any) -> None:
        raise ParameterError(repr(sorted(given.items())))

    monkeypatch.setattr(flows.adapt, "adapt", adapt)
    for line in run_by("adapt"):
        told = gunshot(*shlex.split(line)[1:]).err
        for option, value in re.findall(r"--(\w+) (\S+)", line):
            assert f"'{option}'" in told, line
            assert value in told, line


def test_without_a_network_what_fetches_says_so_in_one_line(
    gunshot: Gunshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gunshot.datasets.download.time.sleep", lambda _: None)  # it asks again before it says so
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for line in run_by("network"):
        ended = gunshot(*shlex.split(line)[1:])
        assert ended.code == 1
        assert ended.err.splitlines()[-1].startswith("gunshot: ")
        assert "Traceback" not in ended.err


@pytest.fixture
def bucket(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket that this process, and those that it starts, know by the standard chain alone."""
    weed = SeaweedFS(tmp_path_factory.mktemp("s3-server"))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in weed.server.environment.items():
        monkeypatch.setenv(name, value)
    close_clients()
    try:
        weed.start()
        yield f"s3://{BUCKET}"
        close_clients()
    finally:
        weed.kill()
        weed.remove()


@pytest.mark.slow
@pytest.mark.usefixtures("plain_flows")
def test_a_scheduler_and_workers_of_ones_own_fill_a_store_in_a_bucket(
    gunshot: Gunshot, bucket: str, write_noise: Callable[..., Path], tmp_path: Path
) -> None:
    for number in range(4):
        write_noise(tmp_path / "audio" / f"{number}.wav", seed=number)
    assert gunshot("doctor", upload(tmp_path / "audio", f"{bucket}/recordings")).code == 0
    port = free_port()
    places = {
        "10.0.0.5:8786": f"127.0.0.1:{port}",
        "10.0.0.5": f"127.0.0.1 --port {port} --dashboard-address 127.0.0.1:0",
    }
    lines = run_by("dask")
    for reader, here in places.items():
        lines = [line.replace(reader, here) for line in lines]
    *servers, last = [line.replace("s3://bucket", bucket) for line in lines]
    with ExitStack() as started:
        for line in servers:
            words = [f"{Path(sys.executable).parent}/dask", *shlex.split(line)[1:]]
            process = subprocess.Popen(words, stderr=subprocess.DEVNULL, cwd=tmp_path)
            started.callback(process.wait, 60)
            started.callback(process.terminate)
        with Client(f"tcp://127.0.0.1:{port}", timeout=120, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=120)
        ended = gunshot(*shlex.split(last)[1:])
    assert ended.code == 0, ended.err
    assert open_store(f"{bucket}/features.zarr").header.n_rows == 4
