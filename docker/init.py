"""Prepares a stack that has just started: bucket, work pool, deployments and automations. May be run again."""

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
DEPLOY = ["gunshot", "deploy", "--prefect-file", "docker/prefect.yaml", "--folder", str(ROOT)]


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
    # what the site sets is what holds: without a block, automations that told an earlier one go
    done = subprocess.run([*DEPLOY, "--notify", os.environ.get("GUNSHOT_NOTIFY", "")], cwd=ROOT, check=False)  # noqa: S603
    sys.exit(done.returncode)  # the command has said why


if __name__ == "__main__":
    main()
