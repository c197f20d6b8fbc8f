"""From a publisher's folder to label rows, and the label table on disk."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gunshot.datasets.labels import COLUMNS, LabelRow, read_label_paths, write_labels
from gunshot.datasets.layouts import esc50_rows, live_fire_rows, rare_event_rows, urbansound8k_rows
from gunshot.errors import DatasetError


def _wav(path: Path, y: np.ndarray | None = None, sr: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(80, dtype=np.int16) if y is None else y, sr, subtype="PCM_16")


def _esc50(folder: Path) -> Path:
    root = folder / "ESC-50-0123abc"
    (root / "meta").mkdir(parents=True)
    (root / "meta" / "esc50.csv").write_text(
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        "1-104089-A-30.wav,1,30,door_wood_knock,False,104089,A\n"
        "5-160614-F-48.wav,5,48,fireworks,False,160614,F\n"
    )
    for name in ("1-100032-A-0.wav", "1-104089-A-30.wav", "5-160614-F-48.wav"):
        _wav(root / "audio" / name)
    return folder


def _urbansound8k(folder: Path) -> Path:
    root = folder / "UrbanSound8K"
    (root / "metadata").mkdir(parents=True)
    (root / "metadata" / "UrbanSound8K.csv").write_text(
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
        "100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark\n"
        "145608-6-0-0.wav,145608,0.24,2.1,1,10,6,gun_shot\n"
        "145608-6-1-0.wav,145608,3.5,4.9,2,10,6,gun_shot\n"
    )
    # what macOS leaves in archives must not be taken for the table
    (root / "metadata" / "._UrbanSound8K.csv").write_bytes(b"\0\5\x16\7")
    for name in ("fold5/100032-3-0-0.wav", "fold10/145608-6-0-0.wav", "fold10/145608-6-1-0.wav"):
        _wav(root / "audio" / name)
    return folder


def test_esc50_gives_negatives_only_grouped_by_original_recording(tmp_path: Path) -> None:
    rows = list(esc50_rows(_esc50(tmp_path), "CC BY-NC 3.0"))
    assert [row.label for row in rows] == [0, 0, 0]
    assert [row.sound for row in rows] == ["dog", "door wood knock", "fireworks"]
    assert [row.group for row in rows] == ["100032", "104089", "160614"]
    assert [row.license for row in rows] == ["CC BY 3.0", "CC BY-NC 3.0", "CC BY-NC 3.0"]
    assert all(row.path.is_file() and row.start_s is None and row.end_s is None for row in rows)


def test_urbansound8k_calls_gun_shot_the_positive(tmp_path: Path) -> None:
    rows = list(urbansound8k_rows(_urbansound8k(tmp_path), "CC BY-NC 3.0"))
    assert [(row.label, row.sound, row.group) for row in rows] == [
        (0, "dog bark", "100032"),
        (1, "gun shot", "145608"),
        (1, "gun shot", "145608"),
    ]
    # start and end of its table tell where in the original the slice was cut, not where in it to look
    assert all(row.start_s is None and row.end_s is None and row.path.is_file() for row in rows)


def test_one_freesound_recording_keeps_one_group_across_sets(tmp_path: Path) -> None:
    everyday = {row.group for row in esc50_rows(_esc50(tmp_path / "a"), "x")}
    street = {row.group for row in urbansound8k_rows(_urbansound8k(tmp_path / "b"), "x")}
    assert everyday & street == {"100032"}


def test_a_table_that_names_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    table = _esc50(tmp_path) / "ESC-50-0123abc" / "meta" / "esc50.csv"
    whole = table.read_text()
    _wav(tmp_path / "outside.wav")
    for name in ("gone.wav", "../../outside.wav", str(tmp_path / "outside.wav")):
        table.write_text(whole.replace("1-100032-A-0.wav", name))
        with pytest.raises(DatasetError, match="must be a file of"):
            list(esc50_rows(tmp_path, "x"))


def test_a_folder_without_its_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"must hold one \*/meta/esc50.csv; got 0"):
        list(esc50_rows(tmp_path, "x"))
    table = _urbansound8k(tmp_path) / "UrbanSound8K" / "metadata" / "UrbanSound8K.csv"
    table.write_text("file,class\n")
    with pytest.raises(DatasetError, match="must have the columns slice_file_name, fsID, fold, class"):
        list(urbansound8k_rows(tmp_path, "x"))


def _rare_events(folder: Path) -> Path:
    events = folder / "TUT-rare-sound-events-2017-development" / "data" / "source_data" / "events"
    notes = {
        "gunshot/77.yaml": "license: http://creativecommons.org/licenses/by/3.0/\n"
        "name: !!python/unicode 'Schu\\xDF: 9mm'\nvalid_segments:\n- - 0.5\n  - 1.25\n- [3.0, 4.1]\n",
        "gunshot/8.yaml": "license: http://creativecommons.org/licenses/sampling+/1.0/\nvalid_segments: []\n",
        "glassbreak/9.yaml": "valid_segments: [[0, 0.9]]\n",
        "babycry/31527.yaml": "license: http://creativecommons.org/publicdomain/zero/1.0/\n"
        "valid_segments:\n- [1.1, 2.2]\n",
    }
    for name, text in notes.items():
        _wav((events / name).with_suffix(".wav"))
        (events / name).write_text(text)
    (events / "gunshot" / "._77.wav").write_bytes(b"\0\5\x16\7")
    (folder / "__MACOSX" / "data" / "source_data" / "events").mkdir(parents=True)
    return folder


def test_rare_events_are_the_annotated_segments_with_their_own_licences(tmp_path: Path) -> None:
    rows = list(rare_event_rows(_rare_events(tmp_path), "per file"))
    assert [(r.sound, r.label, r.start_s, r.end_s, r.group, r.license) for r in rows] == [
        ("baby crying", 0, 1.1, 2.2, "31527", "CC0 1.0"),
        ("glass breaking", 0, 0.0, 0.9, "9", "per file"),
        ("gunshot", 1, 0.5, 1.25, "77", "CC BY 3.0"),
        ("gunshot", 1, 3.0, 4.1, "77", "CC BY 3.0"),
    ]


@pytest.mark.parametrize("text", ["valid_segments: [[1, 2, 3]]", "valid_segments: [[a, b]]", "valid_segments: [7]"])
def test_an_event_without_two_times_is_refused(tmp_path: Path, text: str) -> None:
    note = next(_rare_events(tmp_path).glob("**/gunshot/77.yaml"))
    note.write_text(text)
    with pytest.raises(DatasetError, match="valid_segments must be pairs of seconds"):
        list(rare_event_rows(tmp_path, "x"))


@pytest.mark.parametrize("text", ["- a\n- b", "a: [1,", "\t: :"])
def test_an_annotation_that_is_no_map_is_refused(tmp_path: Path, text: str) -> None:
    next(_rare_events(tmp_path).glob("**/gunshot/77.yaml")).write_text(text)
    with pytest.raises(DatasetError, match="annotation"):
        list(rare_event_rows(tmp_path, "x"))


def test_a_yaml_note_cannot_run_code(tmp_path: Path) -> None:
    note = next(_rare_events(tmp_path).glob("**/gunshot/77.yaml"))
    trap = tmp_path / "trap"
    note.write_text(f"x: !!python/object/apply:os.mkdir ['{trap}']\nvalid_segments: [[1, 2]]\n")
    assert [row.start_s for row in rare_event_rows(tmp_path, "x") if row.group == "77"] == [1.0]
    assert not trap.exists()


def _live_fire(folder: Path, heard: tuple[str, ...] = ("00:49:29.384", "00:49:30.488")) -> Path:
    """One test of two rounds; a 10 s recording from 00:49:26 whose first second is muted."""
    test = folder / "research-0123abc" / "data" / "Pittsburgh" / "FP1" / "test_001"
    rng = np.random.default_rng(0)
    y = rng.integers(1, 900, size=120_000).astype(np.int16)
    y[:12_000] = 0
    _wav(test / "test_001.audio.SCP-1.wav", y, 12_000)
    pulses = [
        {"pulse_uuid": f"shot-{i}", "serial_number": "SCP-1", "arrival_time_utc": f"2018-12-19T{time}Z"}
        for i, time in enumerate(heard)
    ]
    # an echo that no shot was built from, and the same shots at a sensor without audio
    echo = {"pulse_uuid": "echo", "serial_number": "SCP-1", "arrival_time_utc": "2018-12-19T00:49:29.857Z"}
    other = {"pulse_uuid": "far", "serial_number": "SCP-2", "arrival_time_utc": "2018-12-19T00:49:31.000Z"}
    tuples = [{"shot_index": i, "pulse_uuids": [f"shot-{i}", "far"]} for i in range(2)]
    sensor = {"serial_number": "SCP-1", "timestamp": "2018-12-19T00:49:26.000Z"}
    survey = {"num_rounds": 2, "firearm": "45 Cal Automatic Handgun"}
    for name, content in (
        ("allpulses", [*pulses, echo, other]),
        ("nlos-tuples", tuples),
        ("audio.SCP-1", sensor),
        ("survey", survey),
    ):
        (test / f"test_001.{name}.json").write_text(json.dumps(content))
    return folder


def test_live_fire_labels_arrivals_and_clear_background(tmp_path: Path) -> None:
    rows = list(live_fire_rows(_live_fire(tmp_path), "CC BY 4.0"))
    shots = [row for row in rows if row.label]
    assert [(row.start_s, row.end_s) for row in shots] == [(3.284, 4.284), (4.388, 5.388)]
    assert {row.sound for row in shots} == {"gunshot:45 Cal Automatic Handgun"}
    quiet = [row for row in rows if not row.label]
    # 0.0 and 0.5 are muted; 3.0 holds the first shot; 4.488 s + 1.5 s is still the last one's echo
    assert [row.start_s for row in quiet] == [1.0, 1.5, 2.0, 2.5, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0, 9.5]
    assert {row.sound for row in quiet} == {"street background"}
    assert {(row.group, row.device, row.license) for row in rows} == {("FP1/test_001", "SCP-1", "CC BY 4.0")}


def test_live_fire_takes_no_background_where_a_round_was_not_heard(tmp_path: Path) -> None:
    rows = list(live_fire_rows(_live_fire(tmp_path, heard=("00:49:29.384",)), "CC BY 4.0"))
    assert [(row.label, row.start_s) for row in rows] == [(1, 3.284)]


def test_live_fire_needs_its_tests(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="must hold live-fire tests"):
        list(live_fire_rows(tmp_path, "x"))
    next(_live_fire(tmp_path).glob("**/*nlos-tuples.json")).write_text("{")
    with pytest.raises(DatasetError, match=r"cannot read .*nlos-tuples\.json"):
        list(live_fire_rows(tmp_path, "x"))


def test_the_table_has_the_manifests_columns_and_relative_paths(tmp_path: Path) -> None:
    rows = list(urbansound8k_rows(_urbansound8k(tmp_path / "files"), "CC BY-NC 3.0"))
    target = tmp_path / "labels.csv"
    assert write_labels(rows, target) == 3
    with target.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS
    assert ",".join(COLUMNS) == "path,start_s,end_s,label,sound,source,group,device,license"
    assert table[1] == {
        "path": "files/UrbanSound8K/audio/fold10/145608-6-0-0.wav",
        "start_s": "",
        "end_s": "",
        "label": "1",
        "sound": "gun shot",
        "source": "urbansound8k",
        "group": "145608",
        "device": "various",
        "license": "CC BY-NC 3.0",
    }
    assert read_label_paths(target) == [row.path for row in rows]


def test_times_and_commas_survive_the_table(tmp_path: Path) -> None:
    row = LabelRow(
        path=tmp_path / "a, b.wav", label=1, sound='say "gun", twice', source="s", group="g", license="l",
        start_s=0.0, end_s=1234.567,
    )  # fmt: skip
    write_labels([row, row], tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["path"], first["sound"]) == ("a, b.wav", 'say "gun", twice')
    assert (float(first["start_s"]), float(first["end_s"])) == (0.0, 1234.567)
    assert read_label_paths(tmp_path / "labels.csv") == [row.path]


def test_no_row_leaves_no_table(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="at least one labelled sound"):
        write_labels([], tmp_path / "labels.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_layout_that_fails_leaves_the_old_table(tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    row = LabelRow(path=tmp_path / "a.wav", label=1, sound="s", source="s", group="g", license="l")
    write_labels([row], target)
    before = target.read_bytes()

    def rows() -> Iterator[LabelRow]:
        yield row
        raise DatasetError("broken")

    with pytest.raises(DatasetError, match="broken"):
        write_labels(rows(), target)
    assert target.read_bytes() == before


def test_a_foreign_table_names_no_sounds(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\nx.wav,1\n")
    assert read_label_paths(tmp_path / "labels.csv") == []
