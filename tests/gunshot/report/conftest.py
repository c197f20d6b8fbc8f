r"""A sample of everything the report can show, made from a seed.

To look at the page::

    PYTHONPATH=. python tests/gunshot/report/conftest.py /tmp/report.html
    chromium --headless --no-sandbox --disable-gpu --window-size=1200,9000 \
        --screenshot=/tmp/report.png file:///tmp/report.html
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import stft

from gunshot.evaluation.breakdown import metrics_by
from gunshot.evaluation.matching import detection_metrics
from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.operating_point import choose_operating_point
from gunshot.report import (
    ClipPicture,
    DatasetRow,
    DatasetSummary,
    DetectionRow,
    DistortionExample,
    ErrorExample,
    FailureRow,
    ModelResult,
    Provenance,
    RecordingTimeline,
    ReportContent,
    ScoredSplit,
    ScoringSummary,
    StageTime,
    TrainingHistory,
    audit_section,
    held_out_sections,
    render_report,
    worst_errors,
)
from tests.gunshot.report.figures import AUDIT, figures_of

SR = 22050
HOP_LENGTH = 256
N_MELS = 64
EDGES_HZ = np.geomspace(60.0, 11000.0, N_MELS + 2)
SOURCES = ("pistol range", "forest", "school corridor", "plastic bags", "street")


def shot(rng: np.random.Generator, noise: float = 0.002, decay_s: float = 0.12) -> NDArray[np.float64]:
    """Return 0.7 s of a decaying burst in noise, peak at most 1."""
    t = np.arange(int(0.7 * SR)) / SR
    burst = rng.standard_normal(t.size) * np.exp(-t / decay_s) * (t > 0.01)
    y = 0.4 * burst + noise * rng.standard_normal(t.size)
    return np.asarray(y / max(1.0, np.abs(y).max()))


def picture(y: NDArray[np.float64]) -> ClipPicture:
    """Return a waveform with the levels of its frequency bands."""
    hz, _, spectrum = stft(y, SR, nperseg=1024, noverlap=1024 - HOP_LENGTH)
    power = np.abs(spectrum) ** 2
    bands = [
        power[(hz >= low) & (hz <= max(high, low + 30.0))].mean(axis=0)
        for low, high in zip(EDGES_HZ, EDGES_HZ[2:], strict=False)
    ]
    levels = 10.0 * np.log10(np.maximum(bands, 1e-10))
    return ClipPicture(
        log_mel_db=levels.astype(np.float32), mel_hz=EDGES_HZ[1:-1], sr=SR, hop_length=HOP_LENGTH, waveform=y
    )


def scored(rng: np.random.Generator, n: int, skill: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels, half of them gunshots, and scores that tell them apart with some skill."""
    label = np.arange(n) % 2
    score = 1.0 / (1.0 + np.exp(-(skill * (2 * label - 1) + rng.standard_normal(n) * 1.4)))
    return label, score


def model_result(name: str, seed: int, skill: float, n_epochs: int = 0) -> ModelResult:
    """Return a model with two splits; its threshold is chosen on validation rows."""
    rng = np.random.default_rng(seed)
    rows = {split: scored(rng, n, skill) for split, n in (("validation", 196), ("test", 246))}
    point = choose_operating_point(*rows["validation"], name="few misses", split="validation", max_fnr=0.02)
    label, score = rows["test"]
    by = [SOURCES[int(i)] for i in rng.integers(0, 3, label.size) + 2 * (1 - label)]
    epochs = np.arange(n_epochs)
    history = TrainingHistory(
        loss=(0.6 * np.exp(-epochs / 5)).tolist(),
        validation_loss=(0.1 + 0.55 * np.exp(-epochs / 4) + 0.01 * rng.standard_normal(n_epochs)).tolist(),
        accuracy=(1.0 - 0.4 * np.exp(-epochs / 4)).tolist(),
        validation_accuracy=(0.98 - 0.4 * np.exp(-epochs / 3)).tolist(),
    )
    return ModelResult(
        name=name,
        description=f"{n_epochs} epochs, Gaussian noise on the copies" if n_epochs else "flattened log-mel",
        splits=[
            ScoredSplit(split=s, metrics=classification_metrics(*r, point.threshold), label=r[0], score=r[1])
            for s, r in reversed(rows.items())
        ],
        history=history if n_epochs else None,
        by_source=metrics_by(label, score, point.threshold, by),
        operating_point=point,
    )


def examples(model: ModelResult) -> tuple[list[ErrorExample], list[ErrorExample]]:
    """Return the worst errors of a model, drawn as bursts."""
    split = model.main_split
    assert split is not None
    assert split.rows is not None
    score = split.rows[1]
    rng = np.random.default_rng(5)

    def example(row: int) -> ErrorExample:
        y = shot(rng, noise=0.02, decay_s=float(rng.uniform(0.03, 0.3)))
        name = f"SA_{row:03d}B_S02.wav"
        path = f"s3://recordings/2024/{name} [1.25 s to 1.95 s]"
        return ErrorExample(
            file_name=name, score=float(score[row]), source=SOURCES[row % 5], path=path, picture=picture(y)
        )

    misses, false_alarms = worst_errors(*split.rows, split.metrics.threshold, limit=20)
    return [example(row) for row in misses], [example(row) for row in false_alarms]


def dataset() -> DatasetSummary:
    """Return a data set with the first and last rows of the source paper."""
    rows = [
        DatasetRow(file_name="IP_162A_S01.wav", sample_rate_hz=44100, duration_s=1.875283, label=1, group="IP_162"),
        DatasetRow(file_name="IP_219B_S06.wav", sample_rate_hz=44100, duration_s=1.927891, label=1, group="IP_219"),
        DatasetRow(file_name="ZM_089A_S02.wav", sample_rate_hz=96000, duration_s=2.027781, label=1, group="ZM_089"),
        DatasetRow(file_name="IP_110B_S04.wav", sample_rate_hz=44100, duration_s=1.968571, label=1, group="IP_110"),
        DatasetRow(file_name="SA_153B_S02.wav", sample_rate_hz=48000, duration_s=2.057167, label=1, group="SA_153"),
    ]
    rows += [
        DatasetRow(
            file_name=f"SA_{i:03d}A_S01.wav",
            sample_rate_hz=(44100, 48000, 96000)[i % 3],
            duration_s=2.0,
            label=int(i % 5 > 1),
            group=f"SA_{i // 12:03d}",
        )
        for i in range(600)
    ]
    rows += [
        DatasetRow(file_name=name, sample_rate_hz=192000, duration_s=d, label=0, group="bags, office")
        for name, d in (("50001010800.wav", 0.512358), ("100020620400.wav", 0.5), ("50004060500.wav", 0.5))
    ]
    return DatasetSummary.from_rows(
        [*rows, DatasetRow(file_name="30002020800.wav", sample_rate_hz=192000, duration_s=0.45, label=0)]
    )


CARD = """\
# paper-cnn 0aa91b7c33de

## Training data

Clips: 246 test, 980 train. Placed by path: `IP_*=train`.

| trained on | gunshots | other sounds |
|---|---|---|
| pistol range | 400 | 12 |
| plastic bags | 0 | 568 |

## Limits

- Fireworks and slammed doors are what it takes for shots **most often**.
"""


def scoring() -> ScoringSummary:
    """Return a day of recordings with planted shots, most of them found."""
    rng = np.random.default_rng(11)
    names = [f"SITE{site}_20240{3 + site}12_{hour:02d}0000.flac" for site in (1, 2) for hour in (0, 6, 12, 18)]
    events = {name: np.sort(rng.uniform(10, 3590, rng.integers(0, 12))) for name in names}
    found = {
        name: np.sort(np.r_[times[rng.random(times.size) < 0.9] + 0.01, rng.uniform(0, 3600, rng.integers(0, 2))])
        for name, times in events.items()
    }
    rows = [
        DetectionRow(
            recording=name,
            start_s=float(start_s),
            score=float(rng.uniform(0.6, 1.0)),
            n_shots=int(rng.integers(1, 4)),
            start_utc=f"2024-03-12T{int(start_s // 60) % 24:02d}:{int(start_s) % 60:02d}:07Z"
            if "SITE1" in name
            else None,
        )
        for name in names
        for start_s in found[name]
    ]
    return ScoringSummary(
        n_listed=12,
        states={"ok": 8, "short": 1, "empty": 0, "silent": 1, "unreadable": 2, "timed out": 0},
        listened_s=8 * 3600.0,
        n_detections=len(rows),
        archive="s3://recordings/2024/",
        detections=rows,
        timelines=[
            RecordingTimeline(recording=name, duration_s=3600.0, detection_s=found[name], event_s=events[name])
            for name in names
        ],
        truth=detection_metrics(events, found, tolerance_s=0.5, listening_s=8 * 3600.0),
    )


def full_content() -> ReportContent:
    """Return content with every part."""
    models = [
        model_result("paper-cnn", seed=1, skill=2.9, n_epochs=30),
        model_result("paper-cnn, 14 epochs", seed=2, skill=2.4, n_epochs=14),
        model_result("logistic", seed=3, skill=0.9),
    ]
    rng = np.random.default_rng(4)
    original = shot(rng)
    misses, false_alarms = examples(models[0])
    audit = audit_section(AUDIT)
    assert audit is not None
    return ReportContent(
        title="Gunshots and plastic bags: three models",
        trained_on="A convolutional network and logistic regression, trained on 980 clips and their "
        "distorted copies and tested on 246 clips of other sessions.",
        date="2024-04-28 12:00 UTC",
        is_synthetic=True,
        class_names=("plastic bag pop", "gunshot"),
        models=models,
        default_model="paper-cnn",
        dataset=dataset(),
        distortion=DistortionExample(
            file_name="IP_162A_S01.wav",
            distortion="Gaussian noise, standard deviation 0.02",
            original=picture(original),
            distorted=picture(original + 0.02 * rng.standard_normal(original.size)),
        ),
        misses=misses,
        false_alarms=false_alarms,
        sections=[*held_out_sections({"test": figures_of(), "unseen": figures_of(seed=1)}), audit],
        scoring=scoring(),
        failures=[
            FailureRow(
                file="SITE1_20240412_030000.flac",
                state="unreadable",
                reason="not a sound file: header is zero",
            ),
            FailureRow(file="SITE2_20240512_030000.flac", state="unreadable", reason="flac stream ends at 12.4 s"),
            FailureRow(file="a" * 120 + ".wav", state="short", reason="0.01 s is less than a clip of 0.70 s"),
            FailureRow(file="SITE2_20240512_040000.flac", state="silent", reason="every sample is 0"),
        ],
        provenance=Provenance(
            command="gunshot evaluate --store s3://features/paper.zarr --model paper-cnn --out report/",
            versions={"gunshot": "0.1.0", "numpy": "2.4.6", "tensorflow": "2.21.0"},
            digests={"recipe": "sha256:5d1f0c77a2b4", "training data": "sha256:0aa91b7c33de"},
            seeds={"split": 7, "augmentation": 7, "weights": 21},
            stages=[
                StageTime(stage="preprocess", duration_s=41.3, detail="1,226 files on 2 workers"),
                StageTime(stage="train", duration_s=1834.0, detail="3 models"),
                StageTime(stage="evaluate", duration_s=6.1),
            ],
        ),
        card=CARD,
    )


@pytest.fixture(scope="session")
def content() -> ReportContent:
    """Return content with every part; change it with `dataclasses.replace`."""
    return full_content()


@pytest.fixture(scope="session")
def page(content: ReportContent) -> str:
    """Return the page of that content."""
    return render_report(content)


@pytest.fixture(scope="session")
def clip() -> ClipPicture:
    """Return a burst with its spectrogram."""
    return picture(shot(np.random.default_rng(0)))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render_report(full_content()), encoding="utf-8")
