"""From folders, label tables and buckets to a manifest.

Conventions
-----------
A folder or prefix with a ``labels.csv`` in it is read by that table, and so is a table that is named itself; without
one, folders named by class give the label. Each file's header is read once, by a few threads; a file that cannot be
used stays as a row with its state and reason.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gunshot.audio.decode import Recording
from gunshot.audio.probe import AUDIO_SUFFIXES
from gunshot.errors import AudioError, ManifestError, StorageError, TransientStorageError
from gunshot.manifest.labels import LabelRow, read_labels
from gunshot.manifest.names import is_gunshot_folder, name_facts
from gunshot.manifest.table import SCHEMA, manifest_of
from gunshot.storage import FileInfo, exists, is_remote, join, list_files, stat

__all__ = ["build_manifest"]

_PROBE_THREADS = 8
_MOST_NAMED = 3

Row = dict[str, Any]
Progress = Callable[[int, int], None]


def build_manifest(
    inputs: Sequence[str], *, labels: str | None = None, probe: bool = True, progress: Progress | None = None
) -> pa.Table:
    """Make a manifest of what the user names.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, globs, prefixes or label tables. With `labels` and no input, the table's own paths say where
        the files are.
    labels : str, optional
        A label table; its paths are relative to the first input, or to the table where no input is given.
    probe : bool
        Whether headers are read. Without, rates and durations are null and no state is known: preprocessing, which
        reads each file anyway, finds them on its workers.
    progress : callable, optional
        Called with the number of headers read and their total.

    Returns
    -------
    pyarrow.Table
        With the columns of `gunshot.manifest.table.SCHEMA`, sorted by path and start.

    Raises
    ------
    ManifestError
        If there is no audio, or a label table is wrong or names files that do not exist.
    """
    tables: list[pa.Table] = []
    folders: list[pa.Table] = []
    if labels is not None:
        tables.append(_labelled(labels, inputs[0] if inputs else _folder_of(labels)))
    else:
        if not inputs:
            raise ManifestError("nothing to read: give a folder, file, glob or s3:// prefix, or --labels CSV")
        for uri in (given.removeprefix("file://") for given in inputs):
            table = uri if uri.lower().endswith(".csv") else join(uri, "labels.csv")
            if exists(table):
                tables.append(_labelled(table, _folder_of(table)))
            else:
                folders.append(manifest_of(_folder_rows(uri)))
    if not any(pc.any(pc.equal(table.column("label"), 1)).as_py() for table in tables + folders):
        # without a single folder named as gunshots the folders name no classes: nobody said what is what
        folders = [_with_column(table, "label", pa.nulls(table.num_rows, pa.int8())) for table in folders]
    manifest = pa.concat_tables(tables + folders)
    if probe:
        manifest = _probed(manifest, progress)
    keys = pa.table({"path": manifest["path"], "start_s": pc.fill_null(manifest["start_s"], 0.0)})
    return manifest.take(pc.sort_indices(keys, [("path", "ascending"), ("start_s", "ascending")])).combine_chunks()


def _with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), SCHEMA.field(name), values)


def _folder_of(uri: str) -> str:
    return uri.rpartition("/")[0] or ("/" if uri.startswith("/") else ".")


def _row(path: str, info: FileInfo, **values: Any) -> Row:
    row: Row = {"path": path, "uri": info.uri, "size": info.size, "etag": info.etag}
    row |= {"start_s": None, "end_s": None, "limit_s": None, "license": "", "state": "ok", "reason": ""}
    return row | values


def _folder_rows(uri: str) -> Iterator[Row]:
    """Rows of a folder, prefix, glob or file; the class is the folder below it, or its own name.

    Of a glob the folder ahead of its first wildcard counts, of a file the one it is in.
    """
    try:
        files = list(list_files(uri, AUDIO_SUFFIXES))
    except StorageError as error:
        raise ManifestError(str(error)) from error
    if not files:
        raise ManifestError(
            f"no audio in {uri}: looked for files that end in {' '.join(AUDIO_SUFFIXES)}; check the address"
        )
    root = PurePosixPath(uri.rstrip("/"))
    first = PurePosixPath(files[0].uri)
    if not first.is_relative_to(root):
        root = PurePosixPath(*takewhile(lambda part: not set(part) & set("*?["), root.parts))
    elif first == root:
        root = root.parent
    source = root.name or "input"
    prefix = files[0].uri.removesuffix(str(PurePosixPath(files[0].uri).relative_to(root)))
    labels = [int(any(map(is_gunshot_folder, _names_below(info.uri, prefix, root)[:-1]))) for info in files]
    is_class = is_gunshot_folder(root.name) and not any(labels)  # the input is itself the folder of one class
    for info, label in zip(files, labels, strict=True):
        below = _names_below(info.uri, prefix, root)
        facts = name_facts(_stem(below[-1]))
        yield _row(
            "/".join(below),
            info,
            label=1 if is_class else label,
            sound=below[0] if len(below) > 1 else source,
            source=source,
            group=facts.group,
            device=facts.device,
        )


def _names_below(uri: str, prefix: str, root: PurePosixPath) -> list[str]:
    """Folders and name of a file below the root: as pathlib has it, which takes ten times as long."""
    below = uri.removeprefix(prefix)
    if len(below) + len(prefix) == len(uri) and "//" not in below:
        return below.split("/")
    return list(PurePosixPath(uri).relative_to(root).parts)


def _stem(name: str) -> str:
    end = name.rfind(".")
    return name[:end] if 0 < end < len(name) - 1 else name


def _labelled(table: str, root: str) -> pa.Table:
    """Rows of a label table."""
    labelled = read_labels(table)
    infos = _find_files(labelled, root)
    missing = [row for row in labelled if row.path not in infos]
    if missing:
        named = ", ".join(f"line {row.line}: {row.path!r}" for row in missing[:_MOST_NAMED])
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        raise ManifestError(
            f"label table {table}: {len(missing)} of {len(labelled)} rows name files that do not exist below {root} "
            f"({named}{more}); correct the paths (after a review: give --archive, where the recordings are now), or "
            "give the folder they are relative to as INPUT"
        )
    limits = _limits([(infos[row.path].uri, row.start_s, row.end_s, row.label) for row in labelled])
    return manifest_of(
        _row(
            row.earlier_path or row.path, infos[row.path], start_s=row.start_s, end_s=row.end_s, limit_s=limit_s,
            label=row.label, sound=row.sound, source=row.source, group=row.group, device=row.device,
            license=row.license,
        )
        for row, limit_s in zip(labelled, limits, strict=True)
    )  # fmt: skip


def _find_files(rows: Iterable[LabelRow], root: str) -> dict[str, FileInfo]:
    """The files that exist, by path as written; a bucket is listed once instead of asked for every file."""
    listed: dict[str, FileInfo] = {}
    if is_remote(root):
        listed = {info.uri: info for info in list_files(root)}
    found: dict[str, FileInfo] = {}
    for path in {row.path for row in rows}:
        is_absolute = is_remote(path) or path.startswith(("/", "file://"))
        uri = path if is_absolute else join(root, path)
        if uri in listed:
            found[path] = listed[uri]
        elif not listed or not uri.startswith(join(root) + "/"):
            try:
                found[path] = stat(uri)
            except TransientStorageError:
                raise
            except StorageError:
                continue
    return found


def _probe(uri: str) -> Row:
    try:
        with Recording(uri) as recording:
            header = recording.header
    except AudioError as error:
        return {"duration_s": None, "sr": None, "n_channels": None, "state": error.state, "reason": error.reason}
    return {
        "duration_s": header.duration_s, "sr": header.sr, "n_channels": header.n_channels, "state": "ok", "reason": "",
    }  # fmt: skip


def _probed(manifest: pa.Table, progress: Progress | None) -> pa.Table:
    """A manifest with what the headers say; each is read once, by a few threads."""
    uris = manifest.column("uri").unique()
    names = ("duration_s", "sr", "n_channels", "state", "reason")
    facts: dict[str, list[Any]] = {name: [] for name in names}
    with ThreadPoolExecutor(_PROBE_THREADS) as pool:
        for done, found in enumerate(pool.map(_probe, uris.to_pylist()), start=1):
            for name in names:
                facts[name].append(found[name])
            if progress:
                progress(done, len(uris))
    place = pc.index_in(manifest.column("uri"), value_set=uris)
    for name in names:
        values = pa.array(facts[name], SCHEMA.field(name).type)
        manifest = _with_column(manifest, name, values.take(place.combine_chunks()))
    return manifest


def _limits(segments: Sequence[tuple[str, float | None, float | None, int]]) -> list[float | None]:
    """Where the next segment of another label begins, of (file, start, end, label): no clip must run on into it."""
    starts: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for uri, start_s, end_s, label in segments:
        if start_s is not None or end_s is not None:
            starts[uri, 1 - label].append(start_s or 0.0)
    for others in starts.values():
        others.sort()
    limits: list[float | None] = []
    for uri, start_s, end_s, label in segments:
        others = starts.get((uri, label), [])
        after = bisect_right(others, start_s or 0.0)
        is_limited = (start_s is not None or end_s is not None) and after < len(others)
        limits.append(others[after] if is_limited else None)
    return limits
