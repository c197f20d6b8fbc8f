"""Prepares a stack that has just started: the bucket, the work pool and the deployments. May be run again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from gunshot.errors import StorageError
from gunshot.storage.access import s3_filesystem

ROOT = Path(__file__).resolve().parents[1]
WITHIN_S = 120.0
COMMANDS = (
    ["work-pool", "create", "gunshot", "--type", "process", "--overwrite"],
    # exchange this line for another way of applying deployments
    ["deploy", "--all", "--prefect-file", "docker/prefect.yaml"],
)


def make_bucket(name: str) -> None:
    """Make the bucket, if it is not there, and wait until it keeps what is written.

    Parameters
    ----------
    name : str
        Of the bucket.
    """
    bucket, began = s3_filesystem(), time.monotonic()
    while True:
        try:
            if not bucket.exists(name):
                bucket.mkdir(name)
            bucket.pipe_file(f"{name}/.ready", b"ready")  # a health check may be answered before a place can be written
            if bucket.cat_file(f"{name}/.ready") == b"ready":
                bucket.rm_file(f"{name}/.ready")
                return
        except (OSError, StorageError) as error:
            if time.monotonic() - began > WITHIN_S:
                sys.exit(f"bucket {name!r} cannot be written within {WITHIN_S:g} s: {error}")
        time.sleep(1.0)


def main() -> None:
    """Prepare all."""
    name = os.environ["GUNSHOT_BUCKET"]
    make_bucket(name)
    print(f"bucket: {name}", flush=True)
    for command in COMMANDS:
        subprocess.run(["prefect", "--no-prompt", *command], cwd=ROOT, check=True)  # noqa: S603, S607


if __name__ == "__main__":
    main()
