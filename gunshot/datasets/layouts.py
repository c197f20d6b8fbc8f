"""From an unpacked public data set to label rows.

Conventions
-----------
A layout is a function ``(folder, licence) -> iterator of LabelRow`` that knows how one publisher describes
its sounds. Times are seconds from the start of the file. Sounds from Freesound carry the bare Freesound
number as their group, so that a recording which several sets cut from keeps one group when their tables are
joined. Rows come in the order of the publisher's table or, where there is none, of the file names.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped,unused-ignore]

from gunshot.datasets.labels import LabelRow
from gunshot.errors import DatasetError

__all__ = ["esc50_rows", "live_fire_rows", "rare_event_rows", "urbansound8k_rows"]

# live fire: a segment holds the arrival with a little of what came before it, and the decay after it
_LEAD_S = 0.1
_SHOT_S = 1.0
# live fire: background keeps clear of the first arrival (timing error) and of the echoes after the last one
_CLEAR_BEFORE_S = 0.25
_CLEAR_AFTER_S = 1.5
_BACKGROUND_S = 0.5
# live fire: the publisher muted parts of the recordings to exact zero; quiet street sound has few zero
# samples
_MIN_NONZERO_FRACTION = 0.9

_CREATIVE_COMMONS = re.compile(r"creativecommons\.org/(?:licenses|publicdomain)/([a-z+-]+)/(\d\.\d)", re.IGNORECASE)


def _one_file(folder: Path, pattern: str) -> Path:
    # archives made on macOS repeat their tree with the files' attributes under this name
    found = sorted(path for path in folder.glob(pattern) if "__MACOSX" not in path.parts)
    if len(found) != 1:
        raise DatasetError(
            f"the unpacked set must hold one {pattern}; got {len(found)} in {folder}; "
            "delete this folder and fetch the set again"
        )
    return found[0]


def _table(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in needed if column not in (reader.fieldnames or ())]
        if missing:
            raise DatasetError(
                f"{path.name} must have the columns {', '.join(needed)}; got {reader.fieldnames}; "
                "the publisher changed the set: take the release that the catalogue names"
            )
        return list(reader)


def _sound_file(folder: Path, name: str) -> Path:
    """Return ``folder / name`` when that is a file of this folder; a table may not point elsewhere."""
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise DatasetError(
            f"each sound of the publisher's table must be a file of {folder}; got {name!r}; "
            "delete this folder and fetch the set again"
        )
    return path


def esc50_rows(folder: Path, licence: str) -> Iterator[LabelRow]:
    """Rows of ESC-50: 2,000 everyday sounds of 5 s in 50 classes, none of them a gunshot.

    Parameters
    ----------
    folder : Path
        The unpacked archive, with ``*/meta/esc50.csv`` and ``*/audio/`` in it.
    licence : str
        Licence of the set; clips of its ESC-10 part are CC BY 3.0 (README of the set, "License").

    Yields
    ------
    LabelRow
        A whole file, label 0; the group is the Freesound number (``src_file``).

    Raises
    ------
    DatasetError
        If the table is missing, has other columns, or names a file that is not there.
    """
    table = _one_file(folder, "*/meta/esc50.csv")
    audio = table.parent.parent / "audio"
    for row in _table(table, ("filename", "category", "esc10", "src_file")):
        yield LabelRow(
            path=_sound_file(audio, row["filename"]),
            label=0,
            sound=row["category"].replace("_", " "),
            source="esc50",
            group=row["src_file"],
            license="CC BY 3.0" if row["esc10"].strip().lower() == "true" else licence,
        )


def urbansound8k_rows(folder: Path, licence: str) -> Iterator[LabelRow]:
    """Rows of UrbanSound8K: 8,732 slices up to 4 s in 10 classes; ``gun_shot`` is label 1.

    Parameters
    ----------
    folder : Path
        The unpacked archive, with ``*/metadata/UrbanSound8K.csv`` and ``*/audio/fold*/`` in it.
    licence : str
        Licence of the set.

    Yields
    ------
    LabelRow
        A whole file; the group is the Freesound number (``fsID``).

    Raises
    ------
    DatasetError
        If the table is missing, has other columns, or names a file that is not there.
    """
    table = _one_file(folder, "*/metadata/UrbanSound8K.csv")
    audio = table.parent.parent / "audio"
    for row in _table(table, ("slice_file_name", "fsID", "fold", "class")):
        yield LabelRow(
            path=_sound_file(audio / f"fold{int(row['fold'])}", row["slice_file_name"]),
            label=int(row["class"] == "gun_shot"),
            sound=row["class"].replace("_", " "),
            source="urbansound8k",
            group=row["fsID"],
            license=licence,
        )


def _licence_name(text: str, otherwise: str) -> str:
    """Short name of a Freesound licence address.

    >>> _licence_name("http://creativecommons.org/licenses/by-nc/3.0/", "?")
    'CC BY-NC 3.0'
    >>> _licence_name("http://creativecommons.org/publicdomain/zero/1.0/", "?")
    'CC0 1.0'
    """
    found = _CREATIVE_COMMONS.search(text)
    if found is None:
        return text.strip() or otherwise
    kind, version = found.group(1).lower(), found.group(2)
    names = {"zero": "CC0", "sampling+": "Sampling Plus", "sampling": "Sampling"}
    return f"{names.get(kind, f'CC {kind.upper()}')} {version}"


def _event_note(path: Path) -> dict[str, Any]:
    try:
        # BaseLoader builds text, lists and maps only and looks at no tag: nothing of the file is ever
        # executed
        note = yaml.load(path.read_text(encoding="utf-8", errors="replace"), Loader=yaml.BaseLoader)  # noqa: S506
    except (OSError, yaml.YAMLError) as error:
        raise DatasetError(f"cannot read the annotation {path}: {error}; fetch the set again") from error
    if not isinstance(note, dict):
        raise DatasetError(f"the annotation {path} must be a YAML map; got {type(note).__name__}; fetch the set again")
    return note


def rare_event_rows(folder: Path, licence: str) -> Iterator[LabelRow]:
    """Rows of the source events of TUT Rare Sound Events 2017: gunshots, glass breaking, babies crying.

    Parameters
    ----------
    folder : Path
        The unpacked archive, with ``**/source_data/events/<class>/<Freesound number>.wav`` and a ``.yaml``
        each.
    licence : str
        What to write where a file states no licence of its own.

    Yields
    ------
    LabelRow
        One annotated event (``valid_segments``); what lies between events is not labelled by the publisher
        and gives no row. The group is the Freesound number.

    Raises
    ------
    DatasetError
        If there are no events, or an annotation cannot be read.
    """
    events = _one_file(folder, "**/source_data/events")
    sounds = {"gunshot": "gunshot", "glassbreak": "glass breaking", "babycry": "baby crying"}
    for kind, sound in sorted(sounds.items()):
        for path in sorted((events / kind).glob("[!.]*.wav")):
            note = _event_note(path.with_suffix(".yaml"))
            for segment in note.get("valid_segments") or []:
                try:
                    start_s, end_s = (float(value) for value in segment)
                except (TypeError, ValueError) as error:
                    raise DatasetError(
                        f"valid_segments must be pairs of seconds; got {segment!r} in "
                        f"{path.with_suffix('.yaml')}; fetch the set again"
                    ) from error
                yield LabelRow(
                    path=path,
                    start_s=start_s,
                    end_s=end_s,
                    label=int(kind == "gunshot"),
                    sound=sound,
                    source="tut-rare-2017",
                    group=path.stem,
                    license=_licence_name(str(note.get("license", "")), licence),
                )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read {path}: {error}; fetch the set again") from error


def _arrivals_s(test: Path, sensor: str, start: datetime) -> list[float]:
    """Arrival times of the shots at one sensor [s from the start of its recording], ascending."""
    name = test.name
    chosen = {uuid for shot in _json(test / f"{name}.nlos-tuples.json") for uuid in shot["pulse_uuids"]}
    pulses = _json(test / f"{name}.allpulses.json")
    times = [
        (datetime.fromisoformat(pulse["arrival_time_utc"]) - start).total_seconds()
        for pulse in pulses
        if pulse["serial_number"] == sensor and pulse["pulse_uuid"] in chosen
    ]
    return sorted(round(time_s, 3) for time_s in times if time_s >= 0)


def _background_s(path: Path, arrivals_s: list[float]) -> Iterator[float]:
    """Find the half seconds of street sound that are clear of shots and not muted; their starts [s]."""
    import soundfile  # only this layout reads audio

    try:
        y, sr = soundfile.read(path, dtype="int16", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise DatasetError(f"cannot read {path}: {error}; fetch the set again") from error
    n_samples = round(_BACKGROUND_S * sr)
    for i in range(len(y) // n_samples):
        start_s = i * _BACKGROUND_S
        before = start_s + _BACKGROUND_S <= arrivals_s[0] - _CLEAR_BEFORE_S
        after = start_s >= arrivals_s[-1] + _CLEAR_AFTER_S
        segment = y[i * n_samples : (i + 1) * n_samples]
        if (before or after) and (segment != 0).mean() >= _MIN_NONZERO_FRACTION:
            yield start_s


def live_fire_rows(folder: Path, licence: str) -> Iterator[LabelRow]:
    """Rows of the ShotSpotter live-fire tests: handguns heard by street sensors at known times.

    Parameters
    ----------
    folder : Path
        The unpacked archive, with ``*/data/*/FP*/test_*/`` in it, described by the README of the set.
    licence : str
        Licence of the set.

    Yields
    ------
    LabelRow
        Each arrival of a shot at a sensor (label 1, 0.1 s before it to 0.9 s after it), then half seconds of
        street background of the same recording (label 0) where the sensor heard every round of the test; the
        parts that the publisher muted to zero give no rows. The group is the test: its shots are heard by up
        to six sensors.

    Raises
    ------
    DatasetError
        If there are no tests, or a file of one cannot be read.
    """
    tests = sorted(path.parent for path in folder.glob("*/data/*/FP*/test_*/test_*.survey.json"))
    if not tests:
        raise DatasetError(f"the unpacked set must hold live-fire tests; got none in {folder}; fetch the set again")
    for test in tests:
        survey = _json(test / f"{test.name}.survey.json")
        for path in sorted(test.glob("test_*.audio.*.wav")):
            sensor = _json(path.with_suffix(".json"))
            start = datetime.fromisoformat(sensor["timestamp"])
            device = str(sensor["serial_number"])
            arrivals_s = _arrivals_s(test, device, start)
            shots = [(max(0.0, t - _LEAD_S), t - _LEAD_S + _SHOT_S, 1) for t in arrivals_s]
            heard_all = len(arrivals_s) >= max(1, int(survey["num_rounds"]))
            quiet = _background_s(path, arrivals_s) if heard_all else ()
            for start_s, end_s, label in [*shots, *((t, t + _BACKGROUND_S, 0) for t in quiet)]:
                yield LabelRow(
                    path=path,
                    start_s=round(start_s, 3),
                    end_s=round(end_s, 3),
                    label=label,
                    sound=f"gunshot:{survey['firearm']}" if label else "street background",
                    source="live-fire",
                    group=f"{test.parent.name}/{test.name}",
                    device=device,
                    license=licence,
                )
