"""What names of published collections say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.manifest.names import GUNSHOT_FOLDERS, NameFacts, is_gunshot_folder, name_facts


@pytest.mark.parametrize(
    ("stem", "group", "device"),
    [
        ("IP_162A_S01", "162A", "IP"),
        ("SA_153_S02", "153", "SA"),
        ("1-100032-A-0", "100032", ""),
        ("5-9032-B", "9032", ""),
        ("50901-0-0-12", "50901", ""),
        ("50004060500", "50004060500", ""),
        ("site 7", "site 7", ""),
    ],
)
def test_known_collections_name_the_recording_a_clip_was_cut_from(stem: str, group: str, device: str) -> None:
    assert name_facts(stem) == NameFacts(group, device)


@pytest.mark.parametrize(
    "stem", ["xIP_162A_S01", "IP_162A_S01x", "ip_162A_S01", "IP_162A_S01\n", "1-100032-A-0-1", "50901-0-0"]
)
def test_a_name_that_only_resembles_a_rule_is_a_group_of_its_own(stem: str) -> None:
    assert name_facts(stem) == NameFacts(stem)


def test_shots_of_one_recording_share_a_group_and_others_do_not() -> None:
    shots = {name_facts(f"ZM_{recording}_S{shot:02d}").group for recording in ("089A", "090A") for shot in range(9)}
    assert shots == {"089A", "090A"}


@pytest.mark.parametrize("name", ["Gun-Shot", " gun shots ", "GUNSHOT", "Shots", "1", "gun  shot"])
def test_folders_of_gunshots_are_known_whatever_case_and_hyphens(name: str) -> None:
    assert is_gunshot_folder(name)


@pytest.mark.parametrize("name", ["no gunshot", "gunshots2", "0", "", "gunfire-like", "plastic bag pops"])
def test_other_folders_are_not(name: str) -> None:
    assert not is_gunshot_folder(name)


@given(name=st.sampled_from(sorted(GUNSHOT_FOLDERS)), upper=st.booleans(), between=st.sampled_from(["_", "-", " "]))
def test_every_listed_name_is_known_in_every_spelling(name: str, upper: bool, between: str) -> None:
    spelt = name.replace("_", between)
    assert is_gunshot_folder(spelt.upper() if upper else spelt)
