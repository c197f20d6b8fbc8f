"""Small recordings and label tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

WriteAudio = Callable[..., None]
WriteTable = Callable[..., str]


@pytest.fixture
def write_audio() -> WriteAudio:
    """Writes short recordings below a folder, by name."""

    def write(folder: Path, *names: str, duration_s: float = 0.1, sr: int = 8000, n_channels: int = 1) -> None:
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            container = {".flac": "FLAC", ".ogg": "OGG"}.get(path.suffix.lower(), "WAV")
            sf.write(path, np.full((round(duration_s * sr), n_channels), 0.25), sr, format=container)

    return write


@pytest.fixture
def write_table(tmp_path: Path) -> WriteTable:
    """Writes a label table of lines, and gives its address."""

    def write(*lines: str, folder: Path | None = None, encoding: str = "utf-8") -> str:
        path = (folder or tmp_path) / "labels.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
        return str(path)

    return write


@pytest.fixture
def columns_of() -> Callable[..., list[tuple[object, ...]]]:
    """Some columns of a manifest as tuples, a tuple a row."""

    def columns(table: object, *names: str) -> list[tuple[object, ...]]:
        rows: Sequence[dict[str, object]] = table.to_pylist()
        return [tuple(row[name] for name in names) for row in rows]

    return columns
