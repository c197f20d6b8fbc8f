"""A piece of a recording to look at and to hear: cut once, drawn as PNG, and written as the WAV that a browser plays.

Conventions
-----------
A picture has two parts, one above the other: the log-mel spectrogram, `SPECTRUM_ROWS` high, and the waveform,
`WAVE_ROWS` high. Both run over the whole width, from the piece's start to its end; the page draws the axes. Levels are
relative to the piece: the darkest is its median less 10 dB, the brightest its loudest.
"""

from __future__ import annotations

import io
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.dsp.resample import resample
from gunshot.dsp.spectral import log_mel
from gunshot.errors import AudioError
from gunshot.export.cutting import RecordingChannels

__all__ = ["SPECTRUM_ROWS", "WAVE_ROWS", "Piece", "PieceCache", "cut_piece", "picture_png", "sound_wav"]

SPECTRUM_ROWS = 160
"""Mel bands of the picture."""

WAVE_ROWS = 64
"""Height of the waveform [pixels]."""

_COLUMNS = 900
_PLAYED_HZ = (8000, 48_000)
_FMIN_HZ = 50.0
_LOUD_PEAK = 0.9
_MOST_GAIN = 100.0

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a recording.

    Attributes
    ----------
    y : ndarray of shape (n_samples,), float32
        One channel, or the mean of all.
    sr : int
        Sample rate, one that browsers play [Hz].
    start_s, end_s : float
        Where it lies in the recording [s].
    duration_s : float
        Of the recording [s].
    """

    y: Float32
    sr: int
    start_s: float
    end_s: float
    duration_s: float


def played_rate(sr: int) -> int:
    """The rate at which a browser plays a recording.

    Parameters
    ----------
    sr : int
        The recording's [Hz].

    Returns
    -------
    int
        Its own from 8 to 48 kHz, else the nearer end [Hz].
    """
    low, high = _PLAYED_HZ
    return min(max(sr, low), high)


def cut_piece(uri: str, channel: int | None, start_s: float, end_s: float, context_s: float) -> Piece:
    """Cut a sound out of its recording, with some before and after it.

    Parameters
    ----------
    uri : str
        The recording.
    channel : int or None
        Counted from 0; None is the mean of all.
    start_s, end_s : float
        The sound [s].
    context_s : float
        Before and after [s].

    Returns
    -------
    Piece
        Within the recording.

    Raises
    ------
    AudioError
        If it cannot be decoded.
    StorageError
        If it is not there.
    """
    recording: Recording = Recording(uri) if channel is None else RecordingChannels(uri)
    with closing(recording):
        header = recording.header
        start = max(0, round((start_s - context_s) * header.sr))
        stop = min(header.n_frames, round((end_s + context_s) * header.sr))
        if start >= stop:
            raise AudioError("short", f"the recording ends at {header.n_frames / header.sr:.1f} s, before this sound")
        if isinstance(recording, RecordingChannels):
            frames = recording.read_frames(start, stop)
            y = np.ascontiguousarray(frames[:, min(channel or 0, frames.shape[1] - 1)])
        else:
            y = recording.read(start, stop)
    sr = played_rate(header.sr)
    at_s = start / header.sr
    played = resample(np.asarray(y, dtype=np.float32), header.sr, sr)
    return Piece(played, sr, at_s, at_s + y.size / header.sr, header.n_frames / header.sr)


def sound_wav(piece: Piece, *, loud: bool = False) -> bytes:
    """A piece as WAV.

    Parameters
    ----------
    piece : Piece
        What is heard.
    loud : bool
        Whether it is raised until its loudest sample is 0.9, by 40 dB at most.

    Returns
    -------
    bytes
        16 bits, mono.
    """
    peak = float(np.abs(piece.y).max(initial=0.0))
    gain = min(_LOUD_PEAK / peak, _MOST_GAIN) if loud and peak > 0 else 1.0
    samples = bytes(np.clip(np.rint(piece.y * (gain * 32767.0)), -32768, 32767).astype("<i2").tobytes())
    form = struct.pack("<HHIIHH", 1, 1, piece.sr, 2 * piece.sr, 2, 16)
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples))
    return b"RIFF" + struct.pack("<I", len(head) + len(samples)) + head + samples


def picture_png(piece: Piece, *, columns: int = _COLUMNS) -> bytes:
    """Spectrogram and waveform of a piece as PNG.

    Parameters
    ----------
    piece : Piece
        What is seen.
    columns : int
        Width [pixels].

    Returns
    -------
    bytes
        `SPECTRUM_ROWS` + `WAVE_ROWS` high.
    """
    from matplotlib.image import imsave  # half a second that the queue need not wait for

    pixels = np.concatenate([_spectrum(piece, columns), _wave(piece.y, columns)])
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png", pil_kwargs={"compress_level": 3})
    return buffer.getvalue()


def _spectrum(piece: Piece, columns: int) -> NDArray[np.uint8]:
    n_fft = 1024 if piece.sr >= 16_000 else 512
    padded = np.pad(piece.y, n_fft // 2)
    hop_length = max(32, padded.size // columns)
    n_mels = SPECTRUM_ROWS // 2  # more bands than bins below 1 kHz would leave empty rows
    levels = log_mel(
        padded, sr=piece.sr, n_fft=n_fft, hop_length=hop_length, n_mels=n_mels, fmin=_FMIN_HZ, fmax=piece.sr / 2,
        floor_db=-100.0,
    )  # fmt: skip
    high = float(levels.max(initial=-99.0))
    low = min(max(float(np.median(levels)) - 10.0, high - 80.0), high - 20.0)
    shades = np.clip((levels - low) / (high - low), 0.0, 1.0) * 255
    column = np.minimum((np.arange(columns) * levels.shape[1]) // columns, levels.shape[1] - 1)
    image = _palette()[shades[::-1].astype(np.uint8)][:, column]
    return np.repeat(image, SPECTRUM_ROWS // n_mels, axis=0)


def _palette() -> NDArray[np.uint8]:
    global _colours
    if _colours is None:
        import matplotlib

        _colours = (matplotlib.colormaps["magma"](np.arange(256))[:, :3] * 255).astype(np.uint8)
    return _colours


_colours: NDArray[np.uint8] | None = None
_GROUND, _LINE = (18, 18, 28), (252, 183, 121)


def _wave(y: Float32, columns: int) -> NDArray[np.uint8]:
    """The band between the least and the greatest sample of each column, as high as its loudest allows."""
    edges = np.linspace(0, y.size, columns + 1).astype(np.int64)[:-1]
    starts = np.minimum(edges, max(y.size - 1, 0))
    peak = max(float(np.abs(y).max(initial=0.0)), 1e-4)
    low, high = np.minimum.reduceat(y, starts) / peak, np.maximum.reduceat(y, starts) / peak
    middle = (WAVE_ROWS - 1) / 2
    rows = np.arange(WAVE_ROWS)[:, None]
    top, bottom = middle - high * middle, middle - low * middle
    is_line = (rows >= np.floor(top)) & (rows <= np.ceil(bottom))
    return np.where(is_line[..., None], np.array(_LINE, np.uint8), np.array(_GROUND, np.uint8))


class PieceCache:
    """Pieces, pictures and sounds that were asked for last, so that a second look costs nothing.

    Parameters
    ----------
    most_bytes : int
        What is kept of them together [bytes].
    """

    def __init__(self, most_bytes: int = 128 * 2**20) -> None:
        self._most_bytes = most_bytes
        self._n_bytes = 0
        self._kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._busy: dict[tuple[object, ...], threading.Lock] = {}

    def get(self, key: tuple[object, ...], make: Callable[[], bytes]) -> bytes:
        """What stands under a key; made by one thread while others wait for it.

        Parameters
        ----------
        key : tuple
            What it is of.
        make : callable
            Makes it.

        Returns
        -------
        bytes
            The content.
        """
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        with busy:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    self._busy.pop(key, None)
                    return self._kept[key]
            content = make()
            with self._lock:
                self._busy.pop(key, None)
                self._kept[key] = content
                self._n_bytes += len(content)
                while self._n_bytes > self._most_bytes and len(self._kept) > 1:
                    self._n_bytes -= len(self._kept.popitem(last=False)[1])
            return content
