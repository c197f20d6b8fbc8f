"""What a feature store looks like, and how one is prepared.

Conventions
-----------
::

    STORE/
      manifest.parquet       the rows, a row group a partition
      zarr.json              attributes: format, recipe, digests, rows, shard_rows
      waveform/              (n_rows, n_samples) float32, [-1, 1] at the recipe's rate
      log_mel/               (n_rows, n_mels, n_frames) float32 [dB]
      partitions/00000.parquet   the partition's commit record: a row a clip, its state and onset, the checksum
      commit.json            written last: totals; readers refuse a store without it

A shard is a partition. The template is written first, then partitions, then the commit. Whether a row is
there is told by the commit records, never by values: silence is data. Rows without a clip hold NaN.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import zarr
import zarr.codecs
import zarr.errors
from pydantic import ValidationError

from gunshot.errors import StoreError, StoreMismatchError
from gunshot.manifest.table import manifest_digest, write_manifest
from gunshot.partition import CHUNK_ROWS, Partition, plan_partitions, shard_rows_for
from gunshot.recipe import Recipe
from gunshot.storage import exists, explained, join, read_bytes, zarr_store

__all__ = [
    "ARRAYS",
    "FORMAT",
    "HELD_ROW",
    "RECORD_SCHEMA",
    "USABLE_STATES",
    "StoreHeader",
    "check_recipe",
    "commit_uri",
    "partition_uri",
    "prepare_store",
    "read_header",
]

FORMAT = "gunshot-store/2"
ARRAYS = ("waveform", "log_mel")
_DIMENSIONS = {"waveform": ("row", "sample"), "log_mel": ("row", "mel_band", "frame")}
USABLE_STATES = ("ok", "short")
"""States of rows that hold a clip; ``short`` is cut from a recording that breaks off."""

HELD_ROW = "held_row"
"""Column of a manifest in the store: the row of the generation before that holds the same clip, or null."""

RECORD_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("onset_s", pa.float64()),
        pa.field("strength_db", pa.float32()),
        pa.field("is_onset", pa.bool_()),
        pa.field("padded_s", pa.float32()),
        pa.field("duration_s", pa.float64()),  # of the recording, as its header has it
        pa.field("sr", pa.int32()),
        pa.field("n_channels", pa.int16()),
    ]
)
"""A commit record's columns; the checksums of the partition's arrays are in the schema's metadata."""


@dataclass(frozen=True, slots=True)
class StoreHeader:
    """What a store says of itself.

    Attributes
    ----------
    uri : str
        Where it is.
    recipe : Recipe
        What made its features.
    manifest_digest : str
        Which rows it is for.
    n_rows, shard_rows : int
        Rows in all and in a shard.
    derived : dict
        What its rows were made from, and how; empty where they were made from recordings.
    held_in : str or None
        Name of the generation that held some of its rows when it was prepared (`gunshot.store.generations`).
    """

    uri: str
    recipe: Recipe
    manifest_digest: str
    n_rows: int
    shard_rows: int
    derived: Mapping[str, Any] = field(default_factory=dict)
    held_in: str | None = None

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The plan."""
        return plan_partitions(self.n_rows, self.shard_rows)

    def partition(self, index: int) -> Partition:
        """One partition of the plan.

        Parameters
        ----------
        index : int
            Its number.

        Returns
        -------
        Partition
            Its rows.
        """
        start = index * self.shard_rows
        return Partition(index, start, min(start + self.shard_rows, self.n_rows))


def partition_uri(store: str, index: int) -> str:
    """Where the commit record of a partition is.

    Parameters
    ----------
    store : str
        The store.
    index : int
        Number of the partition.

    Returns
    -------
    str
        The address.
    """
    return join(store, "partitions", f"{index:05d}.parquet")


def commit_uri(store: str) -> str:
    """Where the store's last object is.

    Parameters
    ----------
    store : str
        The store.

    Returns
    -------
    str
        The address.
    """
    return join(store, "commit.json")


def read_header(uri: str) -> StoreHeader:
    """Read what a store says of itself.

    Parameters
    ----------
    uri : str
        The store.

    Returns
    -------
    StoreHeader
        Checked.

    Raises
    ------
    StoreError
        If there is no store.
    StoreMismatchError
        If it has another format, or its recipe is of another version of the code.
    """
    attributes = _attributes(uri)
    if not attributes:
        raise StoreError(f"no feature store at {uri}; make one with 'gunshot preprocess INPUT --store {uri}'")
    if attributes.get("format") != FORMAT:
        raise StoreMismatchError(
            f"{uri}: format is {attributes.get('format')!r}, this version reads {FORMAT!r}; preprocess into a new store"
        )
    try:
        recipe = Recipe.model_validate(attributes["recipe"])
    except ValidationError as error:
        raise StoreMismatchError(
            f"{uri}: its recipe {attributes['recipe_digest']} has keys or values that this version does not know; "
            "preprocess into a new store"
        ) from error
    if recipe.digest != attributes["recipe_digest"]:
        raise StoreMismatchError(
            f"{uri}: made by another version of the clip code (recipe {attributes['recipe_digest']}, now "
            f"{recipe.digest}); preprocess into a new store"
        )
    return StoreHeader(
        uri,
        recipe,
        attributes["manifest_digest"],
        attributes["n_rows"],
        attributes["shard_rows"],
        attributes["derived"],
        attributes["held_in"],
    )


def _attributes(uri: str) -> dict[str, Any]:
    """Attributes of the root group; empty where there is none, or where a template was broken off."""
    root = join(uri, "zarr.json")
    if not exists(root):
        return {}
    attributes: dict[str, Any] = json.loads(read_bytes(root)).get("attributes", {})
    return attributes


def prepare_store(
    uri: str,
    manifest: pa.Table,
    recipe: Recipe,
    *,
    derived: Mapping[str, Any] | None = None,
    held_in: str | None = None,
) -> StoreHeader:
    """Write the template of a new store, or take up the one that is there.

    Parameters
    ----------
    uri : str
        Where.
    manifest : pyarrow.Table
        The rows.
    recipe : Recipe
        The recipe.
    derived : mapping, optional
        What the rows are made from where it is not recordings.
    held_in : str, optional
        The generation that the manifest's column `HELD_ROW` speaks of.

    Returns
    -------
    StoreHeader
        What is now there.

    Raises
    ------
    StoreMismatchError
        If a store of another recipe or another manifest is there.
    """
    digest = manifest_digest(manifest)
    if _attributes(uri):
        header = read_header(uri)
        _check_same(header, recipe, digest)
        if header.derived != dict(derived or {}):
            raise StoreMismatchError(
                f"{uri} holds rows made from {dict(header.derived) or 'recordings'}, this run makes them from "
                f"{dict(derived or {}) or 'recordings'}; remove it or give another place"
            )
        if not exists(join(uri, "manifest.parquet")):  # lost, or forgotten by a repair
            write_manifest(manifest, join(uri, "manifest.parquet"), row_group_size=header.shard_rows)
        return header
    n_rows = manifest.num_rows
    header = StoreHeader(uri, recipe, digest, n_rows, shard_rows_for(n_rows), dict(derived or {}), held_in)
    write_manifest(manifest, join(uri, "manifest.parquet"), row_group_size=header.shard_rows)
    with explained("write", uri):
        _write_template(header)
    return header


def check_recipe(header: StoreHeader, recipe: Recipe) -> None:
    """Make sure that a store has a recipe.

    Parameters
    ----------
    header : StoreHeader
        The store.
    recipe : Recipe
        What it must have.

    Raises
    ------
    StoreMismatchError
        If not; names what differs.
    """
    if header.recipe != recipe:
        raise StoreMismatchError(
            f"{header.uri} was made with recipe {header.recipe.digest}, this run has recipe {recipe.digest}: "
            f"{_differences(header.recipe, recipe)}; give another --store, or the store's recipe"
        )


def _check_same(header: StoreHeader, recipe: Recipe, digest: str) -> None:
    check_recipe(header, recipe)
    if header.manifest_digest != digest:
        raise StoreMismatchError(
            f"{header.uri} holds manifest {header.manifest_digest}, this run's is {digest} (rows, labels or files have "
            "changed); give another --store"
        )


def _differences(there: Recipe, here: Recipe) -> str:
    flat = [
        {f"{section}.{key}": value for section, values in recipe.model_dump().items() if isinstance(values, dict)
         for key, value in values.items()} | {"sr_hz": recipe.sr_hz}
        for recipe in (there, here)
    ]  # fmt: skip
    return ", ".join(
        f"{key} {flat[0][key]} there, {flat[1][key]} here" for key in flat[0] if flat[0][key] != flat[1][key]
    )


def _write_template(header: StoreHeader) -> None:
    """Arrays first, the group with its attributes last: a store with a header is a whole template."""
    store = zarr_store(header.uri, read_only=False)
    recipe = header.recipe
    shapes = {"waveform": (recipe.n_samples,), "log_mel": recipe.mel_shape}
    for name, shape in shapes.items():
        zarr.create_array(
            store,
            name=name,
            shape=(header.n_rows, *shape),
            shards=(header.shard_rows, *shape),
            chunks=(CHUNK_ROWS, *shape),
            dtype="float32",
            dimension_names=_DIMENSIONS[name],  # for xarray and its like: no reader of ours looks at them
            fill_value=float("nan"),
            compressors=zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
            overwrite=True,
        )
    zarr.open_group(store, mode="a").update_attributes(
        {
            "format": FORMAT,
            "recipe": recipe.model_dump(mode="json"),
            "recipe_digest": recipe.digest,
            "manifest_digest": header.manifest_digest,
            "n_rows": header.n_rows,
            "shard_rows": header.shard_rows,
            "derived": dict(header.derived),
            "held_in": header.held_in,
        }
    )
