from __future__ import annotations

import json
import timeit
import types
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.lots import LotMethod
from gateway.domain.order import ExecType, OrderSpec, OrdStatus, OrdType, Report, Side, TimeInForce
from gateway.domain.proposal import Approved, Proposal
from gateway.domain.request import (
    Action,
    Denial,
    DenyReason,
    LotTax,
    Mode,
    NameDecision,
    Others,
    Regime,
    RequestState,
)
from gateway.domain.schedule import ChaseEnd, Schedule, ScheduleOverride, Style
from gateway.domain.standing import DriftLevel
from gateway.domain.substitution import Swapped
from gateway.events import (
    AccountOpened,
    ActionStated,
    ActivityStated,
    ApprovalGiven,
    CancelRejected,
    CancelRequested,
    CheckDue,
    CopyLinked,
    DriftChecked,
    Event,
    ExecutionCopied,
    GatewayStarted,
    HaltRequested,
    LinkBehind,
    LinkDown,
    LinkNoticed,
    LinkUp,
    LossesFound,
    LotOpened,
    MessageRefused,
    OrderAbandoned,
    OrderResent,
    OrderSettled,
    OrdersPlanned,
    OrderUnknown,
    PolicyName,
    PositionStated,
    PowerStated,
    PricesUpdated,
    ReportReceived,
    ReportUnreadable,
    RequestDecided,
    RequestFinished,
    ResumeRequested,
    SendInDoubt,
    SendWithheld,
    TargetsSubmitted,
    TimerFired,
)
from gateway.runtime import wire

GOLDEN = Path(__file__).parents[2] / "golden" / "events_v1.jsonl"
AT = datetime(2026, 3, 2, 14, 30, 0, 123456, UTC)
D = Decimal
SPEC = OrderSpec(
    "r1-AAPL-1-1", "r1", "A1", "saxo", "AAPL", Side.BUY, D(10), OrdType.LIMIT, D("187.23"), TimeInForce.DAY,
    1, "USD", D("1872.30"),
)  # fmt: skip
REPORT = Report(
    "r1-AAPL-1-1", "E-77", ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, D(4), D(6), D(4), D("187.2100"),
    D("187.21"), D("0.35"), "O-9", "", "AAPL", Side.BUY, "", AT, D(10), "E-76", "2", "A1",
)  # fmt: skip
NAME = NameDecision("AAPL", D("187.2"), 0.1, 0.25, 0.2499, D(10), 12.5, 1.0, 0.4, 0.0, "bought", 0.2, 0.1)
LOT = LotTax("A1:opening:0", "2024-02-29", D(10), 321.5, is_long=True, tax=64.3)
NAME = NameDecision(
    "AAPL", D("187.2"), 0.1, 0.25, 0.2499, D(10), 12.5, 1.0, 0.4, 0.0, "bought", "bought 12 days ago", (LOT,),
    substitution="AAPL stands in for MSFT",
)  # fmt: skip
DENIAL = Denial("MSFT", Side.SELL, D(3), DenyReason.WASH_SALE, "sold at a loss 12 days ago")
APPROVED = (
    Approved(
        Proposal("AAPL", Side.BUY, D(10), D("187.2"), 12.5, 1.0, 0.4, 0.0, "", 0.2, 0.1, 3.7), D("187.67")
    ),
    Approved(Proposal("MSFT", Side.SELL, D(3), D("410")), None),
)
SAMPLES: list[Event] = [
    GatewayStarted(at=AT, epoch=7, config_hash="c0ffee", version="0.1.0"),
    AccountOpened(
        at=AT,
        account="A1",
        cash=D("100000.00"),
        lots=(LotOpened(symbol="AAPL", acquired="2024-02-29", qty=D(10), cost=D("1500.55")),),
        lot_method=LotMethod.HIFO,
        taxable=False,
        short_term_rate=D("0.408"),
        long_term_rate=D("0.238"),
    ),
    PricesUpdated(at=AT, as_of=AT, prices={"AAPL": D("187.23"), "MSFT": D("410.00")}, source="file"),
    TargetsSubmitted(
        at=AT,
        request_id="r1",
        account="A1",
        targets={"AAPL": D("0.25"), "MSFT": D(0)},
        as_of=AT,
        expires_at=AT,
        others=Others.SELL,
        mode=Mode.APPROVE,
        regime=Regime.CRISIS,
        entry_id="1700000000000-0",
        signed_by="k1",
        execution=ScheduleOverride(
            Style.VWAP, D(600), volume_curve=(D("0.4"), D(1)), chase_end=ChaseEnd.MARKET
        ),
        policy=PolicyName.THRESHOLD,
        harvest=True,
    ),
    RequestDecided(
        at=AT,
        request_id="r1",
        account="A1",
        action=Action.PARTIAL,
        reason="drift 6.1 %",
        nav=D(100000),
        cash=D("5000.5"),
        drift=0.061,
        max_drift=0.04,
        names=(NAME,),
        approved=APPROVED,
        denied=(DENIAL,),
        tracking_error_left=0.0125,
        schedule=Schedule(Style.CHASE, volume_curve=(D(1), D("2.5")), chase_step_bps=D("7.5")),
        policy=PolicyName.SMART,
        harvest=True,
        swaps=(
            Swapped(
                "MSFT",
                "AAPL",
                D(3),
                D(6),
                ("A1:opening:0",),
                150.0,
                55.5,
                18.4,
                2.5,
                1.2,
                33.4,
                0.81,
                "a loss of 150.00",
            ),
        ),
        swapped_back=("IBM",),
    ),
    OrdersPlanned(at=AT, request_id="r1", account="A1", wave=1, orders=(SPEC,), denied=(DENIAL,)),
    OrderResent(at=AT, cl_ord_id="r1-AAPL-1-1", poss_resend=False),
    OrderAbandoned(at=AT, cl_ord_id="r1-AAPL-1-1", text="never left"),
    RequestFinished(at=AT, request_id="r1", account="A1", state=RequestState.DONE, text="2 orders filled"),
    ReportReceived(at=AT, link="saxo", link_seq=42, report=REPORT),
    CancelRejected(
        at=AT, link="saxo", link_seq=43, cl_ord_id="c1", orig_cl_ord_id="r1-AAPL-1-1", text="too late"
    ),
    OrderUnknown(at=AT, link="saxo", link_seq=44, cl_ord_id="r1-AAPL-1-1", is_certain=False),
    PowerStated(at=AT, link="alpaca", link_seq=49, account="A1", power=D("99.5")),
    PositionStated(
        at=AT,
        link="saxo",
        link_seq=47,
        account="A1",
        symbol="EUR/USD",
        qty=D("-1000"),
        shared_with=("A2",),
        asked_at=AT,
    ),
    ActivityStated(
        at=AT,
        link="alpaca",
        link_seq=48,
        account="A1",
        activity_id="20260302093000000::1",
        kind="DIV",
        on="2026-03-02",
        cash=D("4.2"),
        symbol="AAPL",
        qty=D(3),
        text="cash dividend",
    ),
    OrderSettled(at=AT, cl_ord_id="r1-AAPL-1-1", cum_qty=D(4), avg_px=D("187.2"), by="anna"),
    ActionStated(
        at=AT,
        account="A1",
        symbol="AAPL",
        by="anna",
        amount=D(3),
        new_symbol="SPUN",
        qty=D("2.5"),
        fraction=D("0.2"),
    ),
    MessageRefused(at=AT, link="saxo", link_seq=45, cl_ord_id="r1-AAPL-1-1", text="tag missing"),
    ReportUnreadable(at=AT, link="saxo", link_seq=46, raw="8=FIX.4.4\x019=5\x01", reason="checksum"),
    SendWithheld(at=AT, cl_ord_id="r1-AAPL-1-1", reason="halted", is_answer=True),
    SendInDoubt(at=AT, cl_ord_id="r1-AAPL-1-1", reason="no answer within 5 s"),
    LinkUp(at=AT, link="saxo", was_reset=True, can_look_up=False, replays=False),
    LinkDown(at=AT, link="saxo", reason="timeout"),
    LinkBehind(at=AT, link="saxo", text="forgot 12 events"),
    LinkNoticed(
        at=AT,
        link="tws",
        link_seq=48,
        text="two orders under one reference",
        account="A1",
        severity="critical",
        halts=True,
    ),
    CopyLinked(at=AT, link="saxo-copy", of="saxo", is_up=True),
    ExecutionCopied(at=AT, link="saxo-copy", link_seq=12, of="saxo", report=REPORT),
    TimerFired(at=AT, key="lookup:r1-AAPL-1-1"),
    CheckDue(at=AT, account="A1", session="2026-03-02", closes_at=AT),
    DriftChecked(
        at=AT,
        account="A1",
        session="2026-03-02",
        level=DriftLevel.CRITICAL,
        drift=0.31,
        max_drift=0.15,
        symbol="AAPL",
        text="AAPL is 25 % of NAV",
        request_id="drift:A1:2026-03-02",
        is_news=True,
    ),
    LossesFound(
        at=AT, account="A1", week="2026-W10", names=("MSFT",), loss=150.0, net=33.4, text="worth taking"
    ),
    HaltRequested(at=AT, account="A1", reason="drill", by="anna", cancel_working=True),
    ResumeRequested(at=AT, account="A1", by="anna", reasons=("drill",)),
    ApprovalGiven(at=AT, request_id="r1", by="anna"),
    CancelRequested(at=AT, request_id="r1", by="anna"),
]


def golden_lines() -> list[str]:
    return GOLDEN.read_text(encoding="utf-8").splitlines()


def golden(line: str) -> tuple[str, int, bytes]:
    """Return type, version and the very bytes of `d`, not a reformatted copy of them."""
    name, version = json.loads(line)["t"], json.loads(line)["v"]
    return name, version, line.removeprefix(f'{{"t":"{name}","v":{version},"d":').removesuffix("}").encode()


def test_every_event_type_stands_in_the_golden_file() -> None:
    assert {golden(line)[0] for line in golden_lines()} == set(wire.EVENT_TYPES)
    assert len(wire.EVENT_TYPES) == 35, "a new event type? add it here and a line to the golden file"


def is_within(old: Any, new: Any) -> bool:
    """Say whether everything an old line says still stands; later fields may stand beside it."""
    if isinstance(old, dict):
        return all(key in new and is_within(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(is_within, old, new))
    return bool(old == new)


def test_every_golden_line_is_read_as_it_was_meant() -> None:
    meant = {type(event).__name__: event for event in SAMPLES}
    assert len(meant) == len(SAMPLES)
    newest = {golden(line)[0]: line for line in golden_lines()}
    for line in golden_lines():
        name, version, data = golden(line)
        event = wire.decode(name, version, data)
        if line == newest[name]:
            assert event == meant[name]
        assert is_within(json.loads(data), json.loads(wire.encode(event)[1])), line


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_the_wire_of_today_is_the_newest_golden_line_to_the_byte(event: Event) -> None:
    newest = [line for line in golden_lines() if golden(line)[0] == type(event).__name__][-1]
    name, version, data = golden(newest)
    assert (name, data) == wire.encode(event), "the wire changed: see rule 2 of wire.py, then add a line"
    assert version == wire.VERSIONS[name]


def test_golden_samples_leave_no_field_at_its_default() -> None:
    for event in SAMPLES:
        for field in fields(event):
            value = getattr(event, field.name)
            is_told = value != field.default or value is None
            assert is_told, f"{type(event).__name__}.{field.name} would not be seen to change"


SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    datetime: st.datetimes(timezones=st.just(UTC)),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    type(None): st.none(),
}


def strategy(hint: Any) -> st.SearchStrategy[Any]:
    if hint in SIMPLE:
        return SIMPLE[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    inner = get_args(hint)
    if get_origin(hint) is tuple:
        return st.lists(strategy(inner[0]), max_size=3).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(strategy(inner[0]), strategy(inner[1]), max_size=4)
    if get_origin(hint) in (Union, types.UnionType):
        return st.one_of(*map(strategy, inner))
    hints = get_type_hints(hint)
    return st.builds(hint, **{field.name: strategy(hints[field.name]) for field in fields(hint)})


@pytest.mark.parametrize("kind", wire.EVENT_TYPES.values(), ids=lambda kind: kind.__name__)
def test_any_event_comes_back_as_it_was(kind: type[Event]) -> None:
    @settings(max_examples=15, deadline=None, database=None)
    @given(strategy(kind))
    def round_trip(event: Event) -> None:
        name, data = wire.encode(event)
        assert wire.decode(name, wire.VERSIONS[name], data) == event

    round_trip()


def test_an_unknown_type_names_the_remedy() -> None:
    with pytest.raises(wire.Unreadable, match="newer one"):
        wire.decode("Surprise", 1, b"{}")


def test_a_newer_version_names_the_remedy() -> None:
    with pytest.raises(wire.Unreadable, match="reads up to 1"):
        wire.decode("LinkUp", 2, b"{}")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"at":"2026-03-02T14:30:00Z"}', b"\xff", b'{"at":1,"link":"x"}']
)
def test_damaged_data_is_unreadable(data: bytes) -> None:
    with pytest.raises(wire.Unreadable, match="cannot be read"):
        wire.decode("LinkUp", 1, data)


def test_an_upcaster_lifts_old_entries_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(wire.VERSIONS, "LinkUp", 3)
    monkeypatch.setitem(wire.UPCASTERS, ("LinkUp", 1), lambda old: {**old, "name": old["venue"]})
    monkeypatch.setitem(wire.UPCASTERS, ("LinkUp", 2), lambda old: {"at": old["at"], "link": old["name"]})
    old = b'{"at":"2026-03-02T14:30:00.123456Z","venue":"saxo"}'
    assert wire.decode("LinkUp", 1, old) == LinkUp(AT, "saxo")


def test_a_missing_upcaster_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(wire.VERSIONS, "LinkUp", 2)
    with pytest.raises(wire.Unreadable, match="add one to UPCASTERS"):
        wire.decode("LinkUp", 1, b"{}")


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        wire.encode(LinkUp(AT.replace(tzinfo=None), "saxo"))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    decided = RequestDecided(AT, "r", "A", Action.HOLD, "", D(1), D(1), number, 0.0)
    with pytest.raises(ValueError, match="not finite"):
        wire.encode(decided)


def test_the_word_null_in_a_reason_is_harmless() -> None:
    decided = RequestDecided(AT, "r", "A", Action.HOLD, "null", D(1), D(1), 0.0, 0.0)
    assert wire.decode(*_versioned(decided)) == decided


def _versioned(event: Event) -> tuple[str, int, bytes]:
    name, data = wire.encode(event)
    return name, wire.VERSIONS[name], data


@dataclass
class Toy:
    orders: dict[str, Report]
    at: datetime


def test_a_state_comes_back_with_its_order_kept() -> None:
    state = Toy({"z": REPORT, "a": REPORT}, AT)
    again = wire.decode_state(wire.encode_state(state), Toy)
    assert again == state
    assert list(again.orders) == ["z", "a"]


def test_a_foreign_state_is_unreadable() -> None:
    with pytest.raises(wire.Unreadable, match="Toy"):
        wire.decode_state(b'{"orders": 1}', Toy)


def test_json_for_read_models_writes_decimals_as_text() -> None:
    data = wire.encode_json({"cash": D("1.50"), "at": AT, "state": RequestState.DONE})
    assert wire.decode_json(data) == {"cash": "1.50", "at": "2026-03-02T14:30:00.123456Z", "state": "done"}


def test_a_report_is_written_and_read_in_microseconds() -> None:
    event = ReportReceived(AT, "saxo", 42, REPORT)
    name, data = wire.encode(event)
    write_us = min(timeit.repeat(lambda: wire.encode(event), number=500, repeat=5)) / 500 * 1e6
    read_us = min(timeit.repeat(lambda: wire.decode(name, 1, data), number=500, repeat=5)) / 500 * 1e6
    assert write_us < 40  # about 3 on a quiet machine
    assert read_us < 40  # about 4 on a quiet machine
