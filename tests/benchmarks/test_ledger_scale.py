"""What a run costs before and after it reads a sound: listing, planning, the ledger and its summary.

Each step runs in a process of its own, whose peak memory is told. `GUNSHOT_BENCH_RECORDINGS` sets the size (1,000,000).
`GUNSHOT_BENCH_FILES` that of the folder that is listed (100,000: it takes minutes to make).
The recordings are empty files and the ledger's rows are made up; objects are of 2,000 recordings, as after merging.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

N_RECORDINGS = int(os.environ.get("GUNSHOT_BENCH_RECORDINGS", "1000000"))
N_FILES = int(os.environ.get("GUNSHOT_BENCH_FILES", "100000"))

STEP = r"""
import resource, sys, time
import numpy as np
from gunshot.scoring.keys import KEY, Provenance
from gunshot.scoring.plan import plan_scoring
from gunshot.scoring.results import count_listed, done_keys, write_csv
from gunshot.scoring.results.checks import results_info, verify_results
from gunshot.scoring.targets import Target, Targets, list_targets

what, n, place = sys.argv[1], int(sys.argv[2]), sys.argv[3]
provenance = Provenance("m" * 16, "r" * 16)
def made():
    return Targets.of(
        Target(f"{i // 1000:05d}/{i:07d}.wav", f"s3://archive/{i // 1000:05d}/{i:07d}.wav", 10**7, f"{i:032x}")
        for i in range(n)
    )
start_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
began = time.perf_counter()
if what == "list files on disk":
    assert len(list_targets([place])) == n
elif what == "plan, nothing done":
    plan = plan_scoring(made(), np.empty(0, dtype=KEY), provenance)
    assert sum(len(batch.targets) for batch in plan) == n
elif what == "read the ledger and plan":
    plan = plan_scoring(made(), done_keys(place, provenance), provenance)
    assert plan.n_recordings == 0
elif what == "count the listed":
    targets = made()
    counts = count_listed(place, provenance, plan_scoring(targets, np.empty(0, dtype=KEY), provenance).keys)
    assert counts.states.total() == n
elif what == "info":
    results_info(place)
elif what == "verify":
    assert not list(verify_results(place))
elif what == "recordings.csv":
    write_csv(place, "recordings")
else:
    from gunshot.scoring.results import write_batch
    targets = made()
    for first in range(0, n, 2000):
        rows = [
            {"path": t.path, "uri": t.uri, "size": t.size, "etag": t.etag, "state": "ok", "reason": "", "read_s": 60.0,
             "time_source": "not known", "n_candidates": 7, "n_detections": 0, "threshold": 0.5, "model": "made",
             "model_digest": "m" * 16, "recipe_digest": "r" * 16}
            for t in targets[first : first + 2000]
        ]
        write_batch(place, f"{first:016x}", [], rows)
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
took_s = time.perf_counter() - began
print(f"{what:<26}{took_s:>8.1f} s{peak_mb:>8.0f} MB (of them {start_mb:.0f} MB imports)", flush=True)
"""


def run(what: str, place: Path, n: int = N_RECORDINGS) -> str:
    command = [sys.executable, "-c", STEP, what, str(n), str(place)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip()


def test_time_and_memory_of_a_large_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(N_FILES):
        path = tmp_path / "archive" / f"{number // 1000:05d}" / f"{number:07d}.wav"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.touch()
    with capsys.disabled():
        print(f"\n{N_FILES} files, {N_RECORDINGS} recordings")
        print(run("list files on disk", tmp_path / "archive", N_FILES))
        print(run("write the ledger", tmp_path / "results"))
        for what in ("plan, nothing done", "read the ledger and plan", "count the listed", "info", "verify",
                     "recordings.csv"):  # fmt: skip
            print(run(what, tmp_path / "results"), flush=True)
