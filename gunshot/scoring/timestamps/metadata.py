"""What a recorder wrote into its file: GUANO, AudioMoth's comment, Wildlife Acoustics' chunk.

Conventions
-----------
Sources are in the order in which they are believed. Any bytes give metadata or none, never an error: a header is as
likely to be damaged as the sound.

References
----------
GUANO Metadata Specification 1.0 (the ``guan`` chunk); Wildlife Acoustics, wa_meta 1.0 (the ``wamd`` chunk); Open
Acoustic Devices, AudioMoth-Firmware-Basic 1.0 to 1.11, ``setHeaderComment``.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import BinaryIO

from gunshot.scoring.timestamps.chunks import MetadataChunks, read_chunks
from gunshot.scoring.timestamps.written import ZONE_PATTERN, WrittenTime, iso_time, time_of_fields

__all__ = ["NO_METADATA", "RecorderMetadata", "read_metadata"]

_AUDIOMOTH = re.compile(
    r"Recorded at (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? (\d\d)/(\d\d)/(\d{4})(?: \(UTC(" + ZONE_PATTERN + r")?\))?"
    r" (?:by (AudioMoth [0-9A-F]{16})|during deployment ([0-9A-F]{16}))",
    re.ASCII,
)
_NUMBER = r"[+-]?\d{1,3}(?:\.\d{1,12})?"
_GUANO_POSITION = re.compile(rf"\s*({_NUMBER})[\s,]+({_NUMBER})\s*\Z", re.ASCII)
_WAMD_POSITION = re.compile(rf"({_NUMBER})\s*,\s*(?:([NS])\s*,\s*)?({_NUMBER})(?:\s*,\s*([EW]))?", re.ASCII)

_WAMD_MODEL, _WAMD_SERIAL, _WAMD_TIME, _WAMD_GPS, _WAMD_EXPANSION, _WAMD_GPS_LAST = 1, 2, 5, 6, 15, 20


@dataclass(frozen=True, slots=True)
class RecorderMetadata:
    """What the header of a recording says of its origin.

    Attributes
    ----------
    times : tuple of WrittenTime
        Starts, the most trusted first.
    recorder : str
        Make or model and serial number; empty where not told.
    serial : str
        The serial number alone, or the deployment that AudioMoth names instead; empty where not told.
    latitude, longitude : float or None
        [degrees], north and east positive.
    time_expansion : float
        How many times slower than life the sound is stored; 1 for all but some bat detectors.
    """

    times: tuple[WrittenTime, ...] = ()
    recorder: str = ""
    serial: str = ""
    latitude: float | None = None
    longitude: float | None = None
    time_expansion: float = 1.0


NO_METADATA = RecorderMetadata()
"""Of a file whose header says nothing."""


def read_metadata(file: BinaryIO, size: int) -> RecorderMetadata:
    """Read what a recorder wrote into a WAV or FLAC.

    Parameters
    ----------
    file : binary file
        The file, or an object's content; its position is as before afterwards.
    size : int
        Its size [bytes].

    Returns
    -------
    RecorderMetadata
        `NO_METADATA` where nothing is found.
    """
    try:
        chunks = read_chunks(file, size)
    except OSError:  # a bad sector; whether the sound can be read is for the decoder to say
        return NO_METADATA
    readers: tuple[Callable[[MetadataChunks], RecorderMetadata], ...] = (_guano, _audiomoth, _wildlife)
    parts = [part for reader in readers if (part := reader(chunks)) != NO_METADATA]
    if not parts:
        return NO_METADATA
    position: tuple[float | None, float | None] = next(
        ((part.latitude, part.longitude) for part in parts if part.latitude is not None), (None, None)
    )
    return RecorderMetadata(
        tuple(time for part in parts for time in part.times),
        next((part.recorder for part in parts if part.recorder), ""),
        next((part.serial for part in parts if part.serial), ""),
        *position,
        next((part.time_expansion for part in parts if part.time_expansion != 1), 1.0),
    )


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace").replace("\0", "").strip()


def _guano(chunks: MetadataChunks) -> RecorderMetadata:
    text = _text(chunks.get("guan", b""))
    if "GUANO|Version" not in text:
        return NO_METADATA
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    time = iso_time(fields.get("Timestamp", ""), "GUANO")
    serial = fields.get("Serial", "")
    recorder = " ".join(filter(None, (fields.get("Make", ""), fields.get("Model", ""), serial)))
    match = _GUANO_POSITION.match(fields.get("Loc Position", ""))
    position = _position(float(match[1]), float(match[2])) if match else (None, None)
    return RecorderMetadata((time,) if time else (), recorder, serial, *position, _expansion(fields.get("TE", "")))


def _audiomoth(chunks: MetadataChunks) -> RecorderMetadata:
    text = _text(chunks.get("ICMT", b""))
    match = _AUDIOMOTH.search(text)
    if not match:
        return NO_METADATA
    hour, minute, second, fraction, day, month, year, zone, recorder, deployment = match.groups(default="")
    time = time_of_fields((year, month, day, hour, minute, second), fraction, zone)
    if time and not zone:  # the clock runs on UTC; firmware 1.0 did not yet say so
        time = time.replace(tzinfo=UTC)
    maker = recorder or _text(chunks.get("IART", b""))
    serial = deployment or maker.removeprefix("AudioMoth ")
    written = WrittenTime(time, "AudioMoth header", match[0], 10.0 ** -len(fraction))
    return RecorderMetadata((written,), maker or f"AudioMoth {deployment}", serial)


def _wildlife(chunks: MetadataChunks) -> RecorderMetadata:
    fields = _wamd_fields(chunks.get("wamd", b""))
    if not fields:
        return NO_METADATA
    time = iso_time(_text(fields.get(_WAMD_TIME, b"")), "Wildlife Acoustics header")
    serial = _text(fields.get(_WAMD_SERIAL, b""))
    recorder = " ".join(filter(None, (_text(fields.get(_WAMD_MODEL, b"")), serial)))
    position: tuple[float | None, float | None] = (None, None)
    for name in (_WAMD_GPS, _WAMD_GPS_LAST):
        datum, _, rest = _text(fields.get(name, b"")).partition(",")
        if position == (None, None) and datum.startswith("WGS") and (match := _WAMD_POSITION.match(rest.strip())):
            latitude = float(match[1]) * (-1 if match[2] == "S" else 1)
            position = _position(latitude, float(match[3]) * (-1 if match[4] == "W" else 1))
    expansion = fields.get(_WAMD_EXPANSION, b"")
    factor = float(int.from_bytes(expansion, "little")) if len(expansion) == 2 else 1.0
    return RecorderMetadata((time,) if time else (), recorder, serial, *position, factor or 1.0)


def _wamd_fields(content: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    position = 0
    while position + 6 <= len(content):
        name, length = struct.unpack_from("<HI", content, position)
        fields.setdefault(name, content[position + 6 : position + 6 + length])
        position += 6 + length
    return fields


def _position(latitude: float, longitude: float) -> tuple[float | None, float | None]:
    """A position, unless there is no such place, or it is the 0, 0 of a receiver that had no fix."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or (latitude == 0 and longitude == 0):
        return None, None
    return latitude, longitude


def _expansion(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        return 1.0
    return factor if math.isfinite(factor) and factor > 0 else 1.0
