"""Play a scenario against the order manager: the venue's messages are read by the adapter and processed.

What the gateway says itself is checked: its order, its cancels, its questions. What another hand on the same
session says (a change of quantity, a repeated name) is only history: the gateway never sends it.
After every report the order must stand where the report says: status, quantities; at the end the book must
hold exactly what the executions that stand add up to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from fix_on_venue import ACCOUNT, SYMBOL, Mismatch
from fix_script import Line, Script, in_fix_42, side_by_side

from adapters.fix.decoder import decode
from adapters.fix.dialects import PLAIN
from gateway.domain.instrument import Instrument
from gateway.domain.order import Order, OrderSpec, OrdType, Side, TimeInForce
from gateway.domain.settings import AccountSettings, Settings
from gateway.effects import Alert, CancelOrder, Effect, LookUpOrder, SendOrder
from gateway.engine import Engine
from gateway.events import (
    AccountOpened,
    Action,
    CancelRequested,
    Event,
    GatewayStarted,
    LinkUp,
    OrdersPlanned,
    RequestDecided,
    TargetsSubmitted,
)
from gateway.oms.booking import NOT_YET_SEEN

LINK, REQUEST, CASH = "sim", "R1", Decimal(10_000_000)
T0 = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
OWN_ID = "AAAAAAAAAAAAAAAA"
_TIMES_IN_FORCE = {one.value: one for one in TimeInForce}
_FINAL = frozenset("2348C")


@dataclass(slots=True)
class Execution:
    """One execution as the messages tell it."""

    qty: Decimal
    px: Decimal


def play(script: Script, profile: str, begin_string: str) -> None:
    """Play one scenario on an engine of its own; raises `Mismatch`."""
    desk = Desk(script, begin_string)
    for line in script.of(profile):
        if line.verb == "send":
            desk.send(line)
        elif line.verb == "expect":
            desk.hear(line)
    desk.close(script.halts)


class Desk:
    """One account's engine, its venue's part read from a scenario."""

    def __init__(self, script: Script, begin_string: str) -> None:
        account = AccountSettings(ACCOUNT, LINK)
        self.engine = Engine(Settings("H", {ACCOUNT: account}, {SYMBOL: Instrument(SYMBOL)}))
        self._begin_string = begin_string
        self._at = T0
        self._seq = 0
        self._ids: dict[str, str] = {}
        self._executions: dict[str, Execution] = {}
        self._qty = next((Decimal(line.fields[38]) for line in script.lines if 38 in line.fields), Decimal(0))
        self._cancels = 0
        self._changes = 0
        self._owed = ""
        self._alerts: list[str] = []
        for event in (
            GatewayStarted(self._at, 1, "", ""), AccountOpened(self._at, ACCOUNT, CASH, ()),
            LinkUp(self._at, LINK),
            TargetsSubmitted(self._at, REQUEST, ACCOUNT, {}, self._at, self._at + timedelta(hours=1)),
            RequestDecided(
                self._at, REQUEST, ACCOUNT, Action.IMMEDIATE, "", CASH, CASH, drift=0.0, max_drift=0.0
            ),
        ):  # fmt: skip
            self._process(event)

    # What the gateway's side sends.

    def send(self, line: Line) -> None:
        """Let the order manager say what a line says, where it would say it itself."""
        name = line.fields[11]
        if line.what == "D" and OWN_ID not in self.engine.state.orders:
            self._ids[name] = OWN_ID
            self._order(line)
        elif line.what == "F":
            self._cancel(line, name)
        elif line.what == "G":
            self._changes += 1
            self._ids[name] = f"{OWN_ID}R{self._changes}"
        elif line.what == "H":
            self._ids.setdefault(name, OWN_ID)
            self._ask(line)

    def _order(self, line: Line) -> None:
        spec = OrderSpec(
            OWN_ID, REQUEST, ACCOUNT, LINK, SYMBOL, Side.BUY, self._qty, OrdType.LIMIT,
            Decimal(line.fields.get(44, "100")), _TIMES_IN_FORCE[line.fields.get(59, "0")], 1,
        )  # fmt: skip
        sent = self._process(OrdersPlanned(self._at, REQUEST, ACCOUNT, 1, (spec,), ()))
        if [one.order for one in sent if isinstance(one, SendOrder)] != [spec]:
            raise Mismatch(f"line {line.number}: the order was to be sent; the engine asked for {sent}")

    def _cancel(self, line: Line, name: str) -> None:
        self._cancels += 1
        self._ids[name] = f"{OWN_ID}C{self._cancels}"
        order = self.engine.state.orders.get(OWN_ID)
        if order is None:
            return
        sent = self._process(CancelRequested(self._at, REQUEST, "test"))
        if (
            order.ord_status in NOT_YET_SEEN
        ):  # it is asked about first, and cancelled at its first sign of life
            if not any(isinstance(one, LookUpOrder) for one in sent):
                raise Mismatch(f"line {line.number}: a question was to be sent; the engine asked for {sent}")
            self._owed = self._ids[name]
            return
        self._must_cancel(line, [] if order.is_final else [self._ids[name]], sent)

    @staticmethod
    def _must_cancel(line: Line, wanted: list[str], sent: list[Effect]) -> None:
        asked = [one.cancel_id for one in sent if isinstance(one, CancelOrder)]
        if asked != wanted:
            raise Mismatch(
                f"line {line.number}: cancels {wanted} were to be sent; the engine asked for {sent}"
            )

    def _ask(self, line: Line) -> None:
        order = self.engine.state.orders.get(OWN_ID)
        asked = [one for one in self._process(LinkUp(self._at, LINK)) if isinstance(one, LookUpOrder)]
        if bool(asked) != (order is not None and not order.is_final):
            raise Mismatch(
                f"line {line.number}: an open order was to be asked about; the engine asked for {asked}"
            )

    # What it hears.

    def hear(self, line: Line) -> None:
        """Process one message of the venue, and compare the order with it."""
        said = dict(line.fields) if self._begin_string == "FIX.4.4" else in_fix_42(line.what, line.fields)
        self._seq += 1
        for tag in (11, 41):
            if tag in said:
                said[tag] = self._ids.get(said[tag], said[tag])
        if line.what == "8":
            said = {
                1: ACCOUNT,
                17: f"#{self._seq}",
                37: "O",
                54: "1",
                55: SYMBOL,
                **self._tallied(line),
                **said,
            }
        raw = "".join(f"{tag}={value}\x01" for tag, value in {35: line.what, **said}.items() if value != "-")
        event = decode(
            raw, "", LINK, self._seq, self._at, PLAIN, {"O": OWN_ID} if OWN_ID in self._ids.values() else {}
        )
        effects = self._process(event) if event is not None else []
        order = self._subject()
        if order is not None and self._owed:
            self._must_cancel(line, [] if order.is_final else [self._owed], effects)
            self._owed = ""
        if order is not None and said.get(37) != "NONE":
            self._compare(line, order)

    def _tallied(self, line: Line) -> dict[int, str]:
        """Keep the executions that stand; add what a report says of them and the line leaves out."""
        fields, kind = line.fields, line.fields[150]
        own = fields.get(17, f"#{self._seq}")
        px = Decimal(fields.get(31, "100"))
        if kind in ("G", "H"):
            del self._executions[fields[19]]
        if kind in ("F", "G"):
            self._executions[own] = Execution(Decimal(fields[32]), px)
        if kind == "D" and fields[378] == "0":
            ratio = Decimal(fields[14]) / self._held()
            for one in self._executions.values():
                one.qty, one.px = one.qty * ratio, one.px / ratio
        cum_qty = self._held()
        avg_px = self._paid() / cum_qty if cum_qty else Decimal(0)
        return {6: f"{avg_px:f}", **({31: f"{px}"} if kind in ("F", "G") else {})}

    def _held(self) -> Decimal:
        return sum((one.qty for one in self._executions.values()), Decimal(0))

    def _paid(self) -> Decimal:
        return sum((one.qty * one.px for one in self._executions.values()), Decimal(0))

    def _subject(self) -> Order | None:
        state = self.engine.state
        return state.orders.get(OWN_ID) or next(iter(state.strangers.values()), None)

    def _compare(self, line: Line, order: Order) -> None:
        stands = {
            39: order.ord_status.value, 38: f"{order.order_qty}", 14: f"{order.cum_qty:f}",
            151: f"{order.leaves_qty:f}", 6: f"{order.avg_px:f}",
        }  # fmt: skip
        if line.fields.get(150) == "E":  # what is only asked for changes no quantity (D.2.b foretells some)
            del stands[38], stands[151]
        wanted = {tag: value for tag, value in line.fields.items() if tag in stands}
        if any(not _same(stands[tag], value) for tag, value in wanted.items()):
            raise Mismatch(side_by_side(line, wanted, stands))
        is_gtc = order.spec.time_in_force is TimeInForce.GOOD_TILL_CANCEL
        if order.is_final != (wanted[39] in _FINAL and not (is_gtc and wanted[39] == "3")):
            raise Mismatch(f"line {line.number}: is_final is {order.is_final} at {order.ord_status.name}")

    # The end.

    def close(self, halts: str) -> None:
        """Compare book and halts with what the scenario says."""
        state = self.engine.state
        reason = state.halt_reason(ACCOUNT)
        if bool(reason) != bool(halts) or halts not in reason:
            raise Mismatch(f"the account was to halt for {halts!r}; it halted for {reason!r}")
        account = state.book.accounts[ACCOUNT]
        state.book.check()
        if CASH - account.cash != self._paid():
            raise Mismatch(f"{self._paid()} was paid; the book says {CASH - account.cash}")
        held = account.positions.get(SYMBOL, Decimal(0))
        if not reason and held != self._held():
            raise Mismatch(f"{self._held()} is held; the book says {held}")

    def _process(self, event: Event) -> list[Effect]:
        self._at += timedelta(milliseconds=1)
        effects = self.engine.process(event)
        self._alerts += [one.text for one in effects if isinstance(one, Alert)]
        return effects


def _same(stood: str, wanted: str) -> bool:
    try:
        return stood == wanted or Decimal(stood) == Decimal(wanted)
    except ArithmeticError:
        return False
