"""The corpus and two thousand broken messages a run; `python -m tests.fuzz_simulator` has more."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from fuzz_simulator import CORPUS, Door, Finding, check_books, check_said, replay, run, sealed

FILES = sorted(CORPUS.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_was_found_once_stays_mended(path: Path) -> None:
    door = replay(path)
    assert door.memory.next_out > 1


def test_no_broken_message_crashes_hangs_or_moves_money() -> None:
    outcome = run(2_000, seed=7)
    assert outcome.failures == []
    assert outcome.messages == 2_000
    assert min(outcome.orders, outcome.fills, outcome.heard["F"], outcome.heard["G"], outcome.logons) > 30


def test_the_judge_sees_money_that_no_fill_explains() -> None:
    door: Door = replay(CORPUS / "parties.txt")
    check_books(door.app.venue)
    (account, *_) = door.app.venue.accounts.every()
    account.cash += Decimal("0.01")
    with pytest.raises(Finding, match="its fills say"):
        check_books(door.app.venue)


def test_the_judge_sees_a_bad_frame_and_a_number_said_twice() -> None:
    assert check_said(sealed("FIX.4.4", "35=0|34=3|"), 2) == 3
    with pytest.raises(Finding, match="said number 3 after 3"):
        check_said(sealed("FIX.4.4", "35=0|34=3|"), 3)
    with pytest.raises(Finding, match="badly framed"):
        check_said(sealed("FIX.4.4", "35=0|34=3|", length="9"), 2)
    with pytest.raises(Finding, match="wrong CheckSum"):
        check_said(sealed("FIX.4.4", "35=0|34=3|", total="999"), 2)
