"""A Prefect server as this project talks to it: plain requests, and errors in one line."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Generator, Iterator
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
        return "it asks for a password; set PREFECT_API_AUTH_STRING, or use the profile of Prefect that has it"
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
    auth = _Access(address)
    with httpx.Client(base_url=address, timeout=_ANSWER_S, auth=auth, follow_redirects=True) as client:
        yield Server(address, client)


class _Access(httpx.Auth):
    """The login and the token against forged requests, each of a server that asks for it."""

    requires_response_body = True

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = str(uuid.uuid4())
        self._login = os.environ.get("PREFECT_API_AUTH_STRING")
        self._token: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        answer = yield from self._ask(request)
        if answer.status_code != httpx.codes.FORBIDDEN or "CSRF" not in answer.text:
            return
        token = httpx.Request("GET", f"{self._address}/csrf-token", params={"client": self._client})
        answer = yield from self._ask(token)
        if answer.is_success:  # if not, its refusal is what is told
            self._token = answer.json()["token"]
            yield from self._ask(request)

    def _ask(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, httpx.Response]:
        answer = yield self._signed(request)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._login is None:
            self._login = _login_of_profile()
            answer = yield self._signed(request)
        return answer

    def _signed(self, request: httpx.Request) -> httpx.Request:
        if self._login:
            value = base64.b64encode(self._login.encode()).decode()
            request.headers["Authorization"] = f"Basic {value}"
        if self._token:
            request.headers.update({"Prefect-Csrf-Token": self._token, "Prefect-Csrf-Client": self._client})
        return request


def _login_of_profile() -> str:
    """Looked up only where a server asks: Prefect takes seconds to import."""
    from prefect.settings import get_current_settings

    held = get_current_settings().api.auth_string
    return held.get_secret_value() if held else ""
