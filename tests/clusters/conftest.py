"""Sound for runs on clusters, the stores that a run without workers makes of it, and the flow."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from gunshot.synthetic import write_corpus
from gunshot.synthetic.audiofiles import AudioFormat
from tests.clusters.runs import Sound


@pytest.fixture(scope="session")
def preprocess(prefect_server: None) -> Callable[..., Any]:
    """The flow, with a Prefect server of its own."""
    from flows.preprocess import preprocess as flow

    def run(sound: Path, store: Path, **where: Any) -> Any:
        return flow([str(sound)], str(store), **where)

    return run


@pytest.fixture(scope="session")
def clips(preprocess: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """Sixty synthetic clips: one partition."""
    folder = tmp_path_factory.mktemp("clips")
    write_corpus(
        folder / "sound", n_gunshots=30, n_others=30, n_groups=6, seed=3, formats=[AudioFormat("WAV", "PCM_16", 12_000)]
    )
    preprocess(folder / "sound", folder / "store", workers=0)
    return Sound(folder / "sound", folder / "store")


@pytest.fixture(scope="session")
def recordings(preprocess: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """Longer recordings with 40 labelled segments each: many partitions, each of some work."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "sound").mkdir()
    with (folder / "sound" / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "start_s", "end_s"])
        for number in range(48):
            rng = np.random.default_rng(number)
            sound = 0.02 * rng.standard_normal(48_000 * 40)
            for second in range(40):
                sound[48_000 * second + 12_000 :][:2400] += (
                    rng.standard_normal(2400) * np.exp(-np.arange(2400) / 400) * 0.4
                )
                table.writerow([f"{number:02d}.flac", second % 2, second, second + 0.9])
            sf.write(folder / "sound" / f"{number:02d}.flac", sound, 48_000)
    preprocess(folder / "sound", folder / "store", workers=0)
    return Sound(folder / "sound", folder / "store")


@pytest.fixture
def profile(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a profile and says where it is."""

    def write(text: str) -> Path:
        path = tmp_path / "profile.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A certificate that signs itself, as a profile's ``tls`` names it."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=test",
            "-out", str(folder / "test.pem"), "-keyout", str(folder / "test-key.pem"),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return {name: str(folder / file) for name, file in _FILES.items()}


_FILES = {"ca_file": "test.pem", "cert_file": "test.pem", "key_file": "test-key.pem"}
