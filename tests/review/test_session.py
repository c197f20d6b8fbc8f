"""The queue and a person at it: orders, filters, undo, progress, agreement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gunshot.errors import ParameterError, StorageError
from gunshot.review.queue import Item, load_queue, recording_uri
from gunshot.review.session import ReviewSession

Start = Callable[..., ReviewSession]


def test_orders_hold_the_same_detections_and_the_sample_is_its_own(results: str) -> None:
    queue = load_queue(results)
    likeliest, uncertain, sample = (queue.numbers(order) for order in ("likeliest", "uncertain", "sample"))
    assert sorted(likeliest) == sorted(uncertain) == list(range(30))
    assert not set(sample) & set(likeliest)
    assert [queue.items[n].start_s for n in sample[:4]] == [5.05, 6.05, 7.05, 8.05]
    scores = np.array([queue.items[n].score for n in likeliest])
    assert (np.diff(scores) <= 0).all()
    assert (np.diff(np.abs([queue.items[n].score - queue.threshold for n in uncertain])) >= 0).all()


def test_filters_divide_an_order(results: str) -> None:
    queue = load_queue(results)
    whole = set(queue.numbers("likeliest").tolist())
    by_site = [set(queue.numbers("likeliest", site=site).tolist()) for site in queue.sites]
    by_night = [set(queue.numbers("likeliest", night=night).tolist()) for night in queue.nights]
    for parts in (by_site, by_night):
        assert set().union(*parts) == whole
        assert sum(map(len, parts)) == len(whole)
    assert not queue.numbers("likeliest", site="elsewhere").size
    with pytest.raises(ParameterError, match="order must be one of"):
        queue.numbers("loudest")


def test_neighbours_are_of_the_same_recording_in_time(results: str) -> None:
    queue = load_queue(results)
    for item in queue.items:
        before, after = queue.around(item.number)
        for number, sign in ((before, -1), (after, 1)):
            if number is not None:
                other = queue.items[number]
                assert other.uri == item.uri
                assert sign * (other.start_s - item.start_s) >= 0
                assert queue.around(number)[0 if sign > 0 else 1] == item.number


def test_decisions_are_found_again_and_undo_goes_back_one_by_one(session: Start) -> None:
    anna = session()
    anna.decide(4, "gunshot", "rifle", "near the river\n\x00")
    anna.decide(4, "not")
    anna.decide(5, "unsure")
    assert session().details(4)["label"] == "not"
    assert anna.undo() == 5
    assert anna.undo() == 4
    again = session().details(4)
    assert (again["label"], again["class"], again["note"]) == ("gunshot", "rifle", "near the river")
    assert session().details(5)["label"] == ""
    assert anna.undo() == 4
    assert anna.undo() is None
    assert session().progress("likeliest")["done"] == 0


def test_the_next_open_one_is_found_and_comes_round(session: Start) -> None:
    anna = session()
    places = [int(number) for number in anna.queue.numbers("likeliest")]
    for place in (0, 1, 3):
        anna.decide(places[place], "not")
    assert anna.next_open("likeliest", -1) == 2
    assert anna.next_open("likeliest", 2) == 4
    assert anna.next_open("likeliest", 2, step=-1) == 29
    for place in range(4, 30):
        anna.decide(places[place], "not")
    assert anna.next_open("likeliest", 29) == 2
    anna.decide(places[2], "not")
    assert anna.next_open("likeliest", 0) is None
    assert anna.progress("likeliest")["done"] == 30
    assert anna.progress("sample")["done"] == 0


def test_what_others_said_is_told_after_ones_own_word_and_agreement_is_counted(session: Start) -> None:
    anna, ben = session("Anna"), session("Ben")
    for number, label in ((1, "gunshot"), (2, "not"), (3, "gunshot")):
        anna.decide(number, label)
    ben.refresh()
    assert ben.details(1)["others"] == []
    ben.decide(1, "gunshot")
    ben.decide(2, "gunshot")
    assert ben.details(1)["others"] == [{"who": "Anna", "label": "gunshot", "class": ""}]
    progress = ben.progress("likeliest")
    assert (progress["shared"], progress["agreed"], progress["done"]) == (2, 1, 2)
    anna.refresh()
    assert anna.progress("likeliest")["shared"] == 2
    ben.undo()
    anna.refresh()
    assert anna.progress("likeliest")["shared"] == 1


def test_a_list_of_classes_is_a_persons_own(session: Start) -> None:
    anna = session("Anna")
    assert anna.classes.replace(["AK", " AK ", "", "gas cannon\n"]) == ["AK", "gas cannon"]
    assert session("Anna").classes.names == ["AK", "gas cannon"]
    assert "AK" not in session("Ben").classes.names


@pytest.mark.parametrize("path", ["../secret.wav", "a/../../b.wav", "/etc/x.wav", "s3://other/x.wav", "..\\x.wav"])
def test_no_path_of_the_results_leads_out_of_the_archive(path: str) -> None:
    item = Item(number=0, path=path, uri="/old/x.wav", channel=None, start_s=0.0, end_s=1.0, score=0.9)
    with pytest.raises(StorageError, match="does not lie below --archive"):
        recording_uri(item, "/archive")


@pytest.mark.parametrize(("number", "label"), [(-1, "not"), (10**6, "not"), (1, "maybe"), (1, "")])
def test_what_is_no_decision_is_refused_and_leaves_nothing(session: Start, number: int, label: str) -> None:
    anna = session()
    with pytest.raises(ParameterError):
        anna.decide(number, label)
    assert session().progress("likeliest")["people"] == []
