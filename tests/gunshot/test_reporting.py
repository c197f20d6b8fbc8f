"""The report page shows what was written, and is the same for the same inputs."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gunshot.augment.chain import AugmentRule
from gunshot.augmentation import augment_partition, prepare_copies
from gunshot.division import SplitPlan, splits_of
from gunshot.evaluate import Evaluation, evaluate_bundle, evaluate_detections, model_names
from gunshot.models.bundle import load_bundle
from gunshot.models.copies import copy_bundle
from gunshot.reporting import ReportInputs, ScoredArchive, write_up
from gunshot.scoring.plan import ScoringBatch
from gunshot.scoring.results import read_table
from gunshot.scoring.score import score_batch
from gunshot.scoring.targets import list_targets
from gunshot.store.read import open_store
from gunshot.store.write import commit_store
from gunshot.training import train_model

pytestmark = pytest.mark.xdist_group("networks")

HOSTILE = "<b>&'\"none.wav"
BANNER = "Synthetic sound: no figure here is accuracy on real recordings"


def text_of(page: str) -> str:
    """What a reader sees: without styles, scripts, drawings and tags, in one line."""
    page = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


@pytest.fixture(scope="module")
def evaluations(small_store: str, logistic_bundle: str, cnn_bundle: str) -> list[Evaluation]:
    return [evaluate_bundle(small_store, uri) for uri in (logistic_bundle, cnn_bundle)]


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory,
    write_recording: Callable[..., Path],
    logistic_bundle: str,
    cnn_bundle: str,
) -> ScoredArchive:
    """Three recordings, two of them of hostile names and one of those empty, scored by two models."""
    folder = tmp_path_factory.mktemp("archive")
    audio = folder / "audio"
    write_recording(audio / "20261122_180000.wav", 12, [2, 6.5])
    write_recording(audio / "<b>&'\"shot.wav", 8, [3], seed=1)
    (audio / HOSTILE).touch()
    results = str(folder / "results")
    targets = tuple(list_targets([str(audio)]))
    for uri in (logistic_bundle, cnn_bundle):
        digest = load_bundle(uri).digest
        score_batch(uri, digest, results, ScoringBatch(digest, targets))
    truth = {str(audio / "20261122_180000.wav"): [2.0, 6.5]}
    metrics = evaluate_detections(results, truth, load_bundle(cnn_bundle).digest)
    return ScoredArchive(
        results=results, what="a folder", uris=frozenset(target.uri for target in targets), truth=truth,
        metrics=metrics,
    )  # fmt: skip


@pytest.fixture(scope="module")
def inputs(
    small_store: str,
    evaluations: list[Evaluation],
    archive: ScoredArchive,
    tmp_path_factory: pytest.TempPathFactory,
) -> ReportInputs:
    source = open_store(small_store)
    rows = np.flatnonzero(splits_of(source, SplitPlan()) == "train")
    copies = str(tmp_path_factory.mktemp("copies") / "c")
    header = prepare_copies(source, rows, copies, AugmentRule(snr_db=17.5))
    for partition in header.partitions:
        augment_partition(small_store, copies, partition)
    commit_store(header)
    return ReportInputs(
        title="A <title>", date="2026-11-22 18:00 UTC", store=small_store, evaluations=evaluations,
        default="small-cnn", copies=copies, archive=archive, command="gunshot demo --out 'x & y'", seed=41,
        stages=[("preprocess", 12.34), ("train", 5.0)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(inputs: ReportInputs) -> str:
    return write_up(inputs)


def test_the_same_inputs_make_the_same_bytes(inputs: ReportInputs, page: str) -> None:
    assert write_up(inputs).encode() == page.encode()


def test_names_of_files_are_escaped(page: str) -> None:
    assert "<b>&" not in page
    assert "A <title>" not in page
    assert "x & y" not in page
    assert HOSTILE in text_of(page)
    assert "A <title>" in text_of(page)
    assert "gunshot demo --out 'x & y'" in text_of(page)


def test_synthetic_sound_is_told_at_once(page: str) -> None:
    assert BANNER in text_of(page)
    assert page.index(BANNER) < page.index("<main>")


def test_sound_that_is_not_synthetic_is_not_called_so(inputs: ReportInputs) -> None:
    real = [replace(item, is_synthetic=False) for item in inputs.evaluations]
    assert BANNER not in write_up(replace(inputs, evaluations=real, archive=None, copies=None))


def test_both_models_and_their_figures_are_there(page: str, evaluations: list[Evaluation]) -> None:
    table = text_of(page[page.index('id="models"') :])
    for item in evaluations:
        assert item.bundle.name in table
        for split in ("validation", "test"):
            metrics = item.metrics[split]
            accuracy = f"{100 * (metrics.accuracy or 0):.1f}"
            assert re.search(rf"{item.bundle.name}( default)? {split} {metrics.n} {re.escape(accuracy)}", table)


def test_training_rows_are_no_figures(page: str) -> None:
    table = text_of(page[page.index('id="models"') : page.index('id="curves"')])
    assert not re.search(r"(logistic|small-cnn)( default)? train\b", table)


def test_what_was_trained_on_adds_up(page: str, evaluations: list[Evaluation]) -> None:
    rows = load_bundle(evaluations[1].bundle.uri).details["training"]["rows"]
    assert (
        f"Trained on {rows['train']} clips (synthetic); threshold chosen on {rows['validation']} others; "
        f"reported on {rows['test']} that neither has touched."
    ) in text_of(page)


def test_another_store_is_counted_by_its_own_rows(
    small_store: str, logistic_bundle: str, tmp_path: Path, store_of_clips: Callable[..., str]
) -> None:
    """What is reported is not the test side of the store that the model came from."""
    y = np.random.default_rng(1).standard_normal((14, 6000)) * 0.1
    other = store_of_clips(tmp_path / "other", y, [0, 1] * 7)
    page = write_up(
        ReportInputs(
            title="T", date="D", store=other, evaluations=[evaluate_bundle(other, logistic_bundle)], default="logistic"
        )
    )
    assert "reported on 14 that neither has touched" in text_of(page)


def test_the_data_set_is_shown_as_the_paper_shows_it(page: str, small_store: str) -> None:
    text = text_of(page[page.index('id="dataset"') :])
    rows = open_store(small_store).rows.to_pylist()
    assert "120 clips" in text
    assert "60 labelled 1" in text
    assert "60 labelled 0" in text
    first = rows[0]
    assert f"{Path(first['path']).name} {first['sr']} {first['duration_s']:.6f} {first['label']}" in text


def test_the_distorted_copy_says_how_it_was_made(page: str) -> None:
    assert "white Gaussian noise 17.5 dB below the clip" in text_of(page)


def test_detections_and_failures_are_the_default_models(page: str, archive: ScoredArchive, cnn_bundle: str) -> None:
    text = text_of(page[page.index('id="recordings"') :])
    digest = load_bundle(cnn_bundle).digest
    detections = [row for row in read_table(archive.results, "detections").to_pylist() if row["model_digest"] == digest]
    assert f"{len(detections)} detection" in text
    failures = text_of(page[page.index('id="failures"') : page.index('id="provenance"')])
    assert failures.count("none.wav") == 1  # both models have met it; it is shown once
    assert "the file has 0 bytes" in failures


def test_figures_of_held_out_rows_are_the_default_models(page: str, evaluations: list[Evaluation]) -> None:
    text = text_of(page[page.index('id="held-out"') : page.index('id="breakdowns"')])
    m = evaluations[1].metrics["test"]
    assert f"test found {100 * (m.recall or 0):.1f}"[:15] in text
    assert f"{m.true_positives} of {m.n_gunshots}" in text
    assert f"{m.false_positives} of {m.n_others}" in text
    assert "1,300 candidates an hour" in text
    assert "One recorder raises" in text_of(page[page.index('id="threshold"') : page.index('id="curves"')])
    for section in ("confusers", "new-sounds", "reliability", "shortcuts"):
        assert f'id="{section}"' in page


@pytest.mark.slow
def test_two_models_of_one_kind_are_both_shown(inputs: ReportInputs, small_store: str, tmp_path: Path) -> None:
    first = inputs.evaluations[0]
    point = replace(first.bundle.operating_point, name="another", threshold=0.75, guarantee=None)
    second = evaluate_bundle(small_store, copy_bundle(first.bundle, str(tmp_path / "b"), point).uri)
    names = model_names([first, second])
    page = write_up(replace(inputs, evaluations=[first, second], default=names[1], archive=None, copies=None))
    table = text_of(page[page.index('id="models"') : page.index('id="curves"')])
    assert all(name in table for name in names)
    assert f"{names[1]} default" in table


def test_provenance_names_what_it_takes_to_do_it_again(page: str, evaluations: list[Evaluation]) -> None:
    text = text_of(page[page.index('id="provenance"') :])
    for item in evaluations:
        assert item.bundle.digest in text
    assert evaluations[0].bundle.recipe.digest in text
    assert " 41 " in text
    assert "preprocess 12 s train 5 s" in text


def test_without_archive_its_section_is_left_out(inputs: ReportInputs) -> None:
    page = write_up(replace(inputs, archive=None))
    assert 'id="recordings"' not in page
    assert 'id="models"' in page


def test_without_copies_a_clip_is_distorted_as_the_default_models_training_did(
    inputs: ReportInputs, evaluations: list[Evaluation]
) -> None:
    page = write_up(replace(inputs, archive=None, copies=None))
    training = evaluations[1].bundle.details["training"]
    assert ('id="distortion"' in page) == bool(training["copies"] or training["field"])


def test_the_card_is_the_default_models(page: str, evaluations: list[Evaluation]) -> None:
    text = text_of(page[page.index('id="card"') : page.index('id="provenance"')])
    assert f"{evaluations[1].bundle.name} {evaluations[1].bundle.digest}" in text
    for heading in ("Intended use", "Training data", "Limits", "Identity"):
        assert heading in text


@pytest.mark.slow
def test_a_failed_row_of_the_store_is_listed(
    small_corpus: Path, tmp_path: Path, preprocessed: Callable[..., str], write_recording: Callable[..., Path]
) -> None:
    audio = Path(shutil.copytree(small_corpus, tmp_path / "audio"))
    (audio / "labels.csv").unlink()
    write_recording(audio / "gunshot" / "<i>none.wav", 1.0, noise=0.0)
    store = preprocessed([audio], tmp_path / "s")
    train_model(store, "logistic", str(tmp_path / "b"))
    evaluation = evaluate_bundle(store, str(tmp_path / "b"))
    page = write_up(ReportInputs(title="T", date="D", store=store, evaluations=[evaluation], default="logistic"))
    assert "<i>none" not in page
    assert "gunshot/<i>none.wav" in text_of(page)
    assert "only digital zeros" in text_of(page)


def test_an_unknown_default_is_our_own_mistake(inputs: ReportInputs) -> None:
    broken: Any = replace(inputs, default="paper-cnn")
    with pytest.raises(StopIteration):
        write_up(broken)
