"""A Prefect server as this project talks to it: plain requests, and errors in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any

import httpx

from gunshot.errors import ParameterError, RunError

__all__ = ["Server", "connect", "server_address"]

_ANSWER_S = 60.0
_PAGE = 200
_BUSY = (429, 502, 503, 504)
_PAUSES_S = (0.5, 1, 2, 4, 8, 16)


class Server:
    """The REST interface of a server.

    Parameters
    ----------
    address : str
        Such as ``http://127.0.0.1:4200/api``.
    client : httpx.Client
        Open.
    """

    def __init__(self, address: str, client: httpx.Client) -> None:
        self.address = address
        self._client = client

    def ask(self, method: str, path: str, content: Any = None, *, missing_ok: bool = False) -> Any:
        """Send a request.

        Parameters
        ----------
        method, path : str
            Such as ``POST`` and ``/deployments/filter``.
        content : object, optional
            What JSON can hold.
        missing_ok : bool
            None instead of an error where there is no such thing.

        Returns
        -------
        object
            The answer's JSON; None where it has none.

        Raises
        ------
        RunError
            If the server does not answer, or refuses.
        """
        try:
            answer = self._client.request(method, path, json=content)
            for (
                pause_s
            ) in _PAUSES_S:  # a database that is locked for a moment; what is asked for here can be asked again
                if answer.status_code not in _BUSY:
                    break
                sleep(pause_s)
                answer = self._client.request(method, path, json=content)
        except httpx.TransportError as error:
            raise RunError(f"the Prefect server at {self.address} does not answer ({error}); is it running?") from None
        if missing_ok and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_error:
            raise RunError(f"the Prefect server at {self.address} refused {method} {path}: {_why(answer)}")
        return answer.json() if answer.content else None

    def all_of(self, kind: str, asked: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Read everything of a kind, page by page.

        Parameters
        ----------
        kind : str
            Such as ``flow_runs``.
        asked : dict, optional
            The filter.

        Yields
        ------
        dict
            As the server has it.
        """
        offset = 0
        while True:
            page = self.ask("POST", f"/{kind}/filter", {**(asked or {}), "limit": _PAGE, "offset": offset})
            yield from page
            if len(page) < _PAGE:
                return
            offset += _PAGE


def _why(answer: httpx.Response) -> str:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return "it asks for a password; set PREFECT_API_AUTH_STRING"
    return f"{answer.status_code} {' '.join(answer.text.split())[:300]}"


def server_address() -> str:
    """Find the server that commands are for.

    Returns
    -------
    str
        ``PREFECT_API_URL``, or what the profile of Prefect says.

    Raises
    ------
    ParameterError
        If there is none.
    """
    address = os.environ.get("PREFECT_API_URL")
    if not address:
        from prefect.settings import PREFECT_API_URL

        address = PREFECT_API_URL.value()
    if not address:
        raise ParameterError(
            "no Prefect server: set PREFECT_API_URL, such as http://127.0.0.1:4200/api, or start one with 'gunshot up'"
        )
    return address.rstrip("/")


@contextmanager
def connect(address: str | None = None) -> Iterator[Server]:
    """Talk to a server.

    Parameters
    ----------
    address : str, optional
        Its API; `server_address` if not given.

    Yields
    ------
    Server
        As long as the block lasts.
    """
    address = address or server_address()
    password = os.environ.get("PREFECT_API_AUTH_STRING")
    auth = httpx.BasicAuth(*password.split(":", 1)) if password and ":" in password else None
    with httpx.Client(base_url=address, timeout=_ANSWER_S, auth=auth, follow_redirects=True) as client:
        yield Server(address, client)
