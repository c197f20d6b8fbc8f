"""What a site's own shots are worth: recall on street clips after adaptation to 0, 5, 10, 20 and 35 shots of street.

    python tests/benchmarks/adaptation.py --audio ../shared/audio --work /tmp/adaptation [--model URI --store URI]

The site is UrbanSound8K's fold 1 (``street-validation``: 35 shots, of which some are drawn, and all of its 199 other
sounds), what is judged is fold 2 (``street-test``). Without ``--model`` a small-cnn is trained first on everything but
street, FP6 for validation and FP7 for test. A ``--store`` must hold no street clips: its held-out rows choose the step.
Prints a line an adaptation and a JSON object at the end; what is in the work folder already is not done again.
"""

from __future__ import annotations

import argparse
import csv
import json
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest import mock

import numpy as np

from gunshot.adaptation.adapt import adapt_model
from gunshot.adaptation.site import read_site
from gunshot.adaptation.synthetic import synthetic_clips
from gunshot.division import SplitPlan
from gunshot.errors import RunError
from gunshot.evaluation.curves import recall_at_fpr
from gunshot.evaluation.metrics import classification_metrics
from gunshot.manifest.sources import build_manifest
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.preprocess.partition import preprocess_partition
from gunshot.recipe import Recipe
from gunshot.storage import exists
from gunshot.store.layout import prepare_store
from gunshot.store.read import open_store
from gunshot.store.write import commit_store
from gunshot.training import train_model

Row = dict[str, str]

COUNTS = (0, 5, 10, 20, 35)
SITE, JUDGED = "street-validation/", "street-test/"
PLAN = SplitPlan(
    "group", (("livefire/FP6/*", "validation"), ("livefire/FP7/*", "test"), ("livefire/*", "train")), seed=0
)


def write_table(rows: list[Row], path: Path) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def rows_of(audio: Path) -> list[Row]:
    with (audio / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def below(rows: list[Row], audio: Path, folder: str) -> list[Row]:
    return [row | {"path": str(audio / row["path"])} for row in rows if row["path"].startswith(folder)]


def base(audio: Path, rows: list[Row], work: Path, epochs: int) -> tuple[str, str]:
    """A small-cnn that has met no street, and its store."""
    store, model = work / "store.zarr", work / "base"
    if not exists(str(model / "model.json")):
        table = write_table([row for row in rows if not row["path"].startswith("street-")], work / "past.csv")
        header = prepare_store(str(store), build_manifest([str(audio)], labels=table, probe=False), Recipe())
        for partition in header.partitions:
            preprocess_partition(header.uri, partition)
        commit_store(header)
        train_model(str(store), "small-cnn", str(model), plan=PLAN, epochs=epochs)
    return str(model), str(store)


def figures(bundle: Bundle, x: Any, label: Any) -> dict[str, float]:
    score = bundle.score(x)
    at_threshold = classification_metrics(label, score, bundle.operating_point.threshold)
    return {
        "recall_at_fpr_0.01": recall_at_fpr(label, score, 0.01),
        "recall_at_fpr_0.05": recall_at_fpr(label, score, 0.05),
        "recall": float(at_threshold.recall or 0.0),
        "threshold": bundle.operating_point.threshold,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", help="a bundle with weights to go on from; a small-cnn is trained if not given")
    parser.add_argument("--store", help="the store that --model was trained on, without street clips")
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS))
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--base-epochs", type=int, default=12)
    parser.add_argument("--may-lose", type=float, default=0.01)
    given = parser.parse_args()
    audio, work = given.audio.resolve(), given.work
    work.mkdir(parents=True, exist_ok=True)
    rows = rows_of(audio)
    model, store = (given.model, given.store) if given.model else base(audio, rows, work, given.base_epochs)
    if store and any("street-" in str(path) for path in open_store(store).column("path")):
        parser.error(f"--store {store} holds street clips, which would choose the step that they judge")
    bundle = load_bundle(model)
    judged = read_site(write_table(below(rows, audio, JUDGED), work / "judged.csv"), bundle.recipe)
    site = below(rows, audio, SITE)
    shots = [row for row in site if row["label"] == "1"]
    others = [row for row in site if row["label"] == "0"]
    found: list[dict[str, Any]] = [{"shots": 0, "draw": 0, **figures(bundle, judged.waveform, judged.label)}]
    print(json.dumps(found[0]), flush=True)
    with mock.patch("gunshot.adaptation.adapt.synthetic_clips", lru_cache(None)(synthetic_clips)):
        for draw in range(given.draws):
            for count in (n for n in given.counts if n):
                chosen = np.random.default_rng([draw, count]).permutation(len(shots))[:count]
                table = write_table([shots[i] for i in sorted(chosen)] + others, work / f"site-{count}-{draw}.csv")
                began = perf_counter()
                row: dict[str, Any] = {"shots": count, "draw": draw}
                try:
                    out = str(work / f"adapted-{count}-{draw}")
                    # seed 0 of the synthetic rehearsal in every draw, so that it is made once
                    done = adapt_model(model, table, out, store=store, may_lose=given.may_lose, seed=0)
                    row |= {"step": done.step, **figures(load_bundle(out), judged.waveform, judged.label)}
                    row["lost"] = {f"{c.rows}/{c.source}": round(c.fall, 4) for c in done.changes if c.n_shots}
                except RunError as error:  # the model stays as it is
                    row |= {"step": 0.0, "refused": str(error), **{k: found[0][k] for k in found[0] if "recall" in k}}
                row["elapsed_s"] = round(perf_counter() - began, 1)
                found.append(row)
                print(json.dumps(row), flush=True)
    for count in given.counts:
        values = [row["recall_at_fpr_0.01"] for row in found if row["shots"] == count]
        print(
            f"{count:>3} shots: recall at 1% false alarms {np.mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"
        )


if __name__ == "__main__":
    main()
