"""Scoring a bucket whose server is killed, and one that changes while it is scored."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from flows.cluster import open_cluster
from gunshot.models.bundle import load_bundle
from gunshot.scoring.keys import Provenance
from gunshot.scoring.plan import ScoringBatch, ScoringPlan, plan_scoring
from gunshot.scoring.results import count_listed, done_keys, read_table
from gunshot.scoring.results.checks import verify_results
from gunshot.scoring.targets import Targets, list_targets
from gunshot.storage import delete, write_bytes
from tasks.score import score_batches
from tests.s3.faults import KINDS, FaultProxy, Plan
from tests.s3.runs import save_model, score, upload, write_archive
from tests.s3.seaweed import BUCKET, S3Server, SeaweedFS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

N_FILES = 160  # three batches
BATCH = 64
MIXED = dict.fromkeys(KINDS, 0.02)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive") / "audio", N_FILES)


@pytest.fixture(scope="module")
def expected(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Tables of a run on local disks."""
    place = tmp_path_factory.mktemp("local")
    return score(str(archive), save_model(str(place / "model")), str(place / "results"))


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert expected["detections"].num_rows > N_FILES / 2
    for kind, table in found.items():
        drop = [name for name in ("uri", "etag", "run_id") if name in table.column_names]
        assert table.drop_columns(drop).equals(expected[kind].drop_columns(drop)), kind


def test_workers_under_all_faults_give_the_tables_of_a_local_run(
    archive: Path, expected: dict[str, Any], through_faults: Callable[[Plan], FaultProxy]
) -> None:
    place = f"s3://{BUCKET}/scored-by-workers"  # the same in every run, and so are its faults
    audio, model = upload(archive, f"{place}/audio"), save_model(f"{place}/model")
    proxy = through_faults(Plan(MIXED))
    with open_cluster(2) as address:
        assert_same(score(audio, model, f"{place}/results", address), expected)
    assert set(proxy.faults()) == set(KINDS)
    assert list(verify_results(f"{place}/results")) == []


def test_a_run_outlasts_a_server_that_starts_again(
    archive: Path,
    expected: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    fresh_clients: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weed = SeaweedFS(tmp_path_factory.mktemp("own-server"))
    weed.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", weed.server.endpoint)
    place = f"s3://{BUCKET}"
    try:
        audio, model = upload(archive, f"{place}/audio"), save_model(f"{place}/model")
        killer = threading.Thread(target=killed_amid, args=(weed, f"{place}/results"))
        killer.start()
        found = score(audio, model, f"{place}/results")
        killer.join()
        assert_same(found, expected)
        assert list(verify_results(f"{place}/results")) == []
    finally:
        fresh_clients()
        weed.kill()
        weed.remove()


def killed_amid(weed: SeaweedFS, results: str) -> None:
    """Kill the server when a first batch is in the ledger, and start it again some seconds later."""
    while not read_table(results, "recordings").num_rows:
        time.sleep(0.02)
    weed.kill()
    time.sleep(5.0)
    weed.start()


class Meanwhile:
    """A plan; when its second batch is asked for, something happens to the bucket."""

    def __init__(self, plan: ScoringPlan, happens: Callable[[], None]) -> None:
        self.n_recordings = plan.n_recordings
        self._plan = plan
        self._happens = happens

    def __iter__(self) -> Iterator[ScoringBatch]:
        for number, batch in enumerate(self._plan):
            if number == 1:
                self._happens()
            yield batch


class HalfUploaded:
    """An object in parts, of which one is there; nobody sees it until it is completed."""

    def __init__(self, server: S3Server, uri: str, content: bytes) -> None:
        self._client = botocore.session.get_session().create_client("s3", endpoint_url=server.endpoint)
        self._at = {"Bucket": BUCKET, "Key": uri.removeprefix(f"s3://{BUCKET}/")}
        self._at["UploadId"] = self._client.create_multipart_upload(**self._at)["UploadId"]
        part = self._client.upload_part(**self._at, PartNumber=1, Body=content)
        self._parts = [{"PartNumber": 1, "ETag": part["ETag"]}]

    def complete(self) -> None:
        self._client.complete_multipart_upload(**self._at, MultipartUpload={"Parts": self._parts})
        self._client.close()


def scored(audio: str, model: str, results: str, happens: Callable[[], None] = lambda: None) -> tuple[Targets, int]:
    """What the flow does: what was listed, and how many of it were scored; each has one row."""
    bundle = load_bundle(model)
    provenance = Provenance(bundle.digest, bundle.recipe.digest)
    targets = list_targets([audio])
    plan = plan_scoring(targets, done_keys(results, provenance), provenance)
    score_batches.fn(model, bundle.digest, results, Meanwhile(plan, happens), None)
    assert count_listed(results, provenance, plan.keys).states.total() == len(targets)
    return targets, plan.n_recordings


def test_each_object_of_a_bucket_that_changes_is_in_one_right_state_after_each_run(
    archive: Path, s3_server: S3Server, prefix: str
) -> None:
    audio, results = upload(archive, f"{prefix}/audio"), f"{prefix}/results"
    model = save_model(f"{prefix}/model")
    uris = [target.uri for target in list_targets([audio])]
    heard, gone, replaced, grown, again = uris[0], *uris[BATCH + 6 : BATCH + 10]
    other, same = (
        (archive / "gunshot" / "001.wav").read_bytes(),
        (archive / again.removeprefix(audio + "/")).read_bytes(),
    )
    write_bytes(grown, other[:12_000])  # somebody's program uploads what it has, and later the whole
    half = HalfUploaded(s3_server, f"{audio}/half.wav", other)

    def happens() -> None:
        delete(gone)
        for uri in (heard, replaced, grown, f"{audio}/late.wav"):
            write_bytes(uri, other)
        write_bytes(again, same)
        half.complete()

    _, n_first = scored(audio, model, results, happens)
    assert n_first == N_FILES  # neither the half nor the late one
    states = {row["uri"]: row["state"] for row in read_table(results, "recordings").to_pylist()}
    assert sorted(states) == uris
    # the first batch had been heard as it was listed; of the second nothing is said that is not true any more
    assert {uri: states[uri] for uri in (gone, replaced, grown)} == {
        gone: "gone", replaced: "changed", grown: "changed"
    }  # fmt: skip
    assert Counter(states.values())["changed"] == 2
    assert not {gone, replaced, grown} & set(read_table(results, "detections").column("uri").to_pylist())

    second, n_second = scored(audio, model, results)
    assert n_second == 5  # heard, replaced, grown, half, late
    assert len(second) == N_FILES + 1
    scored(audio, model, f"{prefix}/clean")
    listed = {(target.uri, target.etag) for target in second}
    for kind in ("recordings", "detections"):
        found, clean = (read_table(place, kind).to_pylist() for place in (results, f"{prefix}/clean"))
        assert [row | {"run_id": ""} for row in found if (row["uri"], row["etag"]) in listed] == [
            row | {"run_id": ""} for row in clean
        ]
    assert scored(audio, model, results)[1] == 0
    assert list(verify_results(results)) == []
    # what was said of the first listing is still there, each once
    rows = read_table(results, "recordings").to_pylist()
    assert len({(row["uri"], row["etag"]) for row in rows}) == len(rows)
