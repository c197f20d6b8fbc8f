"""How long OpenSoundscape's ``predict`` takes for the first part of recordings; runs in a Python that has it.

``python -I opensoundscape_speed.py SR_HZ MOST_S RECORDING...`` prints a JSON object: version, `cost_s` of processor
time, `real_s` of sound. A ResNet-18 as its README builds it, untrained (its weights cost nothing in time), clips of
5 s that do not overlap, one at a time (its default, and faster than batches on one core); one thread. What is imported
and built is not counted.
"""

from __future__ import annotations

import json
import logging
import sys
from time import process_time

import opensoundscape
import pandas as pd
import soundfile as sf
import torch

CLIP_S = 5.0


def clips(paths: list[str], most_s: float) -> pd.DataFrame:
    """The table of clips that ``predict`` takes; the rest of a recording that fills no clip is left out."""
    rows = []
    for path in paths:
        n_clips = int(min(sf.info(path).duration, most_s) // CLIP_S)
        rows += [(path, number * CLIP_S, (number + 1) * CLIP_S) for number in range(n_clips)]
    return pd.DataFrame(index=pd.MultiIndex.from_tuples(rows, names=["file", "start_time", "end_time"]))


def main() -> None:
    sr_hz, most_s, paths = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    model = opensoundscape.CNN(
        "resnet18", ["gunshot", "other"], CLIP_S, sample_rate=sr_hz, arch_weights=None, device="cpu"
    )
    asked = clips(paths, most_s)
    model.predict(asked[:1], progress_bar=False)  # tables and filters are made once
    began_s = process_time()
    scores = model.predict(asked, progress_bar=False)
    cost_s = process_time() - began_s
    assert scores.shape == (len(asked), 2)
    assert scores.notna().all(axis=None)
    print(json.dumps({"version": opensoundscape.__version__, "cost_s": cost_s, "real_s": CLIP_S * len(asked)}))


if __name__ == "__main__":
    main()
