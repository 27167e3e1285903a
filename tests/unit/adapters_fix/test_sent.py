"""The record of what left under which number: what it says, and what it never claims to know."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.fix.sent import NEVER_RECEIVED, NEVER_SENT, SentLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sent"


def test_an_order_not_in_it_was_never_sent_and_one_in_it_may_have_arrived(path: Path) -> None:
    log = SentLog(path)
    log.sent("A", 2)
    for one in (log, SentLog(path)):
        assert one.why_unsent("A") == ""
        assert one.why_unsent("B") == NEVER_SENT


def test_a_number_asked_for_again_names_its_order_until_it_is_sent_anew(path: Path) -> None:
    log = SentLog(path)
    for seq, one in enumerate("ABCD", start=2):
        log.sent(one, seq)
    assert log.lost(3, 4) == ["B", "C"]
    assert log.lost(3, 4) == [], "said once"
    log.sent("B", 6)
    for one in (log, SentLog(path)):
        assert [one.why_unsent(name) for name in "ABCD"] == ["", "", NEVER_RECEIVED, ""]
    assert SentLog(path).lost(5) == ["D", "B"]


def test_a_number_used_again_by_another_order_never_left_under_the_first(path: Path) -> None:
    log = SentLog(path)
    log.sent("A", 2)
    log.sent("B", 2)
    assert (log.why_unsent("A"), log.why_unsent("B")) == (NEVER_SENT, "")


def test_orders_of_an_older_count_get_no_answer(path: Path) -> None:
    log = SentLog(path)
    log.sent("A", 2)
    log.begin_again()
    log.sent("B", 2)
    for one in (log, SentLog(path)):
        assert [one.why_unsent(name) for name in "AB"] == ["", ""]
        assert one.why_unsent("C") == NEVER_SENT
    assert log.lost(1) == ["B"]


def test_a_torn_line_is_cut_and_a_cut_file_says_nothing_of_what_it_does_not_hold(path: Path) -> None:
    log = SentLog(path)
    for seq in range(1, 11):
        log.sent(f"O{seq}", seq)
    with path.open("a") as file:
        file.write("sent 11 O1")
    again = SentLog(path, most=6)
    assert [again.why_unsent(name) for name in ("O1", "O11", "O10")] == ["", "", ""]
    assert path.read_text().splitlines() == ["cut", "sent 8 O8", "sent 9 O9", "sent 10 O10"]
    assert SentLog(path).why_unsent("O1") == "", "the cut is remembered"
