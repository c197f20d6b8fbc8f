"""The round trip on real sound: score an archive, review 200 detections, retrain, see what changed at other places.

The decisions are scripted from the labels, one in twenty of them wrong. The archive is two firing positions and
everyday sounds that the champion has never met; what changed is counted on a third position and on other recorders'
clips, which neither model has met. The figures that it prints are in docs/results.md.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gunshot.comparison import Pairs, compare_bundles
from gunshot.evaluate import evaluate_bundle
from gunshot.models.splits import splits_by_group
from gunshot.review.queue import Item, load_queue
from gunshot.review.session import ReviewSession
from gunshot.store.read import open_store

pytestmark = [
    pytest.mark.slow, pytest.mark.audio, pytest.mark.timeout(3600), pytest.mark.usefixtures("plain_flows"),
]  # fmt: skip

N_REVIEWED = 200
WRONG = 0.05
KNOWN = ("livefire/FP1/", "impulses/")
ARCHIVE = ("livefire/FP4/", "livefire/FP5/", "everyday/")
HELD_OUT = ("livefire/FP7/", "street-test/")

Gunshot = Callable[..., Any]
Row = dict[str, str]


def rows_of(audio: Path, folders: Sequence[str]) -> list[Row]:
    """Rows of the label table below some folders, with paths that hold anywhere."""
    with (audio / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith(tuple(folders))]
    return [row | {"path": str(audio / row["path"])} for row in rows]


def write_table(rows: list[Row], path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def is_shot(item: Item, shots: dict[str, list[tuple[float, float]]]) -> bool:
    """Whether a detection begins in a labelled shot."""
    return any(start_s - 0.05 <= item.start_s < end_s for start_s, end_s in shots.get(item.uri, ()))


def reviewed(results: str, truth: list[Row]) -> int:
    """Decide on half the likeliest and half the most uncertain detections; how many decisions are wrong."""
    shots: dict[str, list[tuple[float, float]]] = {}
    for row in truth:
        if row["label"] == "1":
            shots.setdefault(row["path"], []).append((float(row["start_s"]), float(row["end_s"])))
    queue = load_queue(results)
    review = ReviewSession(results, queue, "Script")
    likeliest = queue.numbers("likeliest").tolist()[: N_REVIEWED // 2]
    uncertain = [number for number in queue.numbers("uncertain").tolist() if number not in set(likeliest)]
    chosen = [*likeliest, *uncertain[: N_REVIEWED - len(likeliest)]]
    is_wrong = np.random.default_rng(5).permutation(len(chosen)) < round(WRONG * len(chosen))
    for number, wrong in zip(chosen, is_wrong.tolist(), strict=True):
        review.decide(number, "gunshot" if is_shot(queue.items[number], shots) != wrong else "not")
    assert len(chosen) == N_REVIEWED
    return int(is_wrong.sum())


def said(what: str, pairs: Pairs) -> str:
    return f"{what}: {pairs.n}, right before {pairs.both + pairs.lost}, now {pairs.both + pairs.won}, p {pairs.p:.2g}"


def test_a_review_of_false_alarms_takes_some_away_where_neither_model_has_been(
    gunshot: Gunshot, audio: Path, tmp_path: Path
) -> None:
    folder = tmp_path

    def run(*words: object) -> dict[str, Any]:
        ended = gunshot(*words, "--workers", 0, "--json")
        assert ended.code == 0, ended.err
        content = json.loads(ended.out)
        assert isinstance(content, dict)
        return content

    for name, folders in (("known", KNOWN), ("held-out", HELD_OUT)):
        table = write_table(rows_of(audio, folders), folder / f"{name}.csv")
        run("preprocess", "--labels", table, "--store", folder / name)
    how = ("--model", "small-cnn", "--augment", "none", "--epochs", 12, "--operating-point", "fpr 5%")
    champion, following = folder / "champion", folder / "next"
    run("train", "--store", folder / "known", "--out", champion, *how)
    recordings = sorted({row["path"] for row in rows_of(audio, ARCHIVE)})
    scored = run("score", *recordings, "--model", champion, "--out", folder / "results")
    wrong = reviewed(str(folder / "results"), rows_of(audio, ARCHIVE))
    trained = run(
        "train", "--store", folder / "known", "--labels", folder / "results", "--champion", champion, "--out",
        following, *how,
    )  # fmt: skip
    decisions = trained["labels"]["decisions"]
    assert decisions["n_decided"] == N_REVIEWED
    assert trained["champion"]["service"]["n_reviewed"] == N_REVIEWED
    assert all(len(splits) == 1 for splits in splits_by_group(str(following)).values())
    assert not set(splits_by_group(str(following))) & set(open_store(str(folder / "held-out")).column("group"))
    changed = compare_bundles(str(folder / "held-out"), str(champion), str(following))
    assert changed.shots.n == 176
    print(
        f"\n{scored['n_detections']} detections, {N_REVIEWED} reviewed ({decisions['n_gunshots']} gunshot, "
        f"{decisions['n_others']} not; {wrong} of them wrong), labels {trained['labels']['splits']}"
    )
    own = trained["champion"]["comparison"]
    print("on the store's and the review's held-out groups:", own["shots"], own["alarms"])
    print(trained["champion"]["service"]["precision"], trained["champion"]["service"]["precision_interval"])
    for name, (shots, others) in changed.by_source.items():
        print(f"{name}: {said('shots', shots)}; {said('other sounds', others)}")
    print(said("all shots", changed.shots), said("all other sounds", changed.alarms), sep="\n")
    for uri in (champion, following):
        metrics = evaluate_bundle(str(folder / "held-out"), str(uri)).metrics["test"]
        print(f"threshold {metrics.threshold:.4f}, AUC {metrics.roc_auc:.4f}")
    # most of what was reviewed were false alarms: fewer of the sounds that neither has met raise one, and no more
    # shots are missed than alarms are saved
    assert changed.alarms.won > changed.alarms.lost
    assert changed.shots.lost - changed.shots.won < changed.alarms.won - changed.alarms.lost
