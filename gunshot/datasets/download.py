"""Download of one archive over HTTP, with resume.

Conventions
-----------
Sizes are bytes. What arrives goes to ``<archive>.part``; what its server said of it lies in
``<archive>.part.json``. A part left by a killed process is built upon: the rest is asked for only if the
object is still the one that the part was cut from (RFC 9110, sections 13.1.5, If-Range, and 14, Range); a
server that ignores Range, or whose object changed, gives the whole again. Waits between attempts are drawn
uniformly below an exponential bound ("full jitter", Brooker 2015, "Exponential Backoff and Jitter").
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np

from gunshot.datasets.unpack import require_space
from gunshot.errors import DatasetError, ParameterError
from gunshot.progress import steps

__all__ = ["Job", "Retry", "download", "resumable_bytes"]

_LOG = logging.getLogger(__name__)
_TRANSIENT_STATUSES = {408, 425, 429, 500, 502, 503, 504}
_TRANSIENT_ERRORS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
_TIMEOUT = httpx.Timeout(60.0, connect=30.0)
_MAX_WAIT_S = 60.0
# an attempt that got this far was no failure of the network: the count of attempts starts again
_GOOD_PROGRESS_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How patient a download is with transient errors.

    Attributes
    ----------
    attempts : int
        Attempts without real progress before it gives up, in [1, inf).
    backoff_s : float
        Bound of the first wait, doubled each time up to 60 s [s].
    """

    attempts: int = 6
    backoff_s: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.attempts < 1 or self.backoff_s < 0:
            raise ParameterError(
                f"attempts must be at least 1 and backoff_s at least 0; got {self.attempts} and "
                f"{self.backoff_s}; leave them at their defaults"
            )


class _TransientError(Exception):
    """Worth another attempt; carries how long the server asked to wait [s]."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class _Note:
    """What the server said of the object that a part was cut from."""

    url: str
    validator: str | None
    total_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One archive to download.

    Attributes
    ----------
    url : str
        Its address.
    archive : Path
        Where it will lie, once whole and verified; the part lies beside it.
    homepage : str
        Where a person can fetch it by hand, for messages.
    size_bytes : int or None
        What it must measure [bytes], where that is known.
    is_verifiable : bool
        Whether a checksum will tell at the end if the bytes are right.
    """

    url: str
    archive: Path
    homepage: str
    size_bytes: int | None
    is_verifiable: bool

    @property
    def part(self) -> Path:
        """Where the bytes go."""
        return self.archive.with_name(self.archive.name + ".part")

    @property
    def note(self) -> Path:
        """Where it is written what the part was cut from."""
        return self.archive.with_name(self.archive.name + ".part.json")

    def discard(self) -> None:
        """Forget the part; the next attempt begins at the first byte."""
        self.note.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def read_note(self) -> _Note | None:
        """Return the note, None where there is none or it was cut off while it was written."""
        try:
            note = _Note(**json.loads(self.note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return note if note.url == self.url else None


def _resumable(job: Job) -> tuple[int, _Note | None]:
    """Bytes of the part that may be built upon, and the note of where they came from."""
    note = job.read_note()
    # without a validator only the checksum at the end can tell a mixture of two objects
    if note is None or (note.validator is None and not job.is_verifiable) or not job.part.is_file():
        return 0, None
    have_bytes = job.part.stat().st_size
    too_long = note.total_bytes is not None and have_bytes > note.total_bytes
    return (0, None) if too_long or have_bytes == 0 else (have_bytes, note)


def _validator(headers: httpx.Headers) -> str | None:
    """Return what If-Range may carry: a strong ETag, else the date of the last change (RFC 9110, 13.1.5)."""
    etag: str | None = headers.get("ETag")
    changed: str | None = headers.get("Last-Modified")
    return etag if etag is not None and etag.startswith('"') else changed


def _announced_bytes(response: httpx.Response) -> tuple[int, int | None]:
    """First byte of the body, and the size of the whole object where the server states it."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found is None:
            return -1, None
        return int(found.group(1)), None if found.group(2) == "*" else int(found.group(2))
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _check_status(job: Job, response: httpx.Response) -> None:
    status = response.status_code
    if job.url.startswith("https:") and response.url.scheme != "https":
        raise DatasetError(f"{job.url} must not lead away from https; got {response.url}; see {job.homepage}")
    if status in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
        return
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        job.discard()
        raise _TransientError("the server has no such range: the object changed")
    said = f"HTTP {status} {response.reason_phrase}".strip()
    if status in _TRANSIENT_STATUSES:
        wait = response.headers.get("Retry-After", "")
        raise _TransientError(said, float(wait) if wait.isdigit() else 0.0)
    raise DatasetError(
        f"{job.url} must answer with the archive; got {said}; download it by hand from {job.homepage}, "
        f"put it at {job.archive} and run the fetch again"
    )


def _is_other(response: httpx.Response, total_bytes: int | None, note: _Note) -> bool:
    """Whether a partial answer shows that it is cut from another object than the part."""
    now = _validator(response.headers)
    return (now is not None and now != note.validator) or (
        total_bytes is not None and note.total_bytes is not None and total_bytes != note.total_bytes
    )


def _begin(job: Job, response: httpx.Response, have_bytes: int, note: _Note | None) -> tuple[int, int | None]:
    """Decide where the body belongs; a changed object discards the part."""
    _check_status(job, response)
    start_bytes, total_bytes = _announced_bytes(response)
    is_partial = response.status_code == httpx.codes.PARTIAL_CONTENT
    if is_partial and (start_bytes != have_bytes or note is None or _is_other(response, total_bytes, note)):
        job.discard()
        raise _TransientError("the server sent another range or another object")
    wanted_bytes = job.size_bytes
    if total_bytes is not None and wanted_bytes is not None and total_bytes != wanted_bytes:
        job.discard()
        raise DatasetError(
            f"{job.url} must be {wanted_bytes} bytes; got {total_bytes}; the provider changed the file: "
            f"see {job.homepage}"
        )
    if total_bytes is not None:
        require_space(job.archive.parent, total_bytes - start_bytes, f"downloading {job.archive.name}")
    return start_bytes, total_bytes if total_bytes is not None else wanted_bytes


def _save(job: Job, response: httpx.Response, start_bytes: int, total_bytes: int | None) -> None:
    """Append the body to the part; what arrived before a cut stays there."""
    done_bytes = start_bytes
    with job.part.open("ab" if start_bytes else "wb") as file:
        if not start_bytes:
            # after the truncation: a note never describes the bytes of an older object
            note = _Note(job.url, _validator(response.headers), total_bytes)
            job.note.write_text(json.dumps(asdict(note)), encoding="utf-8")
        rest_bytes = None if total_bytes is None else total_bytes - start_bytes
        for block in steps(response.iter_raw(), "fetch", "bytes", rest_bytes, len):
            done_bytes += len(block)
            if total_bytes is not None and done_bytes > total_bytes:
                break
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if total_bytes is not None and done_bytes > total_bytes:
        job.discard()
        raise DatasetError(
            f"{job.url} must be {total_bytes} bytes; got more; the provider changed the file: see {job.homepage}"
        )
    if total_bytes is not None and done_bytes < total_bytes:
        raise _TransientError(f"the connection ended after {done_bytes} of {total_bytes} bytes")


def _transfer(client: httpx.Client, job: Job) -> None:
    """One attempt to make the part whole."""
    have_bytes, note = _resumable(job)
    if note is not None and have_bytes == note.total_bytes:
        return
    headers = {"Accept-Encoding": "identity"}
    if note is not None:
        headers["Range"] = f"bytes={have_bytes}-"
        if note.validator is not None:
            headers["If-Range"] = note.validator
    try:
        with client.stream("GET", job.url, headers=headers) as response:
            start_bytes, total_bytes = _begin(job, response, have_bytes, note)
            _save(job, response, start_bytes, total_bytes)
    except _TRANSIENT_ERRORS as error:
        raise _TransientError(f"{type(error).__name__}: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DatasetError(f"cannot fetch {job.url}: {error}; check the address and the proxy settings") from error


def resumable_bytes(job: Job) -> int:
    """Bytes of an earlier attempt that the next one will build upon.

    Parameters
    ----------
    job : Job
        The download.

    Returns
    -------
    int
        Size of the part where it may be built upon, else 0 [bytes].
    """
    return _resumable(job)[0]


def download(job: Job, retry: Retry, rng: np.random.Generator) -> None:
    """Download until the part is whole; real progress between two errors starts the count of attempts again.

    Parameters
    ----------
    job : Job
        The download.
    retry : Retry
        Patience with transient errors: time-outs, cut connections, HTTP 408, 425, 429, 500, 502, 503 and 504.
    rng : numpy.random.Generator
        Draws the waits between attempts.

    Raises
    ------
    DatasetError
        If the address answers otherwise, announces another size, stays unreachable, or the disk is full. The
        part is kept, unless it is wrong.
    """
    headers = {"User-Agent": "gunshot-datasets"}
    try:
        client = httpx.Client(follow_redirects=True, timeout=_TIMEOUT, headers=headers)
    except (ValueError, ImportError) as error:
        raise DatasetError(
            f"the proxy settings must be ones that httpx takes; got: {error}; correct HTTPS_PROXY, ALL_PROXY"
        ) from error
    with client:
        _attempts(client, job, retry, rng)


def _attempts(client: httpx.Client, job: Job, retry: Retry, rng: np.random.Generator) -> None:
    failures = 0
    reached_bytes = 0
    while True:
        try:
            _transfer(client, job)
            return
        except _TransientError as error:
            have_bytes = resumable_bytes(job)
            failures = 1 if have_bytes >= reached_bytes + _GOOD_PROGRESS_BYTES else failures + 1
            reached_bytes = max(reached_bytes, have_bytes)
            if failures >= retry.attempts:
                raise DatasetError(
                    f"{job.url} must be reachable; got, {failures} times: {error}; run the fetch again "
                    f"later, it goes on after the {have_bytes} bytes it has"
                ) from error
            bound_s = min(_MAX_WAIT_S, retry.backoff_s * 2.0 ** (failures - 1))
            wait_s = max(float(rng.uniform(0.0, bound_s)), min(error.wait_s, _MAX_WAIT_S))
            _LOG.info("attempt %d of %s failed (%s); again in %.1f s", failures, job.url, error, wait_s)
            time.sleep(wait_s)
