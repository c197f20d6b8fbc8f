"""``gunshot store`` and ``gunshot preprocess --plan``, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner

from flows.cli import cli
from gunshot.manifest.sources import build_manifest
from gunshot.preprocess.partition import preprocess_partition
from gunshot.recipe import Recipe
from gunshot.store.generations import prepare_generation, publish
from gunshot.store.write import commit_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "audio").mkdir()
    for number in range(70):
        y = np.random.default_rng(number).normal(size=3000) * 0.1
        sf.write(tmp_path / "audio" / f"{number:03d}.wav", y, 12_000)
    header = prepare_generation(str(tmp_path / "store"), build_manifest([str(tmp_path / "audio")]), Recipe())
    for partition in header.partitions:
        preprocess_partition(header.uri, partition)
    commit_store(header)
    publish(str(tmp_path / "store"), header)
    return tmp_path / "store"


def test_info_says_what_a_store_holds(store: Path) -> None:
    result = CliRunner().invoke(cli, ["store", "info", str(store)])
    assert result.exit_code == 0
    assert "(current)" in result.output
    assert "rows        70: 70 ok" in result.output
    assert "2 of 2 written" in result.output
    (found,) = json.loads(CliRunner().invoke(cli, ["store", "info", str(store), "--json"]).output)
    assert (found["n_rows"], found["states"]) == (70, {"ok": 70})


def test_verify_passes_a_sound_store_and_names_and_forgets_what_is_damaged(store: Path) -> None:
    verify = ["store", "verify", str(store)]
    sound = CliRunner().invoke(cli, verify)
    assert (sound.exit_code, sound.stdout) == (0, "0 faults, 0 partitions not written yet\n")
    (shard,) = store.glob("generations/*/log_mel/c/1/0/0")
    shard.unlink()
    damaged = CliRunner().invoke(cli, verify)
    assert damaged.exit_code == 1
    assert "partition 1: log_mel is not what was committed" in damaged.stdout
    assert "--repair" in damaged.stdout
    repaired = CliRunner().invoke(cli, [*verify, "--repair", "--json"])
    assert repaired.exit_code == 1
    assert len(json.loads(repaired.stdout)["faults"]) == 1
    after = CliRunner().invoke(cli, verify)
    assert (after.exit_code, after.stdout.partition(";")[0]) == (0, "0 faults, 1 partitions not written yet")


def test_a_plan_is_printed_and_is_data_for_machines(store: Path, tmp_path: Path) -> None:
    words = ["preprocess", str(tmp_path / "audio"), "--store", str(store), "--plan"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert "70 in 70 recordings = 70 written + 0 to copy + 0 to compute" in result.output
    plan = json.loads(CliRunner().invoke(cli, [*words, "--json"]).output)
    assert (plan["n_rows"], plan["partitions"]) == (70, [])
    other = [*words[:3], str(tmp_path / "other"), "--plan", "--json"]
    plan = json.loads(CliRunner().invoke(cli, other).output)
    assert plan["partitions"][1] == {"index": 1, "start": 64, "stop": 70}
    assert not (tmp_path / "other").exists()
