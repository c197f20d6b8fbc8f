"""The client of object stores: s3fs, with its ways of waiting, repeating and reading set for long runs.

Conventions
-----------
botocore repeats what fails for some seconds (``AWS_MAX_ATTEMPTS`` and ``AWS_RETRY_MODE`` overrule what is set here);
an outage is borne for two minutes, if the server has ever answered: a wrong address is told soon. s3fs repeats nothing,
so that the waits do not multiply. No request waits for ever. An object is read with one request (one for
every `PART_BYTES`), and what is read is all of it, of one version, or an error.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from time import monotonic
from typing import Any
from uuid import uuid4

from aiohttp import ClientError as ConnectionFault
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    HTTPClientError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NoConnection
from fsspec.asyn import sync
from s3fs import S3FileSystem

__all__ = ["PART_BYTES", "Bucket", "bucket_options"]

PART_BYTES = 50 * 2**20
"""Larger objects are read in parts of so many bytes, several at a time."""

_ATTEMPTS = 5
_CONNECT_WITHIN_S = 5
_ANSWER_WITHIN_S = 30
_LONGEST_S = 600.0
_PATIENCE_S = 120.0
_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0
_TURNS = 5
_WRITER = "gunshot-writer"
_IS_THERE = {"PreconditionFailed", "412", "ConditionalRequestConflict"}

_HAVE_ANSWERED: set[str] = set()
"""Addresses of servers that this process has had an answer from."""


def bucket_options() -> dict[str, Any]:
    """How a `Bucket` is opened in this process, by its environment.

    Returns
    -------
    dict
        Keyword arguments.
    """
    # botocore is for hiccups: five attempts take about 7 s. It cannot be told to bear an outage: "standard" has a
    # quota, which sixteen requests at a time used up within 24 s, though each had ten attempts; the waits of "legacy"
    # double without end; "adaptive" holds back all requests where one place in the bucket is busy.
    retries: dict[str, Any] = {}
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        retries["total_max_attempts"] = _ATTEMPTS
    if "AWS_RETRY_MODE" not in os.environ:
        retries["mode"] = "standard"
    config = {"connect_timeout": _CONNECT_WITHIN_S, "read_timeout": _ANSWER_WITHIN_S, "retries": retries}
    # listings are not cached: s3fs would keep them without limit and show a growing archive as it was
    return {"use_listings_cache": False, "config_kwargs": config}


class Bucket(S3FileSystem):  # type: ignore[misc]
    """All buckets of one object store."""

    retries = 1

    async def set_session(self, *args: Any, **more: Any) -> Any:
        """The client, which is opened if need be, and asks for no leave before it sends a body.

        Parameters
        ----------
        *args, **more : object
            As s3fs takes them.

        Returns
        -------
        object
            The client.
        """
        before = self._s3
        client = await super().set_session(*args, **more)
        if client is not before:
            # the HTTP client has no time limit for a server's "100 Continue": one that fell silent was waited for
            # for ever; and the leave costs a round trip for each object
            client.meta.events.register_last("before-call.s3", _send_at_once)
        return client

    _connect = set_session

    @property
    def _address(self) -> str:
        return "" if self._s3 is None else str(self._s3.meta.endpoint_url)

    async def _call_s3(self, method: str, *args: Any, **more: Any) -> Any:
        began, turn = monotonic(), 0
        while True:
            try:
                # a connection that takes no more bytes has no time limit of its own
                async with asyncio.timeout(_LONGEST_S):
                    answer = await super()._call_s3(method, *args, **more)
            except Exception as error:
                is_there = isinstance(error, (OSError, ConnectionFault)) or self._address in _HAVE_ANSWERED
                if not (_may_pass(error) and is_there and monotonic() - began < _PATIENCE_S):
                    raise
            else:
                _HAVE_ANSWERED.add(self._address)
                return answer
            await asyncio.sleep(random.random() * min(_WAIT_S * 2**turn, _LONGEST_WAIT_S))  # noqa: S311
            turn += 1

    def pages(self, path: str) -> Iterator[list[tuple[str, int, str]]]:
        """All objects below a prefix, a page of a thousand at a time: memory does not grow with their number.

        Parameters
        ----------
        path : str
            Bucket and prefix, without a slash at the end.

        Yields
        ------
        list of (str, int, str)
            Bucket and key, size [bytes] and etag; in the server's order.
        """
        bucket, _, key = path.partition("/")
        more: dict[str, Any] = {"Prefix": f"{key}/"} if key else {}
        while True:
            answer = sync(self.loop, self._call_s3, "list_objects_v2", Bucket=bucket, **more)
            found = answer.get("Contents", [])
            yield [(f"{bucket}/{each['Key']}", int(each["Size"]), str(each["ETag"]).strip('"')) for each in found]
            if not answer.get("IsTruncated"):
                return
            more["ContinuationToken"] = answer["NextContinuationToken"]

    async def _cat_file(
        self, path: str, version_id: Any = None, start: Any = None, end: Any = None, **more: Any
    ) -> Any:
        if start is not None or end is not None:
            return await super()._cat_file(path, version_id, start, end, **more)
        bucket, key, _ = self.split_path(path)
        try:
            first, content = await self._read_part(Bucket=bucket, Key=key, Range=f"bytes=0-{PART_BYTES - 1}")
        except OSError as error:
            if _code(error) == "InvalidRange":  # an empty object has no first byte
                return b""
            raise
        size = int(first.get("ContentRange", f"/{len(content)}").rpartition("/")[2])
        # the parts must be of one version
        rest = [
            self._read_part(Bucket=bucket, Key=key, Range=f"bytes={at}-{at + PART_BYTES - 1}", IfMatch=first["ETag"])
            for at in range(PART_BYTES, size, PART_BYTES)
        ]
        content = b"".join([content, *(part for _, part in await asyncio.gather(*rest))]) if rest else content
        if len(content) != size:
            raise OSError(f"{len(content)} of {size} bytes came")
        return content

    async def _read_part(self, **request: Any) -> tuple[dict[str, Any], bytes]:
        """One answer with its body, which botocore does not ask for again when it breaks off."""
        turn = 0
        while True:
            answer = await self._call_s3("get_object", **request)
            try:
                async with answer["Body"] as body:
                    return answer, bytes(await body.read())
            except (BotoCoreError, ConnectionFault):
                turn += 1
                if turn == _TURNS:
                    raise
            await asyncio.sleep(random.random() * _WAIT_S * 2**turn)  # noqa: S311

    async def _pipe_file(self, path: str, data: bytes, *args: Any, mode: str = "overwrite", **more: Any) -> Any:
        if mode != "create":
            return await super()._pipe_file(path, data, *args, mode=mode, **more)
        # a request whose answer was lost is made again, and then meets what it has itself written: hence the mark
        mark = {_WRITER: uuid4().hex}
        try:
            return await super()._pipe_file(path, data, *args, mode=mode, Metadata=mark, **more)
        except OSError as error:
            # not every server says which condition has failed, by which s3fs knows it
            if not isinstance(error, FileExistsError) and _code(error) not in _IS_THERE:
                raise
            if await self._mark_of(path) == mark[_WRITER]:
                return None
            raise FileExistsError(path) from error

    async def _mark_of(self, path: str) -> str | None:
        bucket, key, _ = self.split_path(path)
        try:
            head = await self._call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:  # removed since
            return None
        found: str | None = head.get("Metadata", {}).get(_WRITER)
        return found


def _may_pass(error: Exception) -> bool:
    """Whether a request that failed may be answered later: nobody was there, or a server said that it cannot now."""
    if isinstance(error, OSError) and isinstance(error.__cause__, ClientError):
        status = int(error.__cause__.response["ResponseMetadata"].get("HTTPStatusCode", 0))
        return status in {429, 500, 502, 503, 504} or _code(error) == "RequestTimeout"
    return isinstance(error, (NoConnection, HTTPClientError, ConnectionFault)) and not isinstance(error, SSLError)


def _send_at_once(params: dict[str, Any], **_: Any) -> None:
    params["headers"].pop("Expect", None)


def _code(error: OSError) -> str:
    """What the store calls an error that s3fs has put in other words."""
    cause = error.__cause__
    return str(cause.response["Error"].get("Code", "")) if isinstance(cause, ClientError) else ""
