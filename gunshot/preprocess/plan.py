"""What a run of preprocessing would do, before anything is written.

Conventions
-----------
A plan is plain data. Its time is measured, not assumed: some rows, spread over those that are to be computed, are
decoded and cut here, and what they took is scaled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import pyarrow as pa

from gunshot.clips import features
from gunshot.errors import ParameterError
from gunshot.manifest.sources import build_manifest
from gunshot.partition import Partition, plan_partitions, shard_rows_for
from gunshot.preprocess.rows import clips_of_rows
from gunshot.recipe import Recipe, read_recipe
from gunshot.store.generations import Survey, survey_generation
from gunshot.store.records import committed_partitions

__all__ = ["PreprocessPlan", "plan_preprocess"]

_SAMPLE_FILES = 24
_MOST_ROWS_OF_A_FILE = 50
_MOST_SHOWN = 4


@dataclass(frozen=True)
class PreprocessPlan:
    """What there is to do.

    Attributes
    ----------
    store : str
        The store.
    n_rows, n_files : int
        Rows of the manifest, and the recordings they lie in.
    n_written, n_copied, n_computed : int
        Rows that are there, that are copied from an earlier generation, and that are decoded; they add up to `n_rows`.
    partitions : tuple of Partition
        Units of work that are still to be done.
    sound_bytes, store_bytes : int
        Size of the recordings to be decoded, and of all arrays uncompressed [bytes].
    row_s : float
        Measured time of one row [s]; 0 where there is none to measure.
    workers : int
        Workers that the estimate is for.
    estimated_s : float
        Time for what is to be computed [s].
    """

    store: str
    n_rows: int
    n_files: int
    n_written: int
    n_copied: int
    n_computed: int
    partitions: tuple[Partition, ...]
    sound_bytes: int
    store_bytes: int
    row_s: float
    workers: int
    estimated_s: float

    def lines(self) -> list[str]:
        """Describe the plan for a person.

        Returns
        -------
        list of str
            A few lines.
        """
        shown = ", ".join(f"{part.index} (rows {part.start}-{part.stop - 1})" for part in self.partitions[:_MOST_SHOWN])
        more = f", and {len(self.partitions) - _MOST_SHOWN} more" if len(self.partitions) > _MOST_SHOWN else ""
        minutes, seconds = divmod(round(self.estimated_s), 60)
        return [
            f"rows        {self.n_rows} in {self.n_files} recordings = {self.n_written} written + {self.n_copied} to "
            f"copy + {self.n_computed} to compute",
            f"partitions  {len(self.partitions)} to do: {shown or 'none'}{more}",
            f"bytes       {self.sound_bytes / 1e6:,.1f} MB of sound to read, at most {self.store_bytes / 1e6:,.1f} MB "
            "of arrays in the store",
            f"time        about {minutes} min {seconds} s on {self.workers} workers ({self.row_s * 1e3:.2f} ms a row, "
            f"measured on the rows of up to {_SAMPLE_FILES} recordings)",
        ]


def plan_preprocess(
    inputs: Sequence[str], store: str, labels: str | None = None, recipe: str | None = None, workers: int | None = None
) -> PreprocessPlan:
    """Plan a run of preprocessing; nothing is written.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, globs or s3:// prefixes.
    store : str
        Where the feature store is, or will be.
    labels : str, optional
        A label table.
    recipe : str, optional
        A recipe (TOML).
    workers : int, optional
        Workers to estimate for; one a core if not given.

    Returns
    -------
    PreprocessPlan
        What there is to do.

    Raises
    ------
    ManifestError, RecipeError, StoreMismatchError, ParameterError
        As a run would.
    """
    if workers is not None and workers < 0:
        raise ParameterError(f"--workers must be 0 or more; got {workers}")
    rules = read_recipe(recipe)
    manifest = build_manifest(inputs, labels=labels, probe=False)
    survey = survey_generation(store, manifest, rules)
    partitions = _to_do(survey, manifest.num_rows)
    is_to_do = np.zeros(manifest.num_rows, dtype=bool)
    for part in partitions:
        is_to_do[part.start : part.stop] = True
    is_held = survey.held.is_valid().to_numpy(zero_copy_only=False)
    computed = np.flatnonzero(is_to_do & ~is_held)
    n_workers = max(1, workers if workers is not None else len(os.sched_getaffinity(0)))
    row_s = _measured(manifest, computed, rules)
    files = manifest.take(computed).group_by("uri").aggregate([("size", "max")])
    row_bytes = 4 * (rules.n_samples + int(np.prod(rules.mel_shape)))
    return PreprocessPlan(
        store=store,
        n_rows=manifest.num_rows,
        n_files=len(manifest.column("uri").unique()),
        n_written=int((~is_to_do).sum()),
        n_copied=int((is_to_do & is_held).sum()),
        n_computed=computed.size,
        partitions=partitions,
        sound_bytes=int(files.column("size_max").to_numpy().sum()),
        store_bytes=row_bytes * manifest.num_rows,
        row_s=row_s,
        workers=n_workers,
        estimated_s=row_s * computed.size / n_workers,
    )


def _to_do(survey: Survey, n_rows: int) -> tuple[Partition, ...]:
    if survey.header is None:
        return plan_partitions(n_rows, shard_rows_for(n_rows))
    there = set(committed_partitions(survey.header))
    return tuple(part for part in survey.header.partitions if part not in there)


def _measured(manifest: pa.Table, computed: np.ndarray, recipe: Recipe) -> float:
    """Time of a row [s], by some of those that are to be computed."""
    if not computed.size:
        return 0.0
    # all rows of a recording are cut from one opening, so whole recordings are measured
    uris = manifest.column("uri").take(pa.array(computed)).to_numpy()
    firsts = np.flatnonzero(np.r_[True, uris[1:] != uris[:-1]])
    ends = np.r_[firsts[1:], uris.size]
    chosen = np.unique(np.linspace(0, firsts.size - 1, _SAMPLE_FILES).astype(int))
    numbers = [np.arange(firsts[n], min(ends[n], firsts[n] + _MOST_ROWS_OF_A_FILE)) for n in chosen]
    rows = list(enumerate(manifest.take(computed[np.concatenate(numbers)]).to_pylist()))
    for some in (rows[:1], rows):  # filterbanks are made once a worker: the first time does not count
        began = perf_counter()
        clips = [clip.y for _, _, clip in clips_of_rows(some, recipe) if clip is not None]
        features(np.array(clips, dtype=np.float32).reshape(-1, recipe.n_samples), recipe)
    return (perf_counter() - began) / len(rows)
