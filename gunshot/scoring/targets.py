"""What is to be scored: recordings as they are listed, before anything of them is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from gunshot.audio.probe import AUDIO_SUFFIXES
from gunshot.errors import ManifestError, StorageError
from gunshot.storage import list_files

__all__ = ["Target", "list_targets"]


@dataclass(frozen=True, slots=True)
class Target:
    """A recording to score.

    Attributes
    ----------
    path, uri : str
        As shown, and where it is.
    size : int
        Its size [bytes].
    etag : str
        Changes when its content does.
    """

    path: str
    uri: str
    size: int
    etag: str


def list_targets(inputs: Sequence[str]) -> tuple[Target, ...]:
    """Recordings below folders, globs or prefixes.

    Parameters
    ----------
    inputs : sequence of str
        What the user names.

    Returns
    -------
    tuple of Target
        Each recording once, by URI.

    Raises
    ------
    ManifestError
        If an input does not exist or holds no audio.
    """
    found: dict[str, Target] = {}
    for uri in inputs:
        try:
            infos = list(list_files(uri, AUDIO_SUFFIXES))
        except StorageError as error:
            raise ManifestError(str(error)) from error
        if not infos:
            raise ManifestError(
                f"no audio in {uri}: looked for files that end in {' '.join(AUDIO_SUFFIXES)}; check the address"
            )
        root = uri.rstrip("/") + "/"
        for info in infos:
            name = info.uri.removeprefix(root) if info.uri.startswith(root) else PurePosixPath(info.uri).name
            found.setdefault(info.uri, Target(name, info.uri, info.size, info.etag))
    return tuple(found[uri] for uri in sorted(found))
