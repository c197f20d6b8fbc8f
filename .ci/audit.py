"""Known faults of the packages that the locks name, as `pip-audit` tells them; ``make audit``.

The database is a service on the network. Where it cannot be reached that is said, and the exit code is 2: neither "none
found" nor "some found" (1).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-image.lock", "requirements-dev.lock")
UNREACHABLE = ("ConnectionError", "ServiceError", "Connection aborted", "Max retries", "Failed to resolve", "timed out")


def main() -> int:
    """Ask about every lock.

    Returns
    -------
    int
        0 if no fault is known, 1 if one is, 2 if nobody could be asked.
    """
    with tempfile.TemporaryDirectory() as place:  # not in the project's environment: it would bring packages of its own
        venv.create(place, with_pip=True)
        python = Path(place) / "bin" / "python"
        got = _run(python, "pip", "--disable-pip-version-check", "install", "--quiet", "pip-audit")
        if got.returncode != 0:
            print(f"audit: pip-audit cannot be installed, so nothing was asked: {_last(got.stderr)}")
            return 2
        worst = 0
        for lock in LOCKS:
            done = _run(python, "pip_audit", "--disable-pip", "--require-hashes", "-r", str(ROOT / lock))
            if done.returncode != 0 and any(word in done.stderr for word in UNREACHABLE):
                print(f"audit: the database cannot be reached, so nothing was found out: {_last(done.stderr)}")
                return 2
            print(f"{lock}: {(done.stdout or done.stderr).strip()}")
            worst = max(worst, min(done.returncode, 1))
    return worst


def _run(python: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [python, "-m", *command], capture_output=True, text=True, timeout=900, check=False
    )


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "no reason was given"


if __name__ == "__main__":
    sys.exit(main())
