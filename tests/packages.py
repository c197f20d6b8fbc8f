"""Programs from Debian's packages that tests need: installed when they are not there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

import pytest


def install(programs: Mapping[str, str]) -> None:
    """The packages of programs that are missing (program to package); skips the test where they cannot be had."""
    missing = sorted({package for program, package in programs.items() if shutil.which(program) is None})
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"no {', '.join(missing)} here, and no root or no apt-get to install them")
    # a test of another process may be installing what it needs: apt waits for it
    done = subprocess.run(
        ["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *missing],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"cannot install {', '.join(missing)}: {done.stderr.strip().splitlines()[-1:]}")
