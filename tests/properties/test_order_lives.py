"""Random lives of an order by the thousand: told by the simulated venue in FIX, followed by our own.

Whatever is asked of the venue and whatever its desk does, after each of its messages: no illegal step,
quantities conserved, statuses agree, and the order's own sums are those of the venue's executions.
A life that fails is kept by hypothesis and tried first ever after.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.fix import decoder
from adapters.fix.dialects import Venue as Dialect
from adapters.fix.dialects import speak
from gateway.domain.life import after_refusal, step
from gateway.domain.order import ExecType, Order, OrderSpec, OrdStatus, OrdType, Side, TimeInForce
from gateway.events import CancelRejected, ReportReceived
from simulator.accounts import Accounts, Tariff
from simulator.fix import answers
from simulator.floor import VenueSettings
from simulator.hand import Hand
from simulator.market import Listing, Market
from simulator.orders import Answer, CancelOrder, CancelReject, NewOrder, ReplaceOrder
from simulator.venue import Venue, VenueError

T0 = datetime(2024, 3, 12, 15, 0, tzinfo=UTC)
ID = "ABCDEFGHIJKLMNOP"
SYMBOL = "AAA"
LIVES = int(os.environ.get("LIVES", "2500"))
"""How many in the suite; `make lives` follows ten thousand."""
PENDING = (OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE)
ENDS = {
    ExecType.CANCELED: OrdStatus.CANCELED, ExecType.EXPIRED: OrdStatus.EXPIRED,
    ExecType.DONE_FOR_DAY: OrdStatus.DONE_FOR_DAY,
}  # fmt: skip


class Life:
    """One order at the venue and in our books; every message of the venue is checked against both."""

    def __init__(
        self, begin_string: str, order_qty: int, side: Side, tif: TimeInForce, pending_ms: float | None
    ) -> None:
        self.begin_string = begin_string
        self.dialect: Dialect = (
            speak("plain", {}) if begin_string == "FIX.4.4" else speak("ibkr", {}, begin_string)
        )
        shape = VenueSettings(
            pending_ms=pending_ms, fills_by_hand=True, tariff=Tariff(minimum=Decimal(1), bps=Decimal(2))
        )
        self.venue = Venue(Market([Listing(SYMBOL, Decimal(100))]), Accounts(), shape)
        self.now = T0
        self.seq = 0
        self.changes = 0
        self.known: dict[str, str] = {}
        self.last_id = ID
        self.pending: list[str] = []
        qty = Decimal(order_qty)
        spec = OrderSpec(
            ID, "R1", "main", "sim", SYMBOL, side, qty, OrdType.LIMIT, Decimal(100), tif, 1
        )  # fmt: skip
        self.order = Order(spec, T0)
        new = NewOrder(ID, SYMBOL, side.value, qty, "2", Decimal(100), tif.value, owner="G")
        self.tell(self.venue.submit(new, self.now))

    def tell(self, said: Sequence[Answer]) -> None:
        """Carry the venue's answers to our side as FIX text, and compare after each."""
        for answer in said:
            written = answers.write(answer, self.begin_string)
            fields = "\x01".join(f"{tag}={value}" for tag, value in written.body)
            raw = f"8={self.begin_string}\x0135={written.msg_type}\x01{fields}\x0110=000\x01"
            self.seq += 1
            event = decoder.decode(raw, "", "sim", self.seq, self.now, self.dialect, self.known)
            if isinstance(event, CancelRejected):
                assert isinstance(answer, CancelReject)
                self.pending = [one for one in self.pending if one != answer.cl_ord_id]
                before = self.order.cum_qty
                assert event.ord_status is OrdStatus(answer.ord_status)
                self.order.ord_status = after_refusal(self.order, event.ord_status)
                assert self.order.cum_qty == before, "a cancel reject changes no quantity"
            else:
                assert isinstance(event, ReportReceived)
                self.take(event, answer)

    def take(self, event: ReportReceived, answer: Answer) -> None:
        assert not isinstance(answer, CancelReject)
        report, order = event.report, self.order
        assert report.cl_ord_id == ID, "every message of the chain names the one order"
        self.known[report.order_id] = ID
        change = step(order, report)
        assert not change.illegal, change.illegal
        assert not change.missing_qty
        was = order.ord_status
        order.take(report, change, self.now)
        assert step(order, report).is_repeat or not report.exec_id, "said twice, counted once"
        if report.exec_type is ExecType.ORDER_STATUS:
            assert not change.fill_qty
        is_gtc = order.spec.time_in_force is TimeInForce.GOOD_TILL_CANCEL
        ends_day = report.exec_type is ExecType.DONE_FOR_DAY and is_gtc
        has_ended = report.exec_type in ENDS and report.ord_status in PENDING and not ends_day
        expected = ENDS[report.exec_type] if has_ended else report.ord_status
        had_ended = was in ENDS.values() and not (was is OrdStatus.DONE_FOR_DAY and is_gtc)
        if had_ended and expected in PENDING:
            expected = was  # a request still to be answered does not bring it back
        assert order.ord_status is expected
        assert order.cum_qty == answer.cum_qty
        if report.exec_type is not ExecType.PENDING_REPLACE:  # it may foretell what is asked for (D.2.b)
            assert order.order_qty == answer.order_qty
            assert order.leaves_qty == answer.leaves_qty
        assert order.cum_qty == sum((one.qty for one in order.executions.values()), Decimal(0))
        assert abs(order.avg_px - answer.avg_px) <= Decimal("1E-8")
        if order.ord_status in PENDING:
            assert not order.is_final
        if answer.cl_ord_id != ID and report.exec_type in (ExecType.REPLACED, ExecType.CANCELED):
            self.pending = [one for one in self.pending if one != answer.cl_ord_id]

    # ------------------------------------------------------------------------- what may happen to it

    def fill(self, qty: int, px: int) -> None:
        self.desk(lambda: self.venue.fill(ID, Decimal(qty), self.now, price=Decimal(px)))

    def cancel(self, qty: int, px: int) -> None:
        del qty, px
        name = self.change("C")
        self.tell(self.venue.cancel(CancelOrder(name, self.previous(), "G"), self.now))

    def replace(self, qty: int, px: int) -> None:
        name = self.change("R")
        asked = ReplaceOrder(name, self.previous(), Decimal(qty), Decimal(100 + px % 3), owner="G")
        self.tell(self.venue.replace(asked, self.now))

    def decide(self, qty: int, px: int) -> None:
        refusal = "no" if qty % 2 else None
        if self.pending:
            name = self.pending[px % len(self.pending)]
            self.desk(lambda: self.venue.decide(name, self.now, refusal=refusal))

    def restate(self, qty: int, px: int) -> None:
        del px
        self.desk(lambda: self.venue.restate(ID, Decimal(qty), self.now))

    def cancel_unasked(self, qty: int, px: int) -> None:
        del qty, px
        self.desk(lambda: self.venue.cancel_unsolicited(ID, self.now))

    def bust(self, qty: int, px: int) -> None:
        del px
        self.about_a_fill(qty, lambda hand, exec_id: hand.bust(exec_id, self.now))

    def correct(self, qty: int, px: int) -> None:
        self.about_a_fill(
            qty, lambda hand, exec_id: hand.correct(exec_id, Decimal(qty), Decimal(px), self.now)
        )

    def fill_late(self, qty: int, px: int) -> None:
        (theirs,) = self.venue.orders
        self.desk(
            lambda: self.venue.by_hand(
                lambda hand: hand.fill_late(theirs, Decimal(qty), Decimal(px), self.now), self.now
            )
        )

    def next_day(self, qty: int, px: int) -> None:
        del qty, px
        self.tell(self.venue.close(self.now))
        self.tell(self.venue.reopen(self.now))

    def guarantee(self, qty: int, px: int) -> None:
        del qty
        (theirs,) = self.venue.orders
        self.desk(lambda: self.venue.by_hand(lambda hand: hand.stop(theirs, Decimal(px), self.now), self.now))

    def about_a_fill(self, which: int, act: Callable[[Hand, str], None]) -> None:
        """Let the venue's desk do something about one of the executions that stand."""
        (theirs,) = self.venue.orders
        if theirs.fills:
            exec_id = theirs.fills[which % len(theirs.fills)].exec_id
            self.desk(lambda: self.venue.by_hand(lambda hand: act(hand, exec_id), self.now))

    def ask(self, qty: int, px: int) -> None:
        del qty, px
        self.tell([self.venue.status("G", ID, self.now)])

    def halt(self, qty: int, px: int) -> None:
        del px
        change = self.venue.halt if qty % 2 else self.venue.resume
        self.desk(lambda: change(SYMBOL, self.now))

    def repeat(self, qty: int, px: int) -> None:
        """Send the very order again, as a duplicate or as one that may be."""
        del px
        spec = self.order.spec
        again = NewOrder(
            ID, SYMBOL, spec.side.value, spec.order_qty, "2", Decimal(100), spec.time_in_force.value,
            owner="G", poss_resend=bool(qty % 2),
        )  # fmt: skip
        if qty % 2:
            self.tell(self.venue.submit(again, self.now))

    def wait(self, qty: int, px: int) -> None:
        del px
        self.now += timedelta(milliseconds=qty * 10)
        self.tell(self.venue.advance(self.now))

    def change(self, mark: str) -> str:
        self.changes += 1
        name = f"{ID}{mark}{self.changes}"
        self.pending.append(name)
        return name

    def previous(self) -> str:
        """OrigClOrdID(41): the last id of the chain that was not rejected."""
        (theirs,) = self.venue.orders
        waiting = [one.cl_ord_id for one in theirs.requests]
        return waiting[-1] if waiting else theirs.cl_ord_id

    def desk(self, act: object) -> None:
        """Let the venue's own desk do something, if it can be done now."""
        assert callable(act)
        try:
            said = act()
        except VenueError:
            return
        self.tell(said)


ACTIONS = (
    "fill", "fill", "cancel", "replace", "decide", "restate", "cancel_unasked", "ask", "halt", "repeat",
    "wait", "bust", "correct", "fill_late", "next_day", "guarantee",
)  # fmt: skip
DEEDS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 120), st.integers(1, 300)), max_size=14)


@settings(max_examples=LIVES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["FIX.4.4", "FIX.4.2"]), st.integers(1, 100), st.sampled_from([Side.BUY, Side.SELL]),
    st.sampled_from([TimeInForce.DAY, TimeInForce.GOOD_TILL_CANCEL]), st.sampled_from([None, 0.0, 500.0]),
    DEEDS,
)  # fmt: skip
def test_venue_and_order_manager_agree_on_every_life(
    begin_string: str, order_qty: int, side: Side, tif: TimeInForce, pending_ms: float | None,
    deeds: list[tuple[str, int, int]],
) -> None:  # fmt: skip
    life = Life(begin_string, order_qty, side, tif, pending_ms)
    for name, qty, px in deeds:
        getattr(life, name)(qty, px)
    (theirs,) = life.venue.orders
    while theirs.requests:
        life.tell(life.venue.decide(theirs.requests[0].cl_ord_id, life.now))
    ours = life.order
    assert ours.ord_status.value == theirs.ord_status.value
    assert (ours.cum_qty, ours.order_qty) == (theirs.cum_qty, theirs.order_qty)
    assert ours.notional == theirs.value
    assert ours.commission == theirs.commission
