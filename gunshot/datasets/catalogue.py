"""Public data sets that this project can fetch: where they lie, how big they are, under which licence.

Conventions
-----------
Sizes are bytes. An address and a checksum are entered only with the public source they were read from, named
in a comment. ``checksum`` None means that the provider promises none: the first fetch records the SHA-256 it
saw, and a later fetch must see the same. Addresses on GitHub name a commit, never a branch.

Not in the catalogue, though named by the literature: the plastic-bag pops of Singh, Zhuang and Pawani
(Sensors 2021, 21, 7320) and the gunshots of NIJ 2016-DN-BX-0183 (cadreforensics.com/audio). For the first no
stable public address was found; the second asks each user to accept its terms on its own page, and publishes
no checksums. Both are read like any other folder of recordings once they are on disk. FSD50K is split into
archives that continue each other, which the standard library cannot join.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from gunshot.datasets.labels import LabelRow
from gunshot.datasets.layouts import esc50_rows, live_fire_rows, rare_event_rows, urbansound8k_rows
from gunshot.datasets.unpack import ArchiveKind
from gunshot.errors import ParameterError

__all__ = ["CATALOGUE", "Checksum", "Dataset", "available", "describe", "find_dataset"]

_HEX_DIGITS = {"md5": 32, "sha256": 64}


@dataclass(frozen=True, slots=True)
class Checksum:
    """What an archive must hash to.

    Attributes
    ----------
    algorithm : {"md5", "sha256"}
        The hash that the provider (or whoever verified the archive) published.
    hexdigest : str
        Lower-case hexadecimal, 32 or 64 digits.
    """

    algorithm: Literal["md5", "sha256"]
    hexdigest: str

    def __post_init__(self) -> None:
        """Check the form of the digest."""
        n_digits = _HEX_DIGITS.get(self.algorithm, 0)
        if not re.fullmatch(rf"[0-9a-f]{{{n_digits}}}", self.hexdigest) or not n_digits:
            raise ParameterError(
                f"hexdigest must be {n_digits} lower-case hexadecimal digits for {self.algorithm}; "
                f"got {self.hexdigest!r}; copy it from the provider's page"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One public data set, as the catalogue knows it.

    Attributes
    ----------
    name : str
        What the command line calls it, and its folder below ``--out``.
    title : str
        What its authors call it.
    holds : str
        What is in it, in one sentence.
    licence : str
        Licence of the whole; single sounds may be freer, which their rows then say.
    is_non_commercial : bool
        Whether the licence forbids commercial use, and thus shipping weights trained on it.
    citation : str
        What its authors ask to cite.
    homepage : str
        Where a person reads more, and can fetch the archive by hand.
    url : str
        Address of the archive, https.
    filename : str
        Name of the archive on disk.
    kind : {"zip", "tar"}
        How it is packed.
    size_bytes : int or None
        Size of the archive [bytes]; None where the provider packs it on demand and states none.
    checksum : Checksum or None
        None where the provider promises none.
    rows : callable
        The layout: ``(folder, licence) -> iterator of LabelRow``.
    """

    name: str
    title: str
    holds: str
    licence: str
    is_non_commercial: bool
    citation: str
    homepage: str
    url: str
    filename: str
    kind: ArchiveKind
    size_bytes: int | None
    checksum: Checksum | None
    rows: Callable[[Path, str], Iterator[LabelRow]]

    def __post_init__(self) -> None:
        """Check what would else become a wrong path or an unsafe download."""
        for field, value in (("name", self.name), ("filename", self.filename)):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value):
                raise ParameterError(f"{field} must be a plain file name; got {value!r}; use letters, digits, . _ -")
        for field, value in (("url", self.url), ("homepage", self.homepage)):
            if urlsplit(value).scheme != "https":
                raise ParameterError(f"{field} must be an https address; got {value!r}; look for the encrypted one")
        if self.size_bytes is not None and self.size_bytes <= 0:
            raise ParameterError(f"size_bytes must be positive or None; got {self.size_bytes}; look it up")


CATALOGUE: tuple[Dataset, ...] = (
    Dataset(
        name="esc50",
        title="ESC-50: Dataset for Environmental Sound Classification",
        holds="2,000 everyday sounds of 5 s in 50 classes, no gunshots: negatives, among them fireworks, "
        "door knocks, thunder and breaking glass",
        licence="CC BY-NC 3.0",
        is_non_commercial=True,
        citation="K. J. Piczak. ESC: Dataset for Environmental Sound Classification. Proceedings of the 23rd "
        "ACM Conference on Multimedia, 2015. doi:10.1145/2733373.2806390",
        homepage="https://github.com/karolpiczak/ESC-50",
        # GitHub packs this archive on demand and has kept such bytes stable, without a promise. Two public
        # downloaders pin the archive of this commit: one with the size and this SHA-256, one with the MD5
        # 071b44018315e034b2c6e8064543d19c. (soundata, soundata/datasets/esc50.py, pins the moving master
        # branch.)
        url="https://github.com/karolpiczak/ESC-50/archive/33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6.zip",
        filename="ESC-50-33c8ce9.zip",
        kind="zip",
        size_bytes=645_832_161,
        checksum=Checksum("sha256", "661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f"),
        rows=esc50_rows,
    ),
    Dataset(
        name="urbansound8k",
        title="UrbanSound8K 1.0",
        holds="8,732 street sounds of up to 4 s in 10 classes, 374 of them gunshots; dogs, drills, "
        "jackhammers, sirens, children and more as negatives",
        licence="CC BY-NC 3.0",
        is_non_commercial=True,
        citation="J. Salamon, C. Jacoby and J. P. Bello. A Dataset and Taxonomy for Urban Sound Research. "
        "22nd ACM International Conference on Multimedia, 2014. doi:10.1145/2647868.2655045",
        homepage="https://zenodo.org/records/1203745",
        # Address and MD5: soundata, soundata/datasets/urbansound8k.py; PaddleSpeech's loader has the same
        # MD5. Size: four public downloaders of this record state it. Licence: the set's own README (the
        # record's page says BY-NC 4.0; the text inside the archive binds).
        url="https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz?download=1",
        filename="UrbanSound8K.tar.gz",
        kind="tar",
        size_bytes=6_023_741_708,
        checksum=Checksum("md5", "9aa69802bbf37fb986f71ec1483a196e"),
        rows=urbansound8k_rows,
    ),
    Dataset(
        name="tut-rare-2017",
        title="TUT Rare Sound Events 2017, development set: source events",
        holds="187 gunshots, 139 breaking glasses and 148 crying babies, annotated to 0.1 s in recordings "
        "from Freesound",
        licence="per file (CC0, CC BY, CC BY-NC, Sampling Plus)",
        is_non_commercial=True,
        citation="A. Diment, A. Mesaros, T. Heittola and T. Virtanen. TUT Rare sound events, Development "
        "dataset, 2017. doi:10.5281/zenodo.401395",
        homepage="https://zenodo.org/records/401395",
        # Address: the DCASE 2017 baseline system's list of packages (record 401395). Size and MD5:
        # dcase_util, dcase_util/datasets/tut.py, for the file of this name on the authors' own server. Counts
        # of events and layout: README.md of the set.
        url="https://zenodo.org/records/401395/files/"
        "TUT-rare-sound-events-2017-development.source_data_events.zip?download=1",
        filename="TUT-rare-sound-events-2017-development.source_data_events.zip",
        kind="zip",
        size_bytes=639_119_477,
        checksum=Checksum("md5", "dc4b7eb77078b4cf1b670c6362679473"),
        rows=rare_event_rows,
    ),
    Dataset(
        name="live-fire",
        title="ShotSpotter Sample Live Fire Test Data (Tech Note 098)",
        holds="handgun shots (9 mm, .40, .45) at nine positions in a city, heard by up to six street sensors "
        "each, with arrival times; street background of the same sensors as negatives",
        licence="CC BY 4.0",
        is_non_commercial=False,
        citation="ShotSpotter, Inc. Precision and accuracy of acoustic gunshot location in an urban "
        "environment. Tech Note 098, 2021. doi:10.21227/a4vg-7e81",
        homepage="https://github.com/ShotSpotter/research.accuracy-of-gunshot-location",
        # Commit: read from a public index of the repository's files; it corrected the sensor heights in the
        # position added first as in the one added last, so it holds all nine. GitHub packs the archive on
        # demand, states no size beforehand and no checksum, and no public downloader that pins one was found:
        # the first fetch records what it saw. Licence and layout: README.md of the set, 29 July 2021.
        url="https://github.com/ShotSpotter/research.accuracy-of-gunshot-location/archive/"
        "b0dc2840cf61c3c532756c01d49f636725c2b9ff.zip",
        filename="live-fire-b0dc284.zip",
        kind="zip",
        size_bytes=None,
        checksum=None,
        rows=live_fire_rows,
    ),
)


def available() -> tuple[Dataset, ...]:
    """Return the sets that can be fetched.

    Returns
    -------
    tuple of Dataset
        In the order of the catalogue.

    Examples
    --------
    >>> [dataset.name for dataset in available()]
    ['esc50', 'urbansound8k', 'tut-rare-2017', 'live-fire']
    """
    return CATALOGUE


def find_dataset(name: str, catalogue: Sequence[Dataset] = CATALOGUE) -> Dataset:
    """Find an entry of a catalogue.

    Parameters
    ----------
    name : str
        A name of the catalogue.
    catalogue : sequence of Dataset
        Where to look.

    Returns
    -------
    Dataset
        The entry.

    Raises
    ------
    ParameterError
        If there is none of this name.
    """
    for dataset in catalogue:
        if dataset.name == name:
            return dataset
    names = ", ".join(dataset.name for dataset in catalogue)
    raise ParameterError(f"name must be one of {names}; got {name!r}; see `gunshot datasets list`")


def describe(dataset: Dataset) -> str:
    """Say in a few lines what a person should know before a download.

    Parameters
    ----------
    dataset : Dataset
        An entry of the catalogue.

    Returns
    -------
    str
        Lines without an end of line at the end: name and title, size, licence, content, address, checksum,
        citation.

    Examples
    --------
    >>> print(describe(find_dataset("esc50")).splitlines()[1])
      size      645.8 MB (zip)
    """
    size = "not stated by the provider" if dataset.size_bytes is None else f"{dataset.size_bytes / 1e6:,.1f} MB"
    if dataset.checksum is None:
        checksum = "none published; the first fetch records its SHA-256 and later ones must match it"
    else:
        checksum = f"{dataset.checksum.algorithm} {dataset.checksum.hexdigest}"
    use = "no commercial use" if dataset.is_non_commercial else "commercial use allowed"
    lines = {
        "size": f"{size} ({dataset.kind})",
        "licence": f"{dataset.licence}; {use}",
        "holds": dataset.holds,
        "from": dataset.homepage,
        "checksum": checksum,
        "cite": dataset.citation,
    }
    return "\n".join([f"{dataset.name}: {dataset.title}", *(f"  {key:<9} {text}" for key, text in lines.items())])
