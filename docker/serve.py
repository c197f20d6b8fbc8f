"""Starts Prefect's server, as ``prefect`` would with the same words, with the password of Redis in this process alone.

Prefect's Redis package takes its settings from an environment and from nowhere else: a profile's file, which holds the
other secrets of the server, is not read by it. So the password is a file until the process is there that needs it, and
is in no environment that Compose or the engine know of.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PASSWORD = Path("/run/secrets/redis_password")


def main() -> None:
    """Become the server."""
    os.environ["PREFECT_REDIS_MESSAGING_PASSWORD"] = PASSWORD.read_text().strip()
    os.execvp("prefect", ["prefect", *sys.argv[1:]])  # noqa: S606, S607


if __name__ == "__main__":
    main()
