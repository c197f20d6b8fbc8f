"""What the source never does with what comes from outside, and that a pickle in its place is refused."""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from gunshot.errors import GunshotError
from gunshot.models.bundle import load_bundle
from tests.s3.runs import save_model

ROOT = Path(__file__).resolve().parents[2]
UNPICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# Dask's own dumps: a function that this project sends to its own workers; nothing is loaded
ALLOWED = {("flows/clusters/workers.py", "imports distributed.protocol.pickle")}


def faults(source: str) -> set[str]:
    """What in a module could run what a user supplies."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found |= {f"imports {name.name}" for name in names if name.name.partition(".")[0] in UNPICKLERS}
            case ast.ImportFrom(module=str(module)) if set(module.split(".")) & UNPICKLERS:
                found.add(f"imports {module}")
            case ast.Call(func=ast.Name(id="eval" | "exec" as name)):
                found.add(f"calls {name}")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="yaml"), attr="load"), keywords=given) if not any(
                ast.unparse(word) == "Loader=yaml.BaseLoader"
                for word in given  # text, lists and maps alone
            ):
                found.add("loads YAML with its tags")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="yaml"), attr="unsafe_load" | "full_load")):
                found.add("loads YAML with its tags")
            case ast.keyword(arg="allow_pickle", value=value) if not _is(value, False):
                found.add("allows pickles")
            case ast.keyword(arg="shell", value=value) if not _is(value, False):
                found.add("starts a shell")
    return found


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from joblib import load", "import numpy\nnumpy.load(f, allow_pickle=True)", "eval(text)",
        "import yaml\nyaml.load(text, Loader=x)", "run(text, shell=True)",
    ],
)  # fmt: skip
def test_the_search_finds_each_kind(source: str) -> None:
    assert len(faults(source)) == 1


def test_no_module_runs_what_a_user_supplies() -> None:
    files = [file for folder in ("gunshot", "tasks", "flows", "docker") for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    found = {(str(file.relative_to(ROOT)), fault) for file in files for fault in faults(file.read_text())}
    assert found == ALLOWED


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.where),)


def test_a_pickle_in_place_of_weights_is_refused_and_not_loaded(tmp_path: Path) -> None:
    bundle = Path(save_model(str(tmp_path / "model")))
    content = pickle.dumps(Trap(tmp_path / "sprung"))
    (bundle / "weights.npz").write_bytes(content)
    with pytest.raises(GunshotError, match="weights"):
        load_bundle(str(bundle))
    assert not (tmp_path / "sprung").exists()
    pickle.loads(content)
    assert (tmp_path / "sprung").exists()  # it would have


@pytest.mark.slow
def test_without_tensorflow_training_a_network_is_refused_in_one_line() -> None:
    code = (
        "import sys; sys.modules['keras'] = None\n"
        "from gunshot.errors import TrainingError\n"
        "try: import gunshot.models.fit\n"
        "except TrainingError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'gunshot[train]'" in told
    assert len(told.splitlines()) == 1
