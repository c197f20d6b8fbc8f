"""What is odd about where a file is, what it is called, or when it is there."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.zoo.build import DURATION_S, chunk, fmt, riff, sound, wav
from tests.zoo.kinds import Kind, Make, content

_good = content(lambda rng: wav(sound(rng)))


def _named(name: str, file: str, made: str) -> Kind:
    return Kind(name=name, file=file, made=made, make=_good, read_s=DURATION_S)


def _bytes_named(path: Path, rng: np.random.Generator) -> None:
    """The row shows the byte that is not UTF-8 by its hexadecimal digits."""
    _good(path.with_name(os.fsdecode(b"caf\xe9.wav")), rng)


NAMES = (
    _named("spaces in the name", "  two  words .wav", "spaces, also at both ends of the stem"),
    _named("line feed in the name", "line\nfeed.wav", "a line feed"),
    _named("quotes in the name", "q\"uo'te`s.wav", "quotes of three kinds"),
    _named("Unicode, composed", unicodedata.normalize("NFC", "Vögel é.wav"), "letters with marks, as one (NFC)"),
    _named("Unicode, decomposed", unicodedata.normalize("NFD", "Vögel é.wav"), "letters and marks, apart (NFD)"),
    _named("emoji in the name", "🔫 shot 👨‍👩‍👧.wav", "emoji, also joined ones"),
    _named("right to left", "\u202eصوت.wav", "Arabic, with a mark that turns the direction"),
    _named("leading dash", "-rf.wav", "what a shell would take for an option"),
    _named("250 characters", "n" * 246 + ".wav", "a name of 250 characters"),
    _named("characters of globs", "site [1] *?.wav", "brackets, a star, a question mark"),
    _named("characters of URLs", "50%20#a?b=c&d.wav", "percent sign, hash, question mark"),
    _named("backslash in the name", "a\\b.wav", "a backslash"),
    _named("formula as a name", "=1+1.wav", "what a spreadsheet would run"),
    _named("two endings", "a.flac.wav", "the last ending counts"),
    Kind(
        name="name that is not UTF-8", file="caf\\xe9.wav", made="the byte E9, é in Latin-1; shown as \\xe9",
        make=_bytes_named, state="unreadable", reason="No such file", decided="header",
    ),
)  # fmt: skip


def _link(target: str, beside: Make | None = None) -> Make:
    """A link, and what it leads to: hidden, so that the link alone is listed."""

    def make(path: Path, rng: np.random.Generator) -> None:
        path.symlink_to(target)
        if beside:
            beside(path.with_name(target), rng)

    return make


def _in_linked_folder(path: Path, rng: np.random.Generator) -> None:
    folder = path.parent
    hidden = folder.with_name(".real")
    hidden.mkdir()
    folder.rmdir()
    folder.symlink_to(hidden.name)
    _good(path, rng)


def _in_folder_with_loop(path: Path, rng: np.random.Generator) -> None:
    _good(path, rng)
    (path.parent / "back").symlink_to("..")
    (path.parent / "itself").symlink_to("itself")


def _fifo(path: Path, _: np.random.Generator) -> None:
    os.mkfifo(path)


def _folder(path: Path, _: np.random.Generator) -> None:
    path.mkdir()


def _closed_folder(path: Path, rng: np.random.Generator) -> None:
    path.mkdir()
    _good(path / "a.wav", rng)
    path.chmod(0)


def _closed_file(path: Path, rng: np.random.Generator) -> None:
    _good(path, rng)
    path.chmod(0)


def _folder_of_names(path: Path, rng: np.random.Generator) -> None:
    _good(path, rng)
    path.parent.chmod(0o444)


def _special(name: str, file: str, made: str, make: Make, state: str = "ok", reason: str = "", **more: object) -> Kind:
    decided = "listing" if state == "not listed" else "samples" if state == "ok" else "header"
    return Kind(name=name, file=file, made=made, make=make, state=state, reason=reason, decided=decided, **more)


SPECIAL = (
    _special("link to a recording", "a.wav", "a symbolic link", _link(".a.wav", _good), read_s=DURATION_S),
    _special("link to nothing", "a.wav", "its target is gone", _link("gone"), "unreadable", "No such file"),
    _special("link to itself", "a.wav", "a loop of one", _link("a.wav"), "unreadable", "Too many levels"),
    _special("link to a device", "a.wav", "/dev/zero", _link("/dev/zero"), "unreadable", "not a regular file"),
    _special("folder behind a link", "linked/a.wav", "a recording in it", _in_linked_folder, read_s=DURATION_S),
    _special("links that lead back", "site/a.wav", "links to the folder above and to themselves beside a recording",
             _in_folder_with_loop, read_s=DURATION_S),
    _special("pipe", "a.wav", "a FIFO; it is not opened", _fifo, "unreadable", "not a regular file"),
    _special("folder named WAV", "a.wav", "with nothing in it", _folder, "unreadable", "not a regular file"),
    _special("recording in a folder named WAV", "b.wav/a.wav", "the folder is no row, what is in it is", _good,
             read_s=DURATION_S),
    _special("AppleDouble file", "._a.wav", "what macOS leaves beside each file",
             content(lambda _: b"\0\5\x16\7" * 1000), "not listed"),
    _special("hidden recording", ".a.wav", "a good WAV", _good, "not listed"),
    _special("recording in a hidden folder", ".trash/a.wav", "a good WAV", _good, "not listed"),
    _special("other ending", "a.wav.part", "a good WAV; folders are searched by ending", _good, "not listed"),
    _special("no ending", "recording", "a good WAV; folders are searched by ending", _good, "not listed"),
    _special("file without read permission", "a.wav", "a good WAV, mode 000", _closed_file, "unreadable",
             "Permission denied", for_user=True),
    _special("folder without read permission", "site", "a good WAV in a folder of mode 000; the folder is the row",
             _closed_folder, "unreadable", "not a regular file", for_user=True),
    _special("folder that shows names only", "site/a.wav", "a good WAV in a folder of mode 444", _folder_of_names,
             "unreadable", "Permission denied", for_user=True),
)  # fmt: skip


def _later(name: str, made: str, later: Callable[[Path], object], **expected: object) -> Kind:
    return Kind(name=name, file="a.wav", made=made, make=_good, later=lambda p: later(p) and None, **expected)


def _to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGING = (
    _later("truncated after listing", "a good WAV, cut to 10,044 bytes before it is decoded",
           lambda path: os.truncate(path, 10_044), state="short", reason="truncated: 14000 bytes", read_s=5 / 12),
    _later("emptied after listing", "cut to no bytes", lambda path: os.truncate(path, 0),
           state="empty", reason="0 bytes"),
    _later("removed after listing", "deleted", lambda path: path.unlink(), state="unreadable", reason="No such file"),
    _later("replaced after listing", "text is written in its place", lambda path: path.write_text("no sound"),
           state="unreadable", reason="no decoder takes it"),
    _later("a pipe after listing", "a FIFO is put in its place", _to_pipe, state="unreadable",
           reason="not a regular file"),
    _later("grown after listing", "a second of sound comes behind what the header declares",
           lambda path: path.write_bytes(path.read_bytes() + bytes(24_000)), read_s=DURATION_S),
)  # fmt: skip


def _sparse(n_bytes: int) -> Make:
    """Zeros that take no room: 24 channels of 32-bit floats at 48 kHz."""

    def make(path: Path, _: np.random.Generator) -> None:
        sizes = n_bytes.to_bytes(8, "little")
        ds64 = chunk(b"ds64", sizes + sizes + (n_bytes // 96).to_bytes(8, "little") + bytes(4))
        head = riff(ds64, fmt(48_000, 24, 32, 3), chunk(b"data", b"", 0xFFFFFFFF), name=b"RF64", declared=0xFFFFFFFF)
        with path.open("wb") as file:
            file.write(head)
            file.truncate(len(head) + n_bytes)

    return make


LONG = (
    Kind(
        name="RF64 of 5 GB", file="a.wav", made="18 minutes of zeros in 24 channels of floats, in a file of holes",
        make=_sparse(96 * 52_000_000), state="silent", reason="only digital zeros", read_s=52e6 / 48_000,
    ),
)  # fmt: skip
