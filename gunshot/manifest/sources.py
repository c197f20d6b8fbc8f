"""From folders, label tables and buckets to a manifest.

Conventions
-----------
A folder or prefix with a ``labels.csv`` in it is read by that table; without one, folders named by class give the
label. Each
file's header is read once, by a few threads; a file that cannot be used stays as a row with its state and reason.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from gunshot.audio.decode import Recording
from gunshot.audio.probe import AUDIO_SUFFIXES
from gunshot.errors import AudioError, ManifestError, StorageError, TransientStorageError
from gunshot.manifest.labels import LabelRow, read_labels
from gunshot.manifest.names import is_gunshot_folder, name_facts
from gunshot.manifest.table import manifest_of
from gunshot.storage import FileInfo, exists, is_remote, join, list_files, stat

__all__ = ["build_manifest"]

_PROBE_THREADS = 8
_MOST_NAMED = 3

Row = dict[str, Any]
Progress = Callable[[int, int], None]


def build_manifest(inputs: Sequence[str], *, labels: str | None = None, progress: Progress | None = None) -> pa.Table:
    """Make a manifest of what the user names.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, globs or prefixes. With `labels` and no input, the table's own paths say where the files are.
    labels : str, optional
        A label table; its paths are relative to the first input, or to the table where no input is given.
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
    rows: list[Row] = []
    if labels is not None:
        rows += _labelled_rows(labels, inputs[0] if inputs else _folder_of(labels))
    else:
        if not inputs:
            raise ManifestError("nothing to read: give a folder, file, glob or s3:// prefix, or --labels CSV")
        in_folders: list[Row] = []
        for uri in (given.removeprefix("file://") for given in inputs):
            table = join(uri, "labels.csv")
            if exists(table):
                rows += _labelled_rows(table, uri)
            else:
                in_folders += _folder_rows(uri)
        rows += in_folders
        if not any(row["label"] == 1 for row in rows):
            # without a single folder named as gunshots the folders name no classes: nobody said what is what
            for row in in_folders:
                row["label"] = None
    _probe_all(rows, progress)
    _set_limits(rows)
    rows.sort(key=lambda row: (row["path"], row["start_s"] or 0.0))
    return manifest_of(rows)


def _folder_of(uri: str) -> str:
    return uri.rpartition("/")[0] or ("/" if uri.startswith("/") else ".")


def _row(path: str, info: FileInfo, **values: Any) -> Row:
    row: Row = {"path": path, "uri": info.uri, "size": info.size, "etag": info.etag}
    row |= {"start_s": None, "end_s": None, "limit_s": None, "license": ""}
    return row | values


def _folder_rows(uri: str) -> list[Row]:
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
    rows = []
    for info in files:
        name = PurePosixPath(info.uri)
        below = name.relative_to(root)
        sound = below.parts[0] if len(below.parts) > 1 else source
        facts = name_facts(name.stem)
        label = int(any(is_gunshot_folder(folder) for folder in below.parts[:-1]))
        rows.append(
            _row(
                str(below),
                info,
                label=label,
                sound=sound,
                source=source,
                group=facts.group,
                device=facts.device,
            )
        )
    if is_gunshot_folder(root.name) and not any(row["label"] for row in rows):
        for row in rows:  # the input is itself the folder of one class
            row["label"] = 1
    return rows


def _labelled_rows(table: str, root: str) -> list[Row]:
    labelled = read_labels(table)
    infos = _find_files(labelled, root)
    missing = [row for row in labelled if row.path not in infos]
    if missing:
        named = ", ".join(f"line {row.line}: {row.path!r}" for row in missing[:_MOST_NAMED])
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        raise ManifestError(
            f"label table {table}: {len(missing)} of {len(labelled)} rows name files that do not exist below {root} "
            f"({named}{more}); correct the paths, or give the folder they are relative to as INPUT"
        )
    return [
        _row(
            row.path, infos[row.path], start_s=row.start_s, end_s=row.end_s, label=row.label, sound=row.sound,
            source=row.source, group=row.group, device=row.device, license=row.license,
        )
        for row in labelled
    ]  # fmt: skip


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


def _probe_all(rows: list[Row], progress: Progress | None) -> None:
    uris = sorted({row["uri"] for row in rows})
    facts: dict[str, Row] = {}
    with ThreadPoolExecutor(_PROBE_THREADS) as pool:
        for done, (uri, found) in enumerate(zip(uris, pool.map(_probe, uris), strict=True), start=1):
            facts[uri] = found
            if progress:
                progress(done, len(uris))
    for row in rows:
        row |= facts[row["uri"]]


def _set_limits(rows: list[Row]) -> None:
    """A clip must not run on into a segment with another label."""
    by_file: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["start_s"] is not None or row["end_s"] is not None:
            by_file[row["uri"]].append(row)
    for segments in by_file.values():
        starts = {
            label: sorted(row["start_s"] or 0.0 for row in segments if row["label"] != label)
            for label in {row["label"] for row in segments}
        }
        for row in segments:
            others = starts[row["label"]]
            after = bisect_right(others, row["start_s"] or 0.0)
            row["limit_s"] = others[after] if after < len(others) else None
