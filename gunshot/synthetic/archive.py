"""Long recordings with planted sounds, as a field recorder leaves them.

Conventions: recordings follow each other without a gap and are named by the UTC second in which they begin
(``20240501_180000.WAV``). Each is written block by block, so memory does not grow with its length. A
planted sound is one row of `truth.csv`: the recording, the arrival of its first wavefront from the start of
the recording [s], label, sound, distance [m], and its signal-to-noise ratio: the peak of the sound over the
RMS of background and recorder noise in the second before it arrives (the tail of an earlier sound does not
count), both over the whole band of the recording, behind the recorder's filters and before it saturates
[dB]. A burst or a series is one sound.
Everything is a pure function of the arguments.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from gunshot.errors import ParameterError
from gunshot.progress import steps
from gunshot.synthetic.audiofiles import COMMENT, AudioFormat, write_readme
from gunshot.synthetic.backgrounds import BACKGROUNDS, Background
from gunshot.synthetic.catalogue import Sound, draw_sound
from gunshot.synthetic.places import PLACES
from gunshot.synthetic.recorders import RECORDERS, digitised, sections, through
from gunshot.synthetic.scenes import LEAD_S, Scene, draw_scene, heard, seeded
from gunshot.synthetic.sources import Arrival

__all__ = ["MIN_GAP_S", "TRUTH_COLUMNS", "write_archive"]

Float32 = NDArray[np.float32]

TRUTH_COLUMNS = ("path", "time_s", "label", "sound", "distance_m", "snr_db")
"""Columns of truth.csv."""
MIN_GAP_S = 1.5
"""Least time between two arrivals [s]."""

_BLOCK_S = 10.0
_BEFORE_S, _AFTER_S = 1.5, 2.0  # kept free of arrivals at the ends of a recording
_SOUND_S, _DECAY_S = 1.3, 1.7  # longest sound, and time for it to die away in the place
_RELEASE_S = 0.06  # over which a longer sound ends
_QUIET_S = 1.0  # stretch before an arrival that its signal-to-noise ratio refers to
_HEADROOM_DB = 10.0  # between the loudest sound over the usual background and full scale: gusts
_WAV_BYTES = 4e9  # sizes in a WAV header have 32 bits
_PLAN, _RECORDING, _PLANTED = 20, 21, 22  # first words of the keys of generators


@dataclass(frozen=True)
class _Planned:
    """A sound to plant: its number in the archive, its label, its recording and its arrival there."""

    index: int
    label: int
    recording: int
    sample: int


@dataclass(frozen=True)
class _Session:
    """All that the recordings of one archive have in common."""

    scene: Scene
    sr: int
    n_samples: int
    snr_db: tuple[float, float]
    seed: int


def write_archive(
    out: Path,
    *,
    n_recordings: int,
    duration_s: float,
    n_shots: int,
    n_confusers: int,
    sr: int = 48_000,
    start: datetime,
    seed: int = 0,
    container: Literal["WAV", "FLAC"] = "WAV",
    subtype: str = "PCM_16",
    snr_db: tuple[float, float] = (15.0, 40.0),
) -> Path:
    """Write recordings with planted gunshots and other sounds, and the truth about them.

    Parameters
    ----------
    out : Path
        Folder to write into; made if it does not exist.
    n_recordings : int
        Number of recordings, at least 1.
    duration_s : float
        Length of each [s], at least 5.
    n_shots, n_confusers : int
        Number of planted gunshot events and of other sounds in the whole archive.
    sr : int
        Sample rate [Hz].
    start : datetime
        Start of the first recording, with a time zone.
    seed : int
        Seed, 0 or more.
    container : {"WAV", "FLAC"}
        File format.
    subtype : str
        Integer coding of the samples, PCM_16 or PCM_24.
    snr_db : tuple of float
        Range of the signal-to-noise ratio [dB]; see the module.

    Returns
    -------
    Path
        The truth table, ``out / "truth.csv"``.

    Raises
    ------
    ParameterError
        If a number is out of range, the sounds do not fit, `start` has no time zone, or the format is
        none of these.
    """
    _check(n_recordings, duration_s, n_shots, n_confusers, start, seed, snr_db)
    audio_format = _checked_format(container, subtype, sr, duration_s)
    n_samples = round(duration_s * sr)
    scene = draw_scene(seed, 0, (audio_format,))
    session = _Session(scene=scene, sr=sr, n_samples=n_samples, snr_db=snr_db, seed=seed)
    plan = _plan(n_recordings, n_samples, n_shots, n_confusers, session)
    out.mkdir(parents=True, exist_ok=True)
    extension = "WAV" if container == "WAV" else "flac"
    rows: list[tuple[str, ...]] = []
    for k in steps(range(n_recordings), "make", "recordings", n_recordings):
        begins = start.astimezone(UTC) + timedelta(seconds=k * n_samples / sr)
        path = out / f"{begins:%Y%m%d_%H%M%S}.{extension}"
        mine = [planned for planned in plan if planned.recording == k]
        with sf.SoundFile(path, "w", samplerate=sr, channels=1, format=container, subtype=subtype) as file:
            file.comment = COMMENT
            for block in _blocks(k, mine, session, rows, path.name):
                file.write(block)
    write_readme(out)
    truth = out / "truth.csv"
    with truth.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(TRUTH_COLUMNS)
        writer.writerows(rows)
    return truth


def _plan(n_recordings: int, n_samples: int, n_shots: int, n_confusers: int, session: _Session) -> list[_Planned]:
    """Arrivals at random over all recordings, at least the gap apart, in order of time."""
    sr = session.sr
    rng = seeded(session.seed, _PLAN)
    n_sounds = n_shots + n_confusers
    usable = n_samples - round((_BEFORE_S + _AFTER_S) * sr)
    gap = math.ceil(MIN_GAP_S * sr)
    slack = n_recordings * usable - max(n_sounds - 1, 0) * gap
    if n_sounds and slack < 1:
        raise ParameterError(
            f"n_shots + n_confusers must fit {MIN_GAP_S} s apart into the recordings; got {n_sounds} in "
            f"{n_recordings} x {n_samples / sr:g} s; plant fewer sounds or make the recordings longer"
        )
    places = np.sort(rng.integers(0, slack, n_sounds)) + gap * np.arange(n_sounds)
    labels = rng.permutation(np.repeat([1, 0], [n_shots, n_confusers]))
    before = round(_BEFORE_S * sr)
    return [
        _Planned(k, int(label), int(place // usable), before + int(place % usable))
        for k, (place, label) in enumerate(zip(places, labels, strict=True))
    ]


def _blocks(
    recording: int, planned: list[_Planned], session: _Session, rows: list[tuple[str, ...]], name: str
) -> Iterator[Float32]:
    """Give one recording block by block; add its rows to the truth as the sounds come up."""
    sr, recorder = session.sr, RECORDERS[session.scene.recorder]
    hiss = 10.0 ** (recorder.self_noise_dbfs / 20.0)
    noise_rng = seeded(session.seed, _RECORDING, recording, 1)
    sos = sections(recorder, sr)
    lead, n_quiet, n_sound = round(LEAD_S * sr), round(_QUIET_S * sr), round((_SOUND_S + _DECAY_S) * sr)
    waiting, begin, spill = list(planned), 0, np.zeros(n_sound, np.float32)
    for before, block in _quiet_blocks(recording, sos, session):
        mix = np.concatenate([block, np.zeros(n_sound, np.float32)])
        mix[:n_sound] += spill
        while waiting and waiting[0].sample - lead < begin + len(block):
            one = waiting.pop(0)
            first = one.sample - lead - begin
            stretch = np.concatenate([before, block[:first]])[-n_quiet:]
            rms = math.sqrt(float(np.mean(stretch.astype(np.float64) ** 2)) + hiss**2)
            sound, event, snr_db = _planted(one, rms, sos, session)
            mix[first : first + n_sound] += event
            rows.append(_row(name, one, sound, snr_db, sr))
        spill = mix[len(block) :][:n_sound].copy()
        begin += len(block)
        yield digitised(recorder, mix[: len(block), None], noise_rng)


def _quiet_blocks(recording: int, sos: NDArray[np.float64], session: _Session) -> Iterator[tuple[Float32, Float32]]:
    """Give the background behind the recorder's filters, in blocks, each with the second before it."""
    sr = session.sr
    rng = seeded(session.seed, _RECORDING, recording)
    highest_db = min(-48.0, -_HEADROOM_DB - session.snr_db[1])
    level = 10.0 ** (rng.uniform(highest_db - 12.0, highest_db) / 20.0)
    stream = Background(str(rng.choice(BACKGROUNDS)), sr, rng)
    state, gain = None, np.float32(0.0)
    before = np.zeros(0, np.float32)
    for begin in range(0, session.n_samples, round(_BLOCK_S * sr)):
        n_block = min(round(_BLOCK_S * sr), session.n_samples - begin)
        behind, state = through(sos, stream.read(n_block)[:, None], state)
        gain = gain or np.float32(level / max(float(np.sqrt(np.mean(behind**2))), 1e-20))
        block: Float32 = behind[:, 0] * gain
        yield before, block
        before = block[-round(_QUIET_S * sr) :]


def _planted(one: _Planned, rms: float, sos: NDArray[np.float64], session: _Session) -> tuple[Sound, Float32, float]:
    """Give a planned sound behind the recorder's filters, its samples at their level, its ratio [dB]."""
    sr, scene = session.sr, session.scene
    rng = seeded(session.seed, _PLANTED, one.index)
    sound = _released(draw_sound(one.label, sr=sr, max_s=_SOUND_S, air=scene.air, rng=rng), sr)
    detour_m = float(rng.uniform(0.02, 0.3)) if rng.random() < PLACES[scene.place].screened else 0.0
    event = heard(
        sound,
        scene,
        detour_m=detour_m,
        bearing_rad=0.0,
        n_samples=round((_SOUND_S + _DECAY_S) * sr),
        sr=sr,
        n_channels=1,
        rng=rng,
    )
    filtered, _ = through(sos, event)
    snr_db = float(rng.uniform(*session.snr_db))
    peak = rms * 10.0 ** (snr_db / 20.0)
    samples = filtered[:, 0] * np.float32(peak / max(float(np.max(np.abs(filtered))), 1e-20))
    n_release = round(_RELEASE_S * sr)
    samples[-n_release:] *= np.linspace(1.0, 0.0, n_release, dtype=np.float32)
    return sound, samples, snr_db


def _released(sound: Sound, sr: int) -> Sound:
    """Let a sound out gently where it was cut at the longest length."""
    n_longest, n_release = round(_SOUND_S * sr), round(_RELEASE_S * sr)
    ramp = np.linspace(1.0, 0.0, n_release, dtype=np.float32)
    arrivals = []
    for arrival in sound.arrivals:
        y = arrival.y.copy()
        if len(y) >= n_longest:
            y[-n_release:] *= ramp
        arrivals.append(Arrival(y=y, path_m=arrival.path_m))
    return Sound(
        name=sound.name,
        label=sound.label,
        distance_m=sound.distance_m,
        height_m=sound.height_m,
        arrivals=tuple(arrivals),
    )


def _row(name: str, one: _Planned, sound: Sound, snr_db: float, sr: int) -> tuple[str, ...]:
    """Make a row of the truth table."""
    return (
        name,
        f"{one.sample / sr:.6f}",
        str(sound.label),
        sound.name,
        f"{sound.distance_m:.1f}",
        f"{snr_db:.2f}",
    )


def _checked_format(container: str, subtype: str, sr: int, duration_s: float) -> AudioFormat:
    """Give the format, if it is one whose files come out the same when written block by block."""
    if container not in ("WAV", "FLAC") or subtype not in ("PCM_16", "PCM_24"):
        raise ParameterError(
            f"container must be WAV or FLAC and subtype PCM_16 or PCM_24; got {container!r}, {subtype!r}; "
            "choose from these"
        )
    n_bytes = duration_s * sr * (2 if subtype == "PCM_16" else 3)
    if container == "WAV" and n_bytes > _WAV_BYTES:
        raise ParameterError(
            f"duration_s must give WAV files below 4 GB; got {duration_s} s at {sr} Hz in {subtype}; "
            "write FLAC, or more and shorter recordings"
        )
    return AudioFormat(container, subtype, sr)


def _check(
    n_recordings: int,
    duration_s: float,
    n_shots: int,
    n_confusers: int,
    start: datetime,
    seed: int,
    snr_db: tuple[float, float],
) -> None:
    """Refuse numbers out of range and a start without a time zone."""
    for name, value, least in (
        ("n_recordings", n_recordings, 1),
        ("duration_s", duration_s, 5.0),
        ("n_shots", n_shots, 0),
        ("n_confusers", n_confusers, 0),
        ("seed", seed, 0),
    ):
        if not value >= least:
            raise ParameterError(f"{name} must be at least {least}; got {value}; give a larger number")
    if start.tzinfo is None:
        raise ParameterError(f"start must have a time zone; got {start}; add tzinfo=UTC")
    if not 0.0 <= snr_db[0] <= snr_db[1] <= 60.0:
        raise ParameterError(f"snr_db must be a rising pair in [0, 60]; got {snr_db}; correct the range")
