"""The review over HTTP, for the browser of one person.

Conventions
-----------
It listens on loopback unless it is told otherwise, answers only requests that name a host it goes by (a page elsewhere
that has its own name point here is refused), and changes something only for a request with a header that no other page
may send. Sound is given by an item's number, never by a path: no file is opened that the results do not name. The page
may load nothing from anywhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from importlib.resources import files
from time import monotonic
from typing import Any

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gunshot.errors import GunshotError, ParameterError, StorageError
from gunshot.review.queue import ORDERS, recording_uri
from gunshot.review.session import ReviewSession
from gunshot.review.sounds import PieceCache, cut_piece, picture_png, sound_wav

__all__ = ["LOOPBACK", "MOST_CONTEXT_S", "review_app"]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
"""Names by which the machine calls itself."""

MOST_CONTEXT_S = 60.0
"""Sound before and after an item, at most [s]."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_OURS = "x-gunshot"
_MOST_BODY = 64 * 1024
_REFRESH_S = 5.0
_REST = 9  # a tenth of the time at most: thousands of objects that may not be removed take seconds to list
_FILES = {"/": "review.html", "/review.css": "review.css", "/review.js": "review.js", "/list.js": "list.js"}

Endpoint = Callable[[Request], Any]


def review_app(
    session: ReviewSession, *, archive: str | None = None, order: str = "likeliest", hosts: Iterable[str] = LOOPBACK
) -> Starlette:
    """Make the application.

    Parameters
    ----------
    session : ReviewSession
        The person and the queue.
    archive : str, optional
        Root of the recordings, where they have moved.
    order : {"likeliest", "uncertain", "sample"}
        With which the page begins.
    hosts : iterable of str
        Names by which it may be asked for; ``*`` for any.

    Returns
    -------
    starlette.applications.Starlette
        To be served.
    """
    api = _Api(session, archive, order)
    routes = [Route(path, partial(_static, name=name)) for path, name in _FILES.items()]
    routes += [
        Route("/favicon.ico", lambda _: Response(status_code=204)),
        Route("/api/start", _json(api.start)),
        Route("/api/queue", _json(api.queue)),
        Route("/api/next", _json(api.next)),
        Route("/api/progress", _json(api.progress)),
        Route("/api/item", _json(api.item)),
        Route("/api/decide", _json(api.decide), methods=["POST"]),
        Route("/api/undo", _json(api.undo), methods=["POST"]),
        Route("/api/classes", _json(api.classes), methods=["POST"]),
        Route("/picture/{number:int}", api.picture),
        Route("/sound/{number:int}", api.sound),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:  # numpydoc ignore=PR01
        """What runs beside the requests."""
        task = asyncio.create_task(_refreshed(session))
        threading.Thread(target=api.warm, name="first pictures", daemon=True).start()
        try:
            yield
        finally:
            task.cancel()

    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False), Middleware(_Guard)
    ]  # fmt: skip
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


async def _refreshed(session: ReviewSession) -> None:
    """What others decide is read again and again, beside the requests, and less often where that takes long."""
    wait_s = _REFRESH_S
    while True:
        await asyncio.sleep(wait_s)
        began_s = monotonic()
        with contextlib.suppress(StorageError):  # a store that is away for a moment
            await run_sync(session.refresh)
        wait_s = max(_REFRESH_S, _REST * (monotonic() - began_s))


class _Guard:
    """Headers on every answer, and no change for a request that another page could have sent."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        names = {name for name, _ in scope["headers"]}

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in _HEADERS.items())]
            await send(message)

        if scope["method"] == "POST" and _OURS.encode() not in names:
            refusal = JSONResponse({"error": f"a change needs the header {_OURS}: use the page"}, 403)
            await refusal(scope, receive, sent)
            return
        await self.app(scope, receive, sent)


async def _static(request: Request, name: str) -> Response:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    content = files("gunshot.review").joinpath("page", name).read_bytes()
    return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})


def _json(work: Callable[[dict[str, Any]], dict[str, Any]]) -> Endpoint:
    """An endpoint that answers in JSON; our own errors are one line and a number."""

    async def endpoint(request: Request) -> Response:
        try:
            asked = await _asked(request)
            content = await run_sync(work, asked)
        except ParameterError as error:
            return JSONResponse({"error": str(error)}, 400)
        except GunshotError as error:
            return JSONResponse({"error": str(error)}, 500)
        return JSONResponse(content, headers={"Cache-Control": "no-store"})

    return endpoint


async def _asked(request: Request) -> dict[str, Any]:
    if request.method != "POST":
        return dict(request.query_params)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BODY:
            raise ParameterError(f"a request holds at most {_MOST_BODY} bytes: shorten the note")
    try:
        content = json.loads(body or b"{}")
    except ValueError as error:
        raise ParameterError(f"the request is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ParameterError("the request must be a JSON object")
    return content


def _whole(asked: dict[str, Any], name: str, default: int = 0) -> int:
    try:
        return int(asked.get(name, default))
    except (TypeError, ValueError):
        raise ParameterError(f"{name} must be a whole number; got {asked.get(name)!r}") from None


class _Api:
    """What the page may ask for."""

    def __init__(self, session: ReviewSession, archive: str | None, order: str) -> None:
        self.session = session
        self.archive = archive
        self.order = order
        self.cache = PieceCache()

    def _view(self, asked: dict[str, Any]) -> tuple[Any, str | None, str | None]:
        return asked.get("order", self.order), asked.get("site"), asked.get("night")

    def start(self, asked: dict[str, Any]) -> dict[str, Any]:
        queue, session = self.session.queue, self.session
        return {
            "version": queue.version, "who": session.who, "model": queue.model, "model_digest": queue.model_digest,
            "threshold": round(queue.threshold, 4), "results": session.results, "order": self.order,
            "orders": {order: int(queue.numbers(order).size) for order in ORDERS},
            "sites": queue.sites, "nights": queue.nights, "classes": session.classes.names,
        }  # fmt: skip

    def queue(self, asked: dict[str, Any]) -> dict[str, Any]:
        order, site, night = self._view(asked)
        return self.session.rows(order, _whole(asked, "offset"), _whole(asked, "limit", 50), site, night)

    def next(self, asked: dict[str, Any]) -> dict[str, Any]:
        order, site, night = self._view(asked)
        step = -1 if _whole(asked, "step", 1) < 0 else 1
        return {"place": self.session.next_open(order, _whole(asked, "after", -1), site, night, step=step)}

    def progress(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self.session.progress(*self._view(asked))

    def item(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self.session.details(_whole(asked, "number", -1))

    def decide(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = _whole(asked, "number", -1)
        if asked.get("version") != self.session.queue.version:  # a page that was open while the queue was made anew
            raise ParameterError("the results have changed since the page was opened: reload it")
        self.session.decide(number, str(asked.get("label", "")), asked.get("class", ""), asked.get("note", ""))
        return self._after(asked) | {"number": number}

    def undo(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"number": self.session.undo()} | self._after(asked)

    def _after(self, asked: dict[str, Any]) -> dict[str, Any]:
        order, site, night = self._view(asked)
        return {
            "progress": self.progress(asked),
            "place": self.session.next_open(order, _whole(asked, "after", -1), site, night),
        }

    def classes(self, asked: dict[str, Any]) -> dict[str, Any]:
        names = asked.get("classes")
        if not isinstance(names, list):
            raise ParameterError("classes must be a list of names")
        return {"classes": self.session.classes.replace(names)}

    async def picture(self, request: Request) -> Response:
        return await self._piece(request, "picture", "image/png")

    async def sound(self, request: Request) -> Response:
        return await self._piece(request, "sound", "audio/wav")

    async def _piece(self, request: Request, what: str, kind: str) -> Response:
        try:
            context_s = float(request.query_params.get("context_s", 2.0))
            if not 0 <= context_s <= MOST_CONTEXT_S:
                raise ValueError
        except ValueError:
            return JSONResponse({"error": f"context_s must lie in [0, {MOST_CONTEXT_S:g}]"}, 400)
        try:
            number, is_loud = request.path_params["number"], request.query_params.get("loud") == "1"
            content = await run_sync(self.made, number, what, context_s, is_loud)
        except ParameterError as error:
            return JSONResponse({"error": str(error)}, 404)
        except GunshotError as error:  # the recording is gone or damaged: the page says so in its place
            return JSONResponse({"error": f"{self.session.item(number).path}: {error}"}, 422)
        return _ranged(request, content, kind)

    def made(self, number: int, what: str, context_s: float, is_loud: bool = False) -> bytes:
        item = self.session.item(number)
        uri = recording_uri(item, self.archive)

        def make() -> bytes:
            piece = cut_piece(uri, item.channel, item.start_s, item.end_s, context_s)
            return picture_png(piece) if what == "picture" else sound_wav(piece, loud=is_loud)

        return self.cache.get((number, what, context_s, is_loud), make)

    def warm(self) -> None:
        """Pictures of the first items, and all that must be imported for one, before they are asked for."""
        numbers = self.session.queue.numbers(self.order)[:3]  # type: ignore[arg-type]
        for number in numbers:
            with contextlib.suppress(GunshotError):
                self.made(int(number), "picture", 2.0)


def _ranged(request: Request, content: bytes, kind: str) -> Response:
    """A file, or the part of it that a player asks for; the page's addresses name the queue's version."""
    headers = {"Cache-Control": "private, max-age=3600", "Accept-Ranges": "bytes"}
    asked = request.headers.get("range", "")
    first, dash, last = asked.removeprefix("bytes=").partition("-")
    if not asked.startswith("bytes=") or not dash or not first.isdigit() or (last and not last.isdigit()):
        return Response(content, media_type=kind, headers=headers)
    start, stop = int(first), min(int(last) + 1 if last else len(content), len(content))
    if start >= stop:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
    return Response(content[start:stop], 206, media_type=kind, headers=headers)
