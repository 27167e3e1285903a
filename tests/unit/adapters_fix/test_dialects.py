"""Each venue's differences, in words a person can compare with the page."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venues import AT, IN_MONEY, NOW, PAIR, SHARE, full

from adapters.fix import decoder, encoder
from adapters.fix.dialects import DIALECTS, DialectError, Venue, market_data, saxo, session_terms, speak
from adapters.fix.dialects.base import Unsendable
from adapters.fix.dialects.notices import (
    AccountInfo,
    Notification,
    OvernightInfo,
    PositionInfo,
    read_notice,
)
from adapters.fix.dialects.wire import Unreadable
from gateway.domain.order import ExecType, OrdStatus, OrdType, TimeInForce
from gateway.events import (
    CancelOrder,
    CancelRejected,
    LookUpOrder,
    MessageRefused,
    OrderUnknown,
    ReportReceived,
    SendOrder,
)

SAXO = speak("saxo", {"client_id": "C1", "accounts": {"main": "A1"}})
DUKASCOPY = speak("dukascopy", {})
IBKR = speak("ibkr", {"accounts": {"main": "U1"}, "primary_exchanges": {"AAPL": "ISLAND"}})
ID = SHARE.cl_ord_id


def order(venue: Venue, spec: Any = SHARE, **changes: Any) -> dict[str, str]:
    return decoder.split(encoder.new_order(SendOrder(replace(spec, **changes)), NOW, venue))


def message(**tags: str) -> str:
    fields = {
        "35": "8", "37": "O1", "11": ID, "17": "E1", "150": "F", "39": "1", "32": "40", "31": "187.5",
        "151": "60", "14": "40", "6": "187.5",
    }  # fmt: skip
    fields |= {tag.removeprefix("t"): value for tag, value in tags.items()}
    return "".join(f"{tag}={value}\x01" for tag, value in fields.items() if value)


def read(venue: Venue, known: dict[str, str] | None = None, **tags: str) -> Any:
    return decoder.decode(message(**tags), "", "v", 7, AT, venue, known)


def report(venue: Venue, known: dict[str, str] | None = None, **tags: str) -> Any:
    found = read(venue, known, **tags)
    assert isinstance(found, ReportReceived)
    return found.report


# --------------------------------------------------------------------------------------------- outbound


def test_the_first_venue_names_client_and_account_in_parties() -> None:
    raw = encoder.new_order(SendOrder(SHARE), NOW, SAXO)
    parties = "453=2|448=C1|447=D|452=3|448=A1|447=D|452=38|"
    assert parties in raw.replace("\x01", "|")
    fields = decoder.split(raw)
    assert (fields["8"], fields["167"], fields["55"]) == ("FIX.4.4", "CS", "AAPL")
    assert "1" not in fields
    for one in (
        encoder.cancel_request(CancelOrder(SHARE, f"{ID}C1"), NOW, SAXO),
        encoder.replace_request(SHARE, f"{ID}R1", ID, "", NOW, SAXO),
    ):
        assert parties in one.replace("\x01", "|")


def test_the_older_generation_has_an_account_instead_of_parties() -> None:
    fields = order(speak("saxo", {"client_id": "C1", "begin_string": "FIX.4.3"}), PAIR)
    assert (fields["8"], fields["1"], fields["460"]) == ("FIX.4.3", "C1/main", "4")
    assert "453" not in fields


def test_an_isin_names_a_share_only_when_it_is_known() -> None:
    venue = speak("saxo", {"client_id": "C1", "identify_by": "isin", "isins": {"AAPL": "US0378331005"}})
    assert (order(venue)["48"], order(venue)["22"]) == ("US0378331005", "4")
    with pytest.raises(Unsendable, match="MSFT is not in isins"):
        order(venue, symbol="MSFT")
    assert "48" not in order(venue, PAIR)


def test_an_order_of_money_says_money_where_the_venue_takes_that() -> None:
    block = speak("saxo", {"client_id": "C1", "block_account": "POOL", "quantity_step": "7"})
    raw = encoder.new_order(SendOrder(IN_MONEY), NOW, block)
    fields = decoder.split(raw)
    assert (fields["152"], fields["12110"], fields["79"]) == ("1234.5", "1234.5", "main")
    assert not {"38", "80"} & set(fields)
    for name in {*DIALECTS} - {"saxo"}:
        spec = replace(IN_MONEY, symbol="EUR/USD")
        with pytest.raises(Unsendable, match="tag 152: the venue has orders of a quantity only"):
            encoder.new_order(SendOrder(spec), NOW, full(name))


@pytest.mark.parametrize(
    ("spec", "changes", "is_taken"),
    [
        (SHARE, {}, True),
        (SHARE, {"time_in_force": TimeInForce.FILL_OR_KILL}, False),
        (SHARE, {"ord_type": OrdType.MARKET, "time_in_force": TimeInForce.GOOD_TILL_CANCEL}, False),
        (PAIR, {"ord_type": OrdType.MARKET, "time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL}, True),
        (PAIR, {"time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL}, False),
    ],
)
def test_a_duration_the_venue_does_not_take_is_not_sent(
    spec: Any, changes: dict[str, Any], *, is_taken: bool
) -> None:
    if is_taken:
        assert order(SAXO, spec, **changes)["59"]
    else:
        with pytest.raises(Unsendable, match="tag 59"):
            order(SAXO, spec, **changes)


def test_a_venue_of_pairs_refuses_everything_else_and_scales() -> None:
    venue = speak("dukascopy", {"quantity_scale": "1000000", "quantity_step": "0.001"})
    assert order(venue, PAIR)["38"] == "0.25"
    with pytest.raises(Unsendable, match="no currency pair"):
        order(venue, SHARE)
    with pytest.raises(Unsendable, match="no multiple of"):
        order(venue, PAIR, order_qty=Decimal(250_001))
    assert encoder.cancel_request(CancelOrder(replace(PAIR, order_qty=Decimal(1)), "X"), NOW, venue)
    assert report(venue, t32="0.1", t14="0.1").last_qty == 100_000


def test_a_cancel_has_only_what_the_venue_names() -> None:
    fields = decoder.split(encoder.cancel_request(CancelOrder(PAIR, f"{ID}C1", "O1"), NOW, DUKASCOPY))
    assert set(fields) == {"8", "9", "35", "11", "41", "37", "55", "54", "60", "10"}


def test_the_mass_questions() -> None:
    fields = decoder.split(encoder.mass_status_request("M1", DUKASCOPY))
    assert (fields["35"], fields["584"], fields["585"]) == ("AF", "M1", "7")
    assert decoder.split(encoder.account_request(DUKASCOPY))["35"] == "U7"
    with pytest.raises(Unsendable, match="no message H"):
        encoder.status_request(LookUpOrder(PAIR), DUKASCOPY)


def test_the_third_venue_names_contracts_its_own_way() -> None:
    share = order(IBKR)
    assert [share[tag] for tag in ("8", "1", "21", "55", "167", "15", "100", "207")] == [
        "FIX.4.2", "U1", "2", "AAPL", "CS", "USD", "SMART", "ISLAND",
    ]  # fmt: skip
    pair = order(IBKR, PAIR)
    assert [pair[tag] for tag in ("55", "15", "167", "100")] == ["EUR", "USD", "CASH", "IDEALPRO"]
    assert order(speak("ibkr", {"extra_tags": {"6433": "1"}}))["6433"] == "1"


def test_a_chain_names_the_previous_id() -> None:
    first = encoder.replace_request(SHARE, f"{ID}R1", ID, "O1", NOW, IBKR)
    second = encoder.replace_request(SHARE, f"{ID}R2", f"{ID}R1", "O1", NOW, IBKR)
    cancel = encoder.cancel_request(CancelOrder(SHARE, f"{ID}C1", previous_id=f"{ID}R2"), NOW, IBKR)
    chain = [(decoder.split(one)["41"], decoder.split(one)["11"]) for one in (first, second, cancel)]
    assert chain == [(ID, f"{ID}R1"), (f"{ID}R1", f"{ID}R2"), (f"{ID}R2", f"{ID}C1")]
    for previous, new in chain:
        assert decoder.order_id_of(new, previous) == ID


def test_a_repeat_is_refused_where_the_venue_cannot_tell_it() -> None:
    venue = speak("ibkr", {"poss_resend": False})
    assert encoder.new_order(SendOrder(SHARE), NOW, venue)
    with pytest.raises(Unsendable, match="tag 97"):
        encoder.new_order(SendOrder(SHARE, poss_resend=True), NOW, venue)


# ---------------------------------------------------------------------------------------------- inbound


@pytest.mark.parametrize("missing", [{"t32": ""}, {"t31": ""}, {"t32": "0"}, {"t32": "0", "t31": "0"}])
def test_an_execution_without_its_own_numbers_is_told_by_the_sums(missing: dict[str, str]) -> None:
    found = report(DUKASCOPY, **missing)
    assert (found.last_qty, found.last_px, found.cum_qty, found.avg_px) == (None, None, 40, Decimal("187.5"))
    assert found.exec_type.is_trade
    for lacking in ({"t14": ""}, {"t6": ""}, {"t6": "0"}):
        with pytest.raises(Unreadable, match=r"needs CumQty\(14\) and AvgPx\(6\)"):
            read(DUKASCOPY, **missing, **lacking)


def test_sums_are_preferred_where_configured() -> None:
    assert report(speak("dukascopy", {"fills_by": "difference"})).last_qty is None
    assert report(DUKASCOPY).last_qty == 40


@pytest.mark.parametrize("venue", [SAXO, DUKASCOPY, IBKR])
@pytest.mark.parametrize("exec_type", ["F", "1", "2"])
def test_every_way_of_saying_an_execution_is_one(venue: Venue, exec_type: str) -> None:
    assert report(venue, t150=exec_type).last_qty == 40


def test_a_way_that_was_certified_away_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="fill_exec_types"):
        read(speak("saxo", {"fill_exec_types": "F"}), t150="2")


@pytest.mark.parametrize("venue", [SAXO, DUKASCOPY, IBKR])
def test_filled_with_something_left_is_not_filled(venue: Venue) -> None:
    assert report(venue, t39="2").ord_status is OrdStatus.PARTIALLY_FILLED
    assert report(venue, t39="2", t151="0").ord_status is OrdStatus.FILLED


def test_what_calculated_means_is_a_setting() -> None:
    assert report(DUKASCOPY, t150="B", t39="B").ord_status is OrdStatus.PENDING_NEW
    venue = speak("dukascopy", {"calculated_means": "calculated"})
    assert report(venue, t150="B", t39="B").ord_status is OrdStatus.CALCULATED
    assert report(SAXO, t150="B", t39="B").ord_status is OrdStatus.CALCULATED


@pytest.mark.parametrize(
    ("trans_type", "exec_type"),
    [("0", ExecType.PARTIAL_FILL), ("1", ExecType.TRADE_CANCEL), ("2", ExecType.TRADE_CORRECT)],
)
def test_the_older_way_of_busts(trans_type: str, exec_type: ExecType) -> None:
    assert report(IBKR, t20=trans_type, t150="1").exec_type is exec_type


def test_an_answer_to_a_status_request_of_the_older_kind() -> None:
    assert report(IBKR, t20="3", t150="1").exec_type is ExecType.ORDER_STATUS
    assert isinstance(read(IBKR, t20="3", t150="8", t39="8", t37="NONE", t14="0"), OrderUnknown)


def test_a_cancel_of_the_venue_names_the_order_itself() -> None:
    other = "ZZZZZZZZZZZZZZZZ"
    assert report(IBKR, t150="4", t39="4", t11=f"{ID}C1", t41=ID).cl_ord_id == ID
    assert report(IBKR, t150="4", t39="4", t11=ID, t41=other, t378="0").cl_ord_id == ID


def test_orders_are_found_by_the_venues_id_first() -> None:
    known = {"O1": ID}
    assert report(SAXO, known, t11="").cl_ord_id == ID
    assert report(SAXO, known, t11="made by the desk").cl_ord_id == ID
    assert report(SAXO, {}, t11="made by the desk").cl_ord_id == "made by the desk"
    with pytest.raises(Unreadable, match=r"OrderID\(37\) 'O1' is order"):
        read(SAXO, known, t11="ZZZZZZZZZZZZZZZZ")
    with pytest.raises(Unreadable, match="tag 11"):
        read(SAXO, {}, t11="")
    rejected = read(SAXO, known, t35="9", t11="", t39="2")
    assert isinstance(rejected, CancelRejected)
    assert rejected.orig_cl_ord_id == ID


def test_an_answer_to_the_mass_question_is_never_an_execution() -> None:
    found = report(DUKASCOPY, t584="M1")
    assert (found.exec_type, found.last_qty, found.exec_id, found.cum_qty) == (
        ExecType.ORDER_STATUS, None, "", 40,
    )  # fmt: skip
    assert read(DUKASCOPY, t584="M1", t911="0", t912="Y", t11="", t37="NONE", t150="I", t39="8") is None


@pytest.mark.parametrize(
    ("tags", "symbol"),
    [
        ({"t55": "EUR", "t15": "USD", "t167": "CASH"}, "EUR/USD"),
        ({"t55": "EUR", "t167": "CASH"}, ""),
        ({"t55": "EUR"}, ""),
        ({"t55": "IBM", "t167": "CS"}, "IBM"),
        ({"t55": "AAPL"}, "AAPL"),
    ],
)
def test_a_pair_is_put_together_again(tags: dict[str, str], symbol: str) -> None:
    assert report(IBKR, **tags).symbol == symbol


def test_symbols_go_out_and_come_back_through_the_table() -> None:
    venue = speak("saxo", {"client_id": "C", "symbols": {"AAPL": "AAPL:xnas"}})
    assert order(venue)["55"] == "AAPL:xnas"
    assert report(venue, t55="AAPL:xnas").symbol == "AAPL"


def test_reject_texts_are_for_people() -> None:
    venue = speak("saxo", {"reject_texts": {"3": "over the limit"}})
    assert report(venue, t150="8", t39="8", t103="3").text == "over the limit"
    assert report(venue, t150="8", t39="8", t103="3", t58="no").text == "no (over the limit)"


def test_two_values_for_one_tag_are_unreadable() -> None:
    with pytest.raises(Unreadable, match="tag 32"):
        decoder.decode(message() + "32=41\x01", "", "v", 7, AT, SAXO)
    again = decoder.decode(message() + "32=40\x0158=a\x0158=b\x01", "", "v", 7, AT, SAXO)
    assert isinstance(again, ReportReceived)


@pytest.mark.parametrize("value", ["1e2", "4_0", "٤٠", " 40", "0x28", "--4", "4" * 31, "-40"])
def test_what_only_looks_like_a_number_is_unreadable(value: str) -> None:
    with pytest.raises(Unreadable, match="tag 32"):
        read(SAXO, t32=value, t14="1000")


def test_more_executed_at_once_than_in_all_is_unreadable() -> None:
    with pytest.raises(Unreadable, match=r"CumQty\(14\)"):
        read(SAXO, t32="41")


def test_a_commission_per_unit_of_an_unknown_quantity_is_unreadable() -> None:
    with pytest.raises(Unreadable, match=r"Commission\(12\)"):
        read(DUKASCOPY, t32="", t12="0.1", t13="1")


@pytest.mark.parametrize("msg_type", ["AI", "U4", "U5", "U6", "B", "W", "h", "U1", "U2", "U3"])
def test_other_messages_are_passed_over(msg_type: str) -> None:
    assert decoder.decode(f"35={msg_type}\x0155=EUR/USD\x01", "", "v", 1, AT, DUKASCOPY) is None


def test_additional_costs_of_an_execution_are_added_unless_they_are_to_be_ignored() -> None:
    ignoring = speak("saxo", {"client_id": "C", "additional_costs": "ignore"})
    assert report(SAXO, t12="1.25", t12115="0.50").commission == Decimal("1.75")
    assert report(SAXO, t12115="0.50").commission == Decimal("0.50")
    assert report(ignoring, t12="1.25", t12115="0.50").commission == Decimal("1.25")


def test_a_refusal_is_the_same_in_every_dialect() -> None:
    found = decoder.decode("35=j\x0145=3\x01380=8\x0158=blocked\x01", ID, "v", 1, AT, DUKASCOPY)
    assert found == MessageRefused(AT, "v", 1, ID, "35=j reason 8: blocked")


def test_notices_are_read_and_never_raise() -> None:
    venue = speak("dukascopy", {"quantity_scale": 1000})

    def notice(text: str) -> Any:
        return read_notice(decoder.split(text.replace("|", "\x01")), venue)

    assert notice("35=U1|7004=A|7003=2|58=margin|") == Notification("A", 2, "margin")
    assert notice("35=U2|7004=A|15=USD|7005=30|7006=1.5|7007=2|") == AccountInfo(
        "A", "USD", Decimal(30), Decimal("1.5"), Decimal(2)
    )
    assert notice("35=U3|7004=A|55=EUR/USD|7008=-2|44=1.1|") == PositionInfo(
        "A", "EUR/USD", Decimal(-2000), Decimal("1.1")
    )
    assert notice("35=U4|1=A|55=EUR/USD|7008=3|") == OvernightInfo("A", "EUR/USD", Decimal(3000))
    for text in ("35=U1|58=x|", "35=U2|7006=1|", "35=U3|7008=1e5|44=1|", "35=U4|1=A|", "35=8|"):
        assert notice(text) is None
    assert read_notice({"35": "U1", "7003": "1"}, SAXO) is None


@given(
    st.lists(st.tuples(st.integers(1, 500), st.decimals("0.01", "999", places=2)), min_size=1, max_size=12)
)
def test_sums_alone_rebuild_every_execution(fills: list[tuple[int, Decimal]]) -> None:
    cum, notional = Decimal(0), Decimal(0)
    seen_qty, seen_notional = Decimal(0), Decimal(0)
    for number, (qty, px) in enumerate(fills):
        cum, notional = cum + qty, notional + qty * px
        found = report(
            DUKASCOPY, t17=f"E{number}", t32="", t31="", t14=str(cum), t6=f"{notional / cum:.20f}", t151="9"
        )
        assert found.avg_px is not None
        got_qty = found.cum_qty - seen_qty
        got_px = (found.cum_qty * found.avg_px - seen_notional) / got_qty
        assert got_qty == qty
        assert abs(got_px - px) < Decimal("1e-9")
        seen_qty, seen_notional = seen_qty + got_qty, seen_notional + got_qty * got_px


# ------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("name", "given_keys", "reason"),
    [
        ("saxo", {"client": "x"}, "client: the saxo dialect has no such key; known: .*client_id"),
        ("plain", {"client_id": "x"}, "known: none"),
        ("saxo", {"identify_by": "cusip"}, "identify_by: write one of symbol, isin"),
        ("dukascopy", {"quantity_scale": "much"}, "quantity_scale: write a number"),
        ("dukascopy", {"send_account": 2}, "send_account: write true or false"),
        ("dukascopy", {"positions_limit": True}, "positions_limit: write a whole number"),
        ("saxo", {"client_id": 5}, "client_id: write a text"),
        ("saxo", {"accounts": "x"}, "accounts: write a table of texts"),
        ("saxo", {"certified": ["client_id"]}, "certified: write a list of open keys: .*begin_string"),
        ("saxo", {"symbols": {"A": "X", "B": "X"}}, "symbols: two of our symbols"),
        ("ibkr", {"extra_tags": {"FA": "x"}}, "extra_tags: write tag numbers"),
        ("saxo", {"week_starts": "Monday 5"}, "week_starts: 'Monday 5' is no moment"),
        ("ibkr", {"reset_at": "Day 17:00", "reset_zone": "Mars/Base"}, "reset_at: .*Mars"),
        ("nasdaq", {}, "no dialect 'nasdaq'; known: plain, saxo"),
    ],
)
def test_a_mistake_is_one_sentence(name: str, given_keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(DialectError, match=reason):
        speak(name, given_keys)


def test_nothing_is_certified_until_somebody_says_so() -> None:
    for name, dialect in DIALECTS.items():
        open_keys = {key.name for key in dialect.keys if key.is_open}
        assert set(speak(name, {}).uncertified) == open_keys
        assert speak(name, {"certified": sorted(open_keys)}).uncertified == ()
    assert len(speak("saxo", {"certified": "transport"}).uncertified) == len(SAXO.uncertified) - 1


def test_texts_from_the_environment_are_read_as_what_they_are() -> None:
    venue = speak("dukascopy", {"send_account": "true", "quantity_scale": "1000", "positions_limit": "5"})
    assert (venue.is_on("send_account"), venue.number("quantity_scale"), venue.number("positions_limit")) == (
        True, 1000, 5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "given_keys", "expected"),
    [
        ("plain", {}, {"heartbeat_s": 10, "reset_on_logon": False, "reset_at": "", "orders_per_s": 50}),
        ("saxo", {"client_id": "C"}, {"heartbeat_s": 30, "reset_at": "Mon 05:00", "reset_on_logon": False}),
        (
            "saxo",
            {"heartbeat_s": 20},
            {"heartbeat_s": 20, "groups": (saxo.PARTIES, saxo.ALLOCATIONS, *market_data.GROUPS)},
        ),
        ("dukascopy", {}, {"reset_on_logon": True, "orders_per_s": 16, "connects_per_minute": 5}),
        ("dukascopy", {"reset_each_logon": False}, {"reset_on_logon": False}),
        ("dukascopy", {"orders_per_s": 5}, {"orders_per_s": 5}),
        ("ibkr", {}, {"begin_string": "FIX.4.2", "reset_on_logon": False, "connects_per_minute": 0}),
        ("ibkr", {"reset_at": "Day 00:00"}, {"reset_at": "Day 00:00", "reset_zone": "America/New_York"}),
    ],
)  # fmt: skip
def test_the_session_follows_the_venue(
    name: str, given_keys: dict[str, Any], expected: dict[str, Any]
) -> None:
    terms = session_terms(speak(name, given_keys), reset_on_logon=False, heartbeat_s=10, orders_per_s=50)
    assert {**terms, **expected} == terms


def test_a_link_may_ask_for_a_reset_only_where_the_venue_allows_it() -> None:
    def resets(venue: Venue) -> bool:
        terms = session_terms(venue, reset_on_logon=True, heartbeat_s=10, orders_per_s=0)
        return terms["reset_on_logon"]

    assert resets(IBKR)
    assert not resets(speak("ibkr", {"reset_allowed": False}))
    assert not resets(SAXO)


def test_a_begin_string_the_venue_does_not_speak_is_refused() -> None:
    assert speak("saxo", {}, "FIX.4.3").begin_string == "FIX.4.3"
    with pytest.raises(DialectError, match=r"ibkr speaks FIX\.4\.2"):
        speak("ibkr", {}, "FIX.4.4")


def test_who_can_be_asked() -> None:
    assert (SAXO.look_up, DUKASCOPY.look_up, IBKR.look_up) == ("", "AF", "H")
    assert full("saxo").look_up == "H"
    assert SAXO.unwritten == ()
    assert speak("saxo", {}).unwritten == ("client_id",)


FUTURES: dict[str, Any] = {
    "client_id": "C1", "trader": "T1", "trader_location": "DK", "security_types": {"AAPL": "FUT"},
    "booking_type": "0",
}  # fmt: skip


def test_a_listed_future_names_its_trader_and_where_he_is() -> None:
    venue = speak("saxo", FUTURES)
    for raw in (
        encoder.new_order(SendOrder(SHARE), NOW, venue),
        encoder.cancel_request(CancelOrder(SHARE, f"{ID}C1"), NOW, venue),
        encoder.replace_request(SHARE, f"{ID}R1", ID, "", NOW, venue),
    ):
        text = raw.replace("\x01", "|")
        assert "|142=DK|" in text
        assert "453=3|" in text
        assert "448=T1|447=D|452=11|" in text
    assert "142" not in order(venue, PAIR)
    assert "142" not in order(speak("saxo", {**FUTURES, "booking_type": "1"})), "a CFD is not listed"
    assert "142" not in order(SAXO)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trader": ""}, "trader: futures need"),
        ({"trader": "T-1"}, "trader: write letters and digits"),
        ({"trader": "T" * 17}, "trader: write letters and digits, 16 at most"),
        ({"trader_location": ""}, r"trader_location: listed futures need SenderLocationID\(142\)"),
        ({"trader_location": "Denmark"}, "trader_location: write a country"),
    ],
)
def test_futures_without_what_the_venue_demands_are_refused_before_anything_starts(
    changes: dict[str, str], reason: str
) -> None:
    with pytest.raises(DialectError, match=reason):
        speak("saxo", {**FUTURES, **changes})


def test_the_older_generation_may_say_on_whose_behalf() -> None:
    old = speak("saxo", {"client_id": "C1", "begin_string": "FIX.4.3", "on_behalf_of": "DESK"})
    assert order(old)["115"] == "DESK"
    assert "115" not in order(SAXO)


@pytest.mark.parametrize("venue", [SAXO, DUKASCOPY, IBKR, speak("plain", {})])
@pytest.mark.parametrize(
    ("cl_ord_id", "original"),
    [
        (ID, "VENUE-7"),
        ("VENUE-7", ID),
        (f"{ID}R2", f"{ID}R1"),
        (f"{ID}C1", ID),
        ("VENUE-7", f"{ID}R1"),
        (ID, ""),
    ],
)
def test_either_id_of_ours_names_the_order_whatever_the_other_is(
    venue: Venue, cl_ord_id: str, original: str
) -> None:
    assert report(venue, t11=cl_ord_id, t41=original).cl_ord_id == ID
    refused = read(venue, t35="9", t11=cl_ord_id, t41=original)
    assert isinstance(refused, CancelRejected)
    assert refused.orig_cl_ord_id == ID


def test_an_order_nobody_here_sent_keeps_the_first_id_of_its_chain() -> None:
    assert report(SAXO, t11="B2", t41="B1").cl_ord_id == "B1"
    assert report(SAXO, t11="B1").cl_ord_id == "B1"


@pytest.mark.parametrize("tags", [{"t20": "2"}, {"t150": "G"}])
def test_a_correction_says_what_it_corrects_and_how(tags: dict[str, str]) -> None:
    found = report(IBKR, t19="E0", t32="30", t31="187", t14="30", **tags)
    assert (found.exec_type, found.exec_ref_id) == (ExecType.TRADE_CORRECT, "E0")
    assert (found.last_qty, found.last_px) == (Decimal(30), Decimal(187))
