"""A model, a place that any user may enter, and the rights of one."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models.bundle import save_bundle
from gunshot.preprocess.partition import preprocess_partition
from gunshot.recipe import Recipe
from gunshot.store.layout import prepare_store
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.write import commit_store

_NOBODY = 65_534


@pytest.fixture(scope="session")
def bundle_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that gives every candidate a score: what it is worth does not matter here."""
    recipe = Recipe()
    weights = io.BytesIO()
    np.savez(weights, coefficients=np.ones(recipe.n_samples), intercept=np.array([0.0]))
    point = OperatingPoint(
        name="by hand", threshold=0.5, split="validation", recall=0.5, fpr=0.0, n_gunshots=4, n_others=4
    )
    out = tmp_path_factory.mktemp("models") / "ones"
    save_bundle(
        str(out), model="logistic", weights=weights.getvalue(), recipe=recipe, operating_point=point, details={},
        splits=b"",
    )  # fmt: skip
    return str(out)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that any user may enter; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="gunshot-zoo-"))
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def rights_of_a_user() -> Callable[[bool], AbstractContextManager[None]]:
    """Makes root, whom no permission stops, somebody else for a while."""

    @contextlib.contextmanager
    def rights(wanted: bool = True) -> Iterator[None]:
        if not wanted or os.geteuid() != 0:
            yield
            return
        os.seteuid(_NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    return rights


@pytest.fixture(scope="session")
def stored() -> Callable[[pa.Table, Path], FeatureStore]:
    """Makes the store of a manifest, partition after partition."""

    def make(manifest: pa.Table, out: Path) -> FeatureStore:
        header = prepare_store(str(out), manifest, Recipe())
        for partition in header.partitions:
            preprocess_partition(header.uri, partition)
        commit_store(header)
        return open_store(header.uri)

    return make
