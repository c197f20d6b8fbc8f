"""Decisions: on the disk when they are told to be, by person, and the last word holds."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.review.decision_log import DecisionLog, read_decisions
from gunshot.review.decisions import Decision, latest, parse_lines, person_name


def decision(who: str = "Anna", when: str = "2026-11-22T18:00:00.000000+00:00", **values: object) -> Decision:
    content = {
        "who": who, "when": when, "path": "a.wav", "uri": "/archive/a.wav", "channel": None, "start_s": 1.5,
        "end_s": 2.0, "score": 0.9, "label": "gunshot", **values,
    }  # fmt: skip
    return Decision(**content)


@given(
    note=st.text(max_size=40), kind=st.text(max_size=20), path=st.text(min_size=1, max_size=40),
    channel=st.none() | st.integers(0, 7), start_s=st.floats(0, 1e6),
)  # fmt: skip
def test_a_line_is_read_as_it_was_written(note: str, kind: str, path: str, channel: int | None, start_s: float) -> None:
    written = decision(note=note, kind=kind, path=path, channel=channel, start_s=start_s)
    line = written.line()
    assert line.count(b"\n") == 1
    assert list(parse_lines(line.splitlines())) == [written]
    assert not list(parse_lines([line[: len(line) // 2], b"[1]", b"7", b"", b"\xff"]))


@given(who=st.text(min_size=1, max_size=60).filter(lambda text: text.strip() and text.isprintable()))
def test_any_name_is_a_file_of_its_own_below_the_folder(who: str) -> None:
    name = person_name(who.strip())
    assert "/" not in name
    assert not name.startswith(".")
    assert len(f"{name}.jsonl".encode()) <= 255 or len(who.encode()) > len(who)


@pytest.mark.parametrize("who", ["", "  ", "a\nb", "x" * 61])
def test_no_name_is_refused_with_one_line(tmp_path: Path, who: str) -> None:
    with pytest.raises(ParameterError, match="--who takes a name") as caught:
        DecisionLog(str(tmp_path), who)
    assert "\n" not in str(caught.value)


def test_two_people_never_write_one_file_and_both_are_read(tmp_path: Path) -> None:
    for who in ("Anna", "Ben", "../Anna"):
        DecisionLog(str(tmp_path), who).add(decision(who))
    files = sorted(path.name for path in (tmp_path / "review" / "decisions").iterdir())
    assert len(files) == 3
    assert {each.who for each in read_decisions(str(tmp_path))} == {"Anna", "Ben", "../Anna"}
    assert set(latest(read_decisions(str(tmp_path))).popitem()[1]) == {"Anna", "Ben", "../Anna"}


def test_the_last_word_of_a_person_holds_and_an_empty_one_takes_it_back() -> None:
    said = [
        decision(when=f"2026-11-22T18:00:0{k}.000000+00:00", label=label) for k, label in enumerate(["gunshot", "not"])
    ]
    (people,) = latest(said).values()
    assert people["Anna"].label == "not"
    assert latest([*said, decision(when="2026-11-22T18:00:09.000000+00:00", label="")]) == {}


def test_a_line_that_a_kill_cut_off_is_passed_over_and_the_next_one_is_whole(tmp_path: Path) -> None:
    log = DecisionLog(str(tmp_path), "Anna")
    first, second = decision(), decision(start_s=7.0)
    log.add(first)
    (file,) = (tmp_path / "review" / "decisions").iterdir()
    with file.open("ab") as stream:
        stream.write(second.line()[:40])
    assert read_decisions(str(tmp_path)) == [first]
    DecisionLog(str(tmp_path), "Anna").add(second)
    assert read_decisions(str(tmp_path)) == [first, second]


_WRITER = """
import sys
from gunshot.review.decision_log import DecisionLog
from tests.review.test_decisions import decision
log = DecisionLog(sys.argv[1], "Anna")
for number in range(100000):
    log.add(decision(start_s=float(number)))
    print(number, flush=True)
"""


def test_what_was_told_to_be_written_survives_a_kill(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    ) as writer:  # fmt: skip
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        told += [int(line) for line in writer.stdout.read().splitlines() if line.isdigit()]
    kept = [each.start_s for each in read_decisions(str(tmp_path))]
    assert set(told) <= set(kept)
    assert kept == sorted(set(kept))


def test_sounds_are_the_same_to_a_millisecond_whatever_model_found_them() -> None:
    one = decision(start_s=1.50004, model="a")
    assert one.sound == dataclasses.replace(one, start_s=1.5, model="b").sound
    assert one.sound != dataclasses.replace(one, start_s=1.502).sound
    assert one.sound != dataclasses.replace(one, channel=0).sound
