"""Pages are valid HTML by the Nu checker of the W3C's validator, where one is at hand.

It needs Java and its own archive (``npm pack vnu-jar`` fetches it): ``GUNSHOT_VNU=vnu.jar pytest ... --run-slow``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from gunshot.report.season import write_season
from tests.review.conftest import make_results

CHECKER = os.environ.get("GUNSHOT_VNU", "")


@pytest.mark.slow
@pytest.mark.skipif(not CHECKER or shutil.which("java") is None, reason="GUNSHOT_VNU names no checker, or no Java")
def test_every_page_is_valid(page: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    write_season(make_results(tmp_path, 3, 4), str(tmp_path / "season.html"))
    review = files("gunshot.review").joinpath("page", "review.html").read_text(encoding="utf-8")
    (tmp_path / "review.html").write_text(review, encoding="utf-8")
    pages = [str(tmp_path / f"{name}.html") for name in ("report", "season", "review")]
    command = ["java", "-jar", CHECKER, "--errors-only", *pages]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.stderr == ""
    assert checked.returncode == 0
