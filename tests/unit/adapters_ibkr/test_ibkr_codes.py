"""The error codes: one row each, and what each does to a new order and to one TWS has acknowledged."""

from __future__ import annotations

import pytest
from ibkr_words import REF, Story, error, status

from adapters.ibkr.codes import TABLE, Action, ends_question, row_of, words
from adapters.ibkr.known import Life
from adapters.ibkr.outcomes import Bar, CancelRefused, IdUsed, SendWhole
from gateway.domain.order import OrdStatus

INVALID = [106, 107, 109, 111, 113, 116, 132, 133, 134, *range(151, 161), 164, 167, 168]
REFUSED = [*INVALID, 110, 201, 321, 434, 435, 10268, 10274]
BARRED = [200, 203, 460]
ID_USED = [103, 104, 105, 329]
ASKED = [162, 163, 165, 166, 320, 322, 382, 383, 451, 10311, 10329, 502, 504, 507, 354, 10168, 10197, 10167]
SILENT = [131, 2100, 2119, 399, 404, 2107, 2108, 2109, 2148, 2161, 2168, 2169, 2174, 10349]
CONNECTION = {
    100: Action.TOO_FAST, 326: Action.ID_IN_USE, 502: Action.RECONNECT, 504: Action.RECONNECT,
    507: Action.RECONNECT, 1100: Action.CUT_OFF, 1101: Action.RESTORED, 1102: Action.RESTORED,
    1300: Action.RECONNECT, 2103: Action.FARM_BROKEN, 2104: Action.FARM_OK, 2105: Action.FARM_BROKEN,
    2106: Action.FARM_OK, 2110: Action.CUT_OFF, 2157: Action.FARM_BROKEN, 2158: Action.FARM_OK,
    354: Action.PRICES, 10167: Action.PRICES, 10168: Action.PRICES, 10197: Action.PRICES,
}  # fmt: skip
CANCELS = [135, 136, 137, 161, 10147, 10148, 10149]
UNKNOWN = [99, 388, 387, 391, 463, 481, 777, 12_345]


def test_every_row_is_tested_here() -> None:
    here = {*REFUSED, *BARRED, *ASKED, *SILENT, *CONNECTION, *CANCELS, *ID_USED, 202, 10243}
    assert here == set(TABLE)
    assert all(TABLE[code].code == code and TABLE[code].meaning for code in TABLE)


@pytest.mark.parametrize("code", [*REFUSED, *BARRED])
def test_a_code_that_refuses_ends_a_new_order(code: int) -> None:
    story = Story().sent().hears(error(code, "no"))
    assert story.last is OrdStatus.REJECTED
    assert str(code) in story.reports[-1].text
    assert bool(story.of(Bar)) == (code in BARRED)


@pytest.mark.parametrize("code", [*REFUSED, *BARRED, *ASKED, *UNKNOWN, *ID_USED, 10243])
def test_no_code_but_a_cancel_ends_an_order_tws_has(code: int) -> None:
    story = Story().live().forgets().hears(error(code, "no"))
    assert story.reports == []
    assert story.asks == [REF]
    known = story.ledger.find(REF)
    assert known is not None
    assert known.life is Life.LIVE


@pytest.mark.parametrize("code", [*ASKED, *UNKNOWN])
def test_a_code_that_may_mean_anything_is_asked_about_and_told(code: int) -> None:
    story = Story().sent().hears(error(code, "hm"))
    assert story.reports == []
    assert story.asks == [REF]
    assert str(code) in story.notices[0].text


@pytest.mark.parametrize("code", SILENT)
@pytest.mark.parametrize("is_live", [True, False])
def test_information_changes_nothing(code: int, is_live: bool) -> None:
    story = Story().live().forgets() if is_live else Story().sent()
    assert story.hears(error(code, "by the way")).outcomes == []
    assert story.hears(status("Submitted")).last is OrdStatus.NEW if not is_live else True


@pytest.mark.parametrize("code", CANCELS)
def test_a_cancel_that_was_not_carried_out_is_told_and_asked_about(code: int) -> None:
    story = Story().live().forgets()
    known = story.ledger.find(REF)
    assert known is not None
    known.cancel_id = "CANCEL1"
    story.hears(error(code, "cannot be cancelled, state: Filled."))
    refused = story.of(CancelRefused)
    assert [(one.cancel_id, one.ref) for one in refused] == [("CANCEL1", REF)]
    assert story.asks == [REF]
    story.forgets().hears(error(code, "cannot be cancelled, state: Filled."))
    assert story.of(CancelRefused) == []  # said once


@pytest.mark.parametrize("state", ["PendingCancel", "Cancelled", "ApiCancelled"])
def test_a_cancel_under_way_is_no_refusal(state: str) -> None:
    story = Story().live().forgets()
    known = story.ledger.find(REF)
    assert known is not None
    known.cancel_id = "CANCEL1"
    story.hears(error(10148, f"OrderId 101 that needs to be cancelled cannot be cancelled, state: {state}."))
    assert story.of(CancelRefused) == []
    assert story.asks == [REF]


@pytest.mark.parametrize(("code", "action"), CONNECTION.items())
def test_a_code_about_the_connection_is_about_no_order(code: int, action: Action) -> None:
    assert row_of(code).action is action
    assert Story().live().forgets().hears(error(code, "x", order_id=-1)).outcomes == []


def test_too_fast_about_an_order_only_asks() -> None:
    assert Story().sent().hears(error(100, "Max rate of messages per second has been exceeded")).asks == [REF]


@pytest.mark.parametrize("code", ID_USED)
def test_an_id_used_before_did_not_make_an_order(code: int) -> None:
    story = Story().sent().hears(error(code, "Duplicate order id"))
    assert [one.ref for one in story.of(IdUsed)] == [REF]
    assert story.reports == []


def test_a_fraction_not_taken_has_a_way_of_its_own() -> None:
    assert [one.ref for one in Story().sent().hears(error(10243, "Fraction")).of(SendWhole)] == [REF]


@pytest.mark.parametrize("code", UNKNOWN)
def test_a_code_nobody_knows_has_no_power(code: int) -> None:
    assert row_of(code).action is Action.ASK
    assert words(code, "  spread\n over  lines ") == f"{code}: spread over lines (report it)"


def test_a_remark_is_no_end_of_a_question() -> None:
    assert [code for code in (399, 404, 10349, 10167, 2109) if ends_question(code)] == []
    assert all(ends_question(code) for code in (200, 201, 354, 10168, 10197, 321, 777))


def test_words_fall_back_on_the_meaning() -> None:
    assert words(103, "") == "103: the order id was used before"
