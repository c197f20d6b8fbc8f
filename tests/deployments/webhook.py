"""Somebody who is told: a web server that keeps what is sent to it, and the block of Prefect's that sends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

BLOCK = "custom-webhook/ops"


class _Post(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.got.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """The address, and what has been sent there."""
    with HTTPServer(("127.0.0.1", 0), _Post) as http:
        http.got = []
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", http.got
        http.shutdown()


def save_block(url: str) -> None:
    """Make `BLOCK` on the server that Prefect's settings name."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    block = CustomWebhookNotificationBlock(name="ops", url=url, json_data={"text": "{{subject}} {{body}}"})
    block.save("ops", overwrite=True, _sync=True)
