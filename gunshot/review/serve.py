"""The review as a running server: a port, an address for the browser, and the end by Ctrl+C."""

from __future__ import annotations

import contextlib
import getpass
import socket
import threading
import webbrowser
from collections.abc import Callable

from gunshot.errors import ParameterError
from gunshot.progress import Show, shown_by
from gunshot.review.compaction import compact_decisions
from gunshot.review.queue import Order, ReviewQueue, check_archive, load_queue
from gunshot.review.session import ReviewSession

__all__ = ["serve_review"]

_LOCAL = {"127.0.0.1", "localhost", "::1"}


def serve_review(
    results: str,
    *,
    model: str | None = None,
    archive: str | None = None,
    who: str | None = None,
    order: Order = "likeliest",
    host: str = "127.0.0.1",
    port: int = 8765,
    no_browser: bool = False,
    say: Callable[[str], None] = print,
    show: Show | None = None,
) -> None:
    """Serve the review of results until it is stopped.

    Parameters
    ----------
    results : str
        Where the tables are.
    model : str, optional
        A model's name or the beginning of its digest; needed where the results hold several.
    archive : str, optional
        Where the recordings are now, if they have moved.
    who : str, optional
        Who decides; the account's name if not given.
    order : {"likeliest", "uncertain", "sample"}
        With which the page begins.
    host : str
        Address to listen on.
    port : int
        Its port; 0 takes a free one.
    no_browser : bool
        Whether the address is only printed.
    say : callable
        Prints a line.
    show : callable, optional
        Shows how far it is where there are many objects of earlier decisions.

    Raises
    ------
    ParameterError
        If there is nothing to review, the port is taken, or the name or the model is none.
    StorageError
        If the results cannot be read, or `archive` does not exist.
    """
    import uvicorn

    from gunshot.review.server import LOOPBACK, review_app

    check_archive(archive)
    queue = load_queue(results, model)
    _check_queue(results, queue, order)
    with shown_by(show):
        if n_compacted := compact_decisions(results):
            say(f"{n_compacted} objects of earlier decisions were put together")
        session = ReviewSession(results, queue, _account() if who is None else who)
    app = review_app(session, archive=archive, order=order, hosts=LOOPBACK if host in _LOCAL else ["*"])
    listening = _listen(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/"
    counts = queue.numbers("likeliest").size, queue.numbers("sample").size
    say(f"{counts[0]} detections and {counts[1]} sounds of the sample to review, by {session.who}")
    if host not in _LOCAL:
        say(f"whoever reaches {host} may listen and decide as {session.who}")
    say(f"review: {address} (Ctrl+C ends it; decisions are kept as they are made)")
    if not no_browser:
        threading.Timer(1.0, webbrowser.open, [address]).start()
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has ended in order, and raises it once more
        server.run(sockets=[listening])


def _check_queue(results: str, queue: ReviewQueue, order: Order) -> None:
    if not queue.model:
        raise ParameterError(
            f"nothing has been scored into {results} yet: run gunshot score INPUT --out {results} first"
        )
    if not queue.items:
        raise ParameterError(
            f"nothing to review in {results}: no detection, and no sample from below the threshold; score with a lower "
            "threshold (--operating-point), or with --sample 0.01"
        )
    if order == "sample" and not queue.numbers(order).size:
        raise ParameterError(
            f"--order sample: {results} holds no sample from below the threshold; score with --sample 0.01, or leave "
            "--order out"
        )


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # a user of a container that has a number only
        raise ParameterError("this account has no name: say who decides with --who NAME") from error


def _listen(host: str, port: int) -> socket.socket:
    try:
        with contextlib.ExitStack() as closing:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            # named as TCP, or asyncio lets each answer's second packet wait 40 ms for the first to be acknowledged
            found = closing.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((host, port))
            found.listen()  # before its address is told: who opens it at once waits for the server, and is not refused
            closing.pop_all()
        return found
    except OSError as error:
        raise ParameterError(
            f"cannot listen on --port {port} of --host {host} ({error.strerror or error}); give another port (0 takes "
            "a free one), or an address of this machine"
        ) from error
