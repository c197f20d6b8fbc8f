"""`gunshot completion`: a real bash completes with it; zsh and fish ask the command in their own words."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import get_completion_class

from flows.cli import cli
from flows.commands.completion import COMPLETE_VARIABLE
from tests.flows.test_cli import HEAVY, Gunshot, commands


@pytest.fixture
def shell_path(tmp_path: Path) -> dict[str, str]:
    """An environment in which `gunshot` is this one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "gunshot"
    command.write_text(f"#!{sys.executable}\nfrom flows.cli import main\nmain()\n")
    command.chmod(0o755)
    root = Path(__file__).resolve().parents[2]
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(root)}


def completed(environment: dict[str, str], script: Path, folder: Path, *words: str) -> list[str]:
    """What bash offers for the last word, as if Tab were pressed after it."""
    line = " ".join(words)
    code = f"""
        source {script}
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1} COMP_LINE='{line}'
        compopt() {{ echo compopt "$@"; }}
        $(complete -p gunshot | sed 's/.*-F \\([^ ]*\\).*/\\1/') gunshot
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=folder
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_options_choices_and_paths(
    gunshot: Gunshot, shell_path: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "gunshot.bash"
    script.write_text(gunshot("completion", "bash").out)
    assert completed(shell_path, script, tmp_path, "gunshot", "tr") == ["train"]
    found = completed(shell_path, script, tmp_path, "gunshot", "datasets", "")
    assert set(found) == {"list", "fetch", "packages", "onsets"}
    assert completed(shell_path, script, tmp_path, "gunshot", "train", "--ch") == ["--champion"]
    assert completed(shell_path, script, tmp_path, "gunshot", "train", "--split", "") == ["group", "random"]
    assert completed(shell_path, script, tmp_path, "gunshot", "train", "--store", "")[0] == "compopt -o default"
    assert completed(shell_path, script, tmp_path, "gunshot", "completion", "") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_the_command_by_the_variable_that_it_answers_to(gunshot: Gunshot, shell: str) -> None:
    ended = gunshot("completion", shell)
    assert ended.code == 0
    assert f"{COMPLETE_VARIABLE}={shell}_complete" in ended.out
    assert ended.err == ""
    kind = get_completion_class(shell)
    assert kind is not None
    assert kind(cli, {}, "gunshot", COMPLETE_VARIABLE).source() in ended.out


@pytest.mark.parametrize(
    ("shell", "asked", "answer"),
    [
        ("zsh", {"COMP_WORDS": "gunshot sc", "COMP_CWORD": "1"}, "plain\nscore\nFind gunshots in recordings"),
        ("zsh", {"COMP_WORDS": "gunshot export --format ", "COMP_CWORD": "3"}, "plain\nraven\n_"),
        ("zsh", {"COMP_WORDS": "gunshot score arch", "COMP_CWORD": "2"}, "file\narch\n_"),
        ("fish", {"COMP_WORDS": "gunshot sc", "COMP_CWORD": "sc"}, "score\tFind gunshots in recordings"),
        ("fish", {"COMP_WORDS": "gunshot store info fea", "COMP_CWORD": "fea"}, "file"),
    ],
)
def test_the_command_answers(shell_path: dict[str, str], shell: str, asked: dict[str, str], answer: str) -> None:
    environment = shell_path | asked | {COMPLETE_VARIABLE: f"{shell}_complete"}
    done = subprocess.run(["gunshot"], capture_output=True, text=True, check=True, env=environment)
    assert answer in done.stdout


def test_an_answer_imports_nothing_heavy(shell_path: dict[str, str]) -> None:
    """Somebody waits for it with a finger on the key."""
    code = (
        "import sys, atexit; from flows.cli import main; "
        "atexit.register(lambda: print(sorted({n.partition('.')[0] for n in sys.modules}), file=sys.stderr)); main()"
    )
    environment = shell_path | {"COMP_WORDS": "gunshot tr", "COMP_CWORD": "1", COMPLETE_VARIABLE: "bash_complete"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["plain,train"]
    imported = set(re.findall(r"'([^']+)'", done.stderr))
    assert "click" in imported
    assert not imported & HEAVY


def test_paths_are_offered_where_a_command_takes_one_and_numbers_stay_numbers() -> None:
    by_name = dict(commands())

    def offers(words: str, name: str) -> bool:
        command = by_name[words]
        (parameter,) = [each for each in command.params if each.name == name]
        items = parameter.shell_complete(click.Context(command), "a")
        return [item.type for item in items] == ["file"]

    for words, name in (
        ("preprocess", "inputs"), ("train", "store"), ("train", "labels"), ("train", "champion"), ("score", "out"),
        ("evaluate", "model"), ("results info", "uri"), ("datasets packages", "folder"), ("models add", "bundle"),
    ):  # fmt: skip
        assert offers(words, name), (words, name)
    for words, name in (("train", "seed"), ("train", "operating_point"), ("review", "who"), ("datasets fetch", "name")):
        assert not offers(words, name), (words, name)


def test_another_shell_is_told_which_there_are(gunshot: Gunshot) -> None:
    ended = gunshot("completion", "tcsh")
    assert ended.code == 2
    assert "'bash', 'zsh', 'fish'" in ended.err
