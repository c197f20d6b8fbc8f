"""Two stores read as one: numbers run on, the second's word holds, and nothing that belongs together is divided."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import StoreMismatchError
from gunshot.recipe import ClipRule, Recipe
from gunshot.store.joined import SAME_SOUND_S, SUPERSEDED, JoinedStore, join_stores, open_joined
from gunshot.store.layout import StoreHeader
from gunshot.store.read import FeatureStore, open_store


def listed(rows: list[tuple[str, str, float]], n_first: int = 0, paths: list[str] | None = None) -> FeatureStore:
    """What a store says of rows of (recording, group, onset), as paths show them; nobody reads its arrays."""
    shown = paths or [f"r{number}.wav" for number in range(len(rows))]
    table = pa.Table.from_pylist(
        [
            {
                "uri": uri, "path": shown[number], "group": group, "onset_s": onset_s, "state": "ok",
                "row": n_first + number,
            }
            for number, (uri, group, onset_s) in enumerate(rows)
        ],
        schema=pa.schema(
            [("uri", pa.string()), ("path", pa.string()), ("group", pa.string()), ("onset_s", pa.float64()),
             ("state", pa.string()), ("row", pa.int64())]
        ),
    )  # fmt: skip
    header = StoreHeader("/s", Recipe(), f"digest {rows}", len(rows), 64)
    return FeatureStore(header, table, ())


@pytest.fixture(scope="module")
def labels_store(small_corpus: Path, preprocessed: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Ten rows of the small corpus, as a review of them would say them, and one that is new."""
    folder = tmp_path_factory.mktemp("labels")
    lines = (small_corpus / "labels.csv").read_text().splitlines()
    first = [f"{small_corpus}/{line}".split(",") for line in lines[1:11]]
    for cells in first:
        cells[6] = f"night of {cells[6]}"
    table = folder / "labels.csv"
    table.write_text("\n".join([lines[0], *(",".join(cells) for cells in first)]) + "\n")
    return preprocessed([], folder / "labels.zarr", labels=table)


class TestReading:
    @pytest.fixture
    def both(self, small_store: str, labels_store: str) -> JoinedStore:
        return join_stores(open_store(small_store), open_store(labels_store))

    def test_rows_are_those_of_both(self, both: JoinedStore, small_store: str, labels_store: str) -> None:
        one, other = open_store(small_store), open_store(labels_store)
        assert both.header.n_rows == 130 == both.rows.num_rows
        rows = [129, 3, 120, 0, 121]
        for read in ("waveforms", "log_mels"):
            expected = [getattr(other if row >= 120 else one, read)([row - 120 * (row >= 120)])[0] for row in rows]
            np.testing.assert_array_equal(getattr(both, read)(rows), np.stack(expected))
        assert both.waveforms([]).shape == (0, both.recipe.n_samples)
        with pytest.raises(IndexError):
            both.waveforms([130])

    def test_a_sound_that_both_hold_counts_once_and_the_second_says_what_it_is(self, both: JoinedStore) -> None:
        gone = np.flatnonzero(np.asarray(both.column("state")) == SUPERSEDED)
        assert len(gone) == 10
        assert gone.max() < 120
        assert len(both.usable) == 120
        again = {uri for row, uri in enumerate(both.column("uri")) if row in gone}
        assert again == set(both.column("uri")[120:])

    def test_another_recipe_is_refused(
        self, small_store: str, small_corpus: Path, preprocessed: Callable[..., str], tmp_path: Path
    ) -> None:
        recipe = Recipe(clip=ClipRule(length_s=0.75))
        other = preprocessed([small_corpus / "gunshot"], tmp_path / "other.zarr", recipe)
        with pytest.raises(StoreMismatchError, match=f"{recipe.digest}, but {Recipe().digest} is needed"):
            open_joined(small_store, other)

    def test_a_store_alone_is_itself(self, small_store: str) -> None:
        assert type(open_joined(small_store, None)) is FeatureStore


@given(
    first=st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("123"), st.just(1.0)), min_size=1, max_size=9),
    second=st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("234"), st.just(9.0)), min_size=1, max_size=9),
)
def test_a_unit_holds_whole_groups_and_whole_recordings(
    first: list[tuple[str, str, float]], second: list[tuple[str, str, float]]
) -> None:
    joined = join_stores(listed(first), listed(second, len(first)))
    rows = [*first, *second]
    units = joined.units.tolist()
    for number, (uri, group, _) in enumerate(rows):
        assert {unit for unit, row in zip(units, rows, strict=True) if row[0] == uri or row[1] == group} == {
            units[number]
        }
    # and nothing else is put together: each unit is one piece, grown from any of its rows
    for unit in set(units):
        mine = {row for row, of in zip(rows, units, strict=True) if of == unit}
        piece = {next(iter(mine))}
        for _ in rows:
            piece |= {row for row in rows for held in piece if row[0] == held[0] or row[1] == held[1]}
        assert piece == mine
    assert set(units) <= {group for _, group, _ in rows}


@pytest.mark.parametrize(("apart_s", "uri", "is_same"), [
    (0.0, "/a.wav", True), (SAME_SOUND_S - 1e-6, "/a.wav", True), (SAME_SOUND_S + 1e-6, "/a.wav", False),
    (0.0, "/b.wav", False),
])  # fmt: skip
def test_one_sound_is_one_moment_of_one_recording(apart_s: float, uri: str, is_same: bool) -> None:
    joined = join_stores(listed([("/a.wav", "x", 2.0)]), listed([(uri, "y", 2.0 + apart_s)]))
    assert (joined.column("state")[0] == SUPERSEDED) == is_same
    assert joined.column("state")[1] == "ok"


@pytest.mark.parametrize("known", ["/old/a.wav", "s3://new/a.wav"])
@pytest.mark.parametrize("shown", ["/old/a.wav", "file:///old/a.wav"])
def test_a_recording_that_was_moved_is_the_same_under_either_address(known: str, shown: str) -> None:
    moved = listed([("s3://new/a.wav", "night", 2.0), ("s3://new/b.wav", "other night", 2.0)], paths=[shown, "b.wav"])
    joined = join_stores(listed([(known, "x", 2.0), (known, "x", 5.0), ("/old/b.wav", "y", 2.0)]), moved)
    assert [state == SUPERSEDED for state in joined.column("state")] == [True, False, False, False, False]
    units = joined.units.tolist()
    assert units[0] == units[1] == units[3]
    assert len(set(units)) == 3


def test_a_path_below_an_input_is_no_address() -> None:
    joined = join_stores(listed([("/one/a.wav", "x", 2.0)]), listed([("/two/a.wav", "y", 2.0)], paths=["r0.wav"]))
    assert joined.column("state")[0] == "ok"
    assert len(set(joined.units.tolist())) == 2
