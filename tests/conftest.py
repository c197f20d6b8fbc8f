"""What all tests share: gates for slow tests and real audio, and an environment that touches nothing of the user's."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).resolve().parent
AUDIO = TESTS.parents[1] / "shared" / "audio"

# read by Prefect and TensorFlow when they are first imported, so set before any test module is
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="gunshot-test-prefect-")
# numba's compiled functions, one folder a process: two that compile the same one at once have crashed each other
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="gunshot-test-numba-")
if (WARM := Path(sys.prefix, "numba")).is_dir():  # what `make install-dev` compiled
    shutil.copytree(WARM, os.environ["NUMBA_CACHE_DIR"], dirs_exist_ok=True)
os.environ |= {
    "OPENBLAS_NUM_THREADS": "1",  # tests run side by side: threads that share a product would wait for each other
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    "DO_NOT_TRACK": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

# the same examples on every machine, so that a change is judged by what it changes; HYPOTHESIS_PROFILE=explore
# looks for new ones
settings.register_profile("gunshot", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gunshot"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="also run tests marked slow")


SLOW_FOLDERS = {"s3", "faults"}
"""What starts servers or kills processes: slow as a whole."""


@pytest.hookimpl(tryfirst=True)  # before pytest selects by -m
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(TESTS).parts[0] in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
    # a hook, not `-m` in addopts: a caller's own -m would silently replace that
    slow = pytest.mark.skip(reason="slow: give --run-slow")
    silent = pytest.mark.skip(reason=f"no real recordings at {AUDIO}")
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--run-slow"):
            item.add_marker(slow)
        if item.get_closest_marker("audio") and not AUDIO.is_dir():
            item.add_marker(silent)


@pytest.fixture(scope="session")
def audio() -> Path:
    """The folder of real labelled recordings; never written to."""
    return AUDIO


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server with an empty database; one for all tests of a process.

    It takes seconds to start, and Prefect sends its events to the first that a process has met: with a second one they
    fail, and what they leave open is a warning in a test that has nothing to do with it.
    """
    with ExitStack() as stack:
        _start_harness(stack)
        yield


def _start_harness(stack: ExitStack, attempts: int = 3) -> None:
    """Start the server; at another port if the one that was free is meanwhile another program's, which hangs up."""
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.testing.utilities import prefect_test_harness

    for attempt in range(attempts):
        try:
            stack.enter_context(prefect_test_harness(server_startup_timeout=300))
            return
        except httpx.TransportError:
            SubprocessASGIServer._instances.pop(None).stop()  # Prefect leaves its process running
            if attempt == attempts - 1:
                raise
