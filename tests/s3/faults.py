"""A proxy before a real S3 server that lets requests through, or does to them what networks and busy servers do.

Conventions
-----------
What happens to a request follows from the seed, its method and address, and how often it has been asked before: never
from the order in which clients come. Headers are passed on unchanged, ``Host`` among them, which is signed.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import numpy as np

KINDS = ("error", "slow down", "delay", "cut answer", "cut request", "lost answer")
"""500; 503; some tenths of a second; half of the answer's body; half of the request's; done, and no answer.

``late`` is one more: a gateway hangs up, and the server does the request all the same, after others that came later.
"""

_ERRORS = {"error": (500, "InternalError", "We encountered an internal error. Please try again."),
           "slow down": (503, "SlowDown", "Please reduce your request rate.")}  # fmt: skip
_DELAY_S = 0.3
_LATE_S = 1.5


@dataclass(frozen=True)
class Asked:
    """A request as it came, and what was done to it; an empty fault is none."""

    method: str
    target: str
    fault: str

    @property
    def action(self) -> str:
        """GET, PUT, HEAD, DELETE, POST, or LIST."""
        return "LIST" if self.method == "GET" and "list-type=" in urlsplit(self.target).query else self.method


@dataclass
class Plan:
    """How often each kind of fault befalls a request, and no request more than `most` times in a row."""

    rates: Mapping[str, float]
    seed: int = 0
    most: int = 3
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, method: str, target: str) -> str:
        """What is to be done to a request."""
        name = f"{method} {target}"
        with self._lock:
            turn = self._counts[name]
            self._counts[name] += 1
        if turn % (self.most + 1) == self.most:
            return ""
        drawn = np.random.default_rng([self.seed, crc32(f"{name} {turn}".encode())]).random()
        for kind, rate in self.rates.items():
            if drawn < rate:
                return kind
            drawn -= rate
        return ""


class FaultProxy(socketserver.ThreadingTCPServer):
    """A proxy on a port of its own, between its `with` and the end of it.

    Parameters
    ----------
    server : str
        The real one, as ``http://host:port``.
    plan : Plan
        What is to happen.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, server: str, plan: Plan) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        address = urlsplit(server)
        self.upstream = (str(address.hostname), int(address.port or 80))
        self.plan = plan
        self.asked: list[Asked] = []
        self.late: list[threading.Timer] = []
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.wait()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def wait(self) -> None:
        """Until the server has done what is late."""
        for request in list(self.late):
            request.join()

    def faults(self) -> Counter[str]:
        """How often each kind of fault was made."""
        return Counter(one.fault for one in self.asked if one.fault)

    def actions(self) -> Counter[str]:
        """How often each kind of request was made."""
        return Counter(one.action for one in self.asked)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of the proxy."""


class _Connection(socketserver.StreamRequestHandler):
    """One client's connection, request after request."""

    server: FaultProxy

    def handle(self) -> None:
        while (head := _read_head(self.rfile)) and self._answer(head):
            pass

    def _answer(self, head: bytes) -> bool:
        """Do one request; False where the connection is at its end."""
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        n_bytes = int(_header(head, b"content-length") or 0)
        fault = self.server.plan.fault(method, target)
        self.server.asked.append(Asked(method, target, fault))
        if fault == "cut request":
            if n_bytes:
                _forward(self.server.upstream, head, self.rfile.read(n_bytes // 2), is_cut=True)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            return False
        body = self.rfile.read(n_bytes)
        if fault == "late":
            self.server.late.append(threading.Timer(_LATE_S, _forward, (self.server.upstream, head, body)))
            self.server.late[-1].start()
            return False
        if fault in _ERRORS:
            self.wfile.write(_error(*_ERRORS[fault], is_head=method == "HEAD"))
            return True
        if fault == "delay":
            time.sleep(_DELAY_S)
        answer = _forward(self.server.upstream, head, body)
        start = answer.find(b"\r\n\r\n") + 4
        if fault == "lost answer" or not answer:
            return False
        if fault == "cut answer":  # where there is no body to cut, half of the head
            half = start // 2 if len(answer) == start else start + (len(answer) - start) // 2
            self.wfile.write(answer[:half])
            return False
        self.wfile.write(answer)
        return method == "HEAD" or _is_whole(answer[:start], answer[start:])


def _read_head(stream: Any) -> bytes:
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line)
    return b"".join(lines)


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _is_whole(head: bytes, body: bytes) -> bool:
    if _header(head, b"transfer-encoding"):
        return body.endswith(b"0\r\n\r\n")
    return len(body) == int(_header(head, b"content-length") or 0)


def _forward(upstream: tuple[str, int], head: bytes, body: bytes, *, is_cut: bool = False) -> bytes:
    """The server's whole answer, without its word that it closes; empty where there is none."""
    try:
        with socket.create_connection(upstream, timeout=30) as server:
            server.sendall(head + b"Connection: close\r\n\r\n" + body)
            if is_cut:
                return b""
            answer = b"".join(iter(lambda: server.recv(1 << 16), b""))
    except OSError:
        return b""
    return answer.replace(b"\r\nConnection: close\r\n", b"\r\n", 1)


def _error(status: int, code: str, message: str, *, is_head: bool) -> bytes:
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\n"
    head += "\r\n" if is_head else f"Content-Length: {len(text)}\r\n\r\n"
    return (head + ("" if is_head else text)).encode()
