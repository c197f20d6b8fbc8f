"""Labels of a training: a table, or what people decided in a review, as a store of clips beside the model."""

from __future__ import annotations

from dataclasses import dataclass

from flows.preprocess import PreprocessSummary, fill_store
from gunshot.errors import ParameterError
from gunshot.manifest.sources import build_manifest
from gunshot.recipe import Recipe
from gunshot.review.labels import LabelCounts, write_label_table
from gunshot.storage import exists, join
from tasks import artifacts

__all__ = ["StoredLabels", "reviewed_results", "store_labels"]


@dataclass(frozen=True)
class StoredLabels:
    """Labels whose clips are in a store.

    Attributes
    ----------
    table : str
        The label table; of a review the one that was made of it.
    decisions : LabelCounts or None
        What became of the decisions; None where a table was given.
    preprocessed : PreprocessSummary
        The store, and what became of the table's rows.
    """

    table: str
    decisions: LabelCounts | None
    preprocessed: PreprocessSummary

    def lines(self) -> list[str]:
        """The labels for a person.

        Returns
        -------
        list of str
            Counts that add up.
        """
        found = self.preprocessed
        states = " + ".join(f"{count} {state}" for state, count in found.states.items())
        lines = [] if self.decisions is None else self.decisions.lines(self.table)
        return [*lines, f"labels: {found.n_rows} rows = {states}; store: {found.store}"]


def reviewed_results(labels: str) -> str | None:
    """The results that labels are decisions on.

    Parameters
    ----------
    labels : str
        A label table or results.

    Returns
    -------
    str or None
        None for a label table.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    if labels.lower().endswith(".csv"):
        return None
    if exists(join(labels, "recordings")) or exists(join(labels, "review")):
        return labels
    raise ParameterError(
        f"--labels {labels} is neither a label table (a file that ends in .csv) nor results of 'gunshot score' that "
        "were reviewed; check the address"
    )


def store_labels(
    labels: str,
    out: str,
    recipe: Recipe,
    where: tuple[int | None, str | None, str | None],
    *,
    archive: str | None = None,
) -> StoredLabels:
    """Preprocess labels into a store beside a model; a rerun does only what is missing.

    Parameters
    ----------
    labels : str
        A label table, or results with decisions of `gunshot review`.
    out : str
        The model's folder; the store is ``OUT-labels.zarr``, the table of a review ``OUT-labels.csv``.
    recipe : Recipe
        That of the store that the labels are joined with.
    where : tuple of (int or None, str or None, str or None)
        Workers, scheduler and cluster profile.
    archive : str, optional
        Root below which the recordings of a review are now, if they have moved.

    Returns
    -------
    StoredLabels
        Where they are, and what became of them.

    Raises
    ------
    ParameterError
        If `labels` is neither, or nobody has decided anything.
    ManifestError
        If the table is wrong or names files that do not exist.
    RunError
        If too many recordings cannot be read.
    """
    results, beside = reviewed_results(labels), out.rstrip("/")
    table, counts = labels, None
    if results is not None:
        table = f"{beside}-labels.csv"
        counts = write_label_table(results, table, archive=archive)
    with artifacts.stage("list", None, "rows") as advance:
        manifest = build_manifest([], labels=table, probe=False)
        advance(manifest.num_rows)
    return StoredLabels(table, counts, fill_store(f"{beside}-labels.zarr", manifest, recipe, where))
