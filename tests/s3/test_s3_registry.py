"""A registry in a bucket is one on disk: what is added by several at once is added once, and one promotion wins."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gunshot.errors import StorageError
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models.alias_log import append_entry, read_log
from gunshot.models.bundle import load_bundle, save_bundle
from gunshot.models.promotion import add_version, set_alias
from gunshot.models.registry import find_version, list_models, list_versions, resolve_model
from gunshot.recipe import Recipe
from gunshot.storage import write_bytes


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    recipe, buffer = Recipe(), io.BytesIO()
    np.savez(buffer, coefficients=np.zeros(recipe.n_samples), intercept=np.zeros(1))
    point = OperatingPoint(
        name="by hand", threshold=0.5, split="validation", recall=0.5, fpr=0.0, n_gunshots=4, n_others=4
    )
    save_bundle(
        str(tmp_path / "b"), model="logistic", weights=buffer.getvalue(), recipe=recipe, operating_point=point,
        details={}, splits=b"",
    )  # fmt: skip
    return str(tmp_path / "b")


def test_a_version_is_added_and_promoted(prefix: str, bundle: str) -> None:
    write_bytes(f"{prefix}/street/v0001/weights.npz", b"of an addition that was killed")
    assert list_models(prefix) == []
    version, is_new = add_version(prefix, "street", bundle)
    assert (version.uri, is_new) == (f"{prefix}/street/v0001", True)
    assert add_version(prefix, "street", bundle)[1] is False
    set_alias(prefix, version, "champion", "first", seen=None)
    assert list_models(prefix) == ["street"]
    assert load_bundle(resolve_model("street", prefix)).digest == version.digest
    (found,) = list_versions(prefix, "street")
    assert found.aliases == ("champion",)


def test_of_entries_of_one_number_one_is_written(prefix: str, bundle: str) -> None:
    version, _ = add_version(prefix, "street", bundle)

    def promote(number: int) -> bool:
        try:
            append_entry(prefix, "street", "champion", version.version, version.digest, str(number))
        except StorageError as error:
            assert "written by another process" in str(error)  # noqa: PT017
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(promote, range(8)))
    log = read_log(prefix, "street")
    assert len(log) == 1 + sum(written) > 1
    assert find_version(prefix, "street").version == "v0001"
