"""The venue profile: our simulated venue behind our own FIX acceptor, with a control port beside it.

Rules of this room:
1. The record kept for a message is what was asked and when; the venue is deterministic, so carrying the
   records out again gives back every order, account, id and planned fill. The acceptor writes the record, the
   reports it caused and both sequence numbers in one write.
2. A store belongs to the options it was begun with; a start with others is refused, naming the difference.
3. ExecID(17) and OrderID(37) carry a prefix of their own for every new store, so none is ever used twice.
4. Answers go to the session that asked, or to nobody when it is no longer accepted here.
5. Without a planned fault the acceptor knows of no interference, and nothing is paid for it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from simulator.control import Control
from simulator.faults import Fault, Kind, Plan
from simulator.fix import answers, asked, business, statements
from simulator.fix.application import Outgoing, Reply
from simulator.fix.commands import commands
from simulator.fix.dialects.base import CLOSE_EXPOSURE, ORD_TYPE, first
from simulator.fix.drop_copy import DropCopies
from simulator.fix.interference import Meddler
from simulator.fix.pace import Pace, crowded
from simulator.fix.quotes import Quotes
from simulator.fix.store import StoreError
from simulator.fix.venue_options import Terms, add_options, read_options
from simulator.operations import operate
from simulator.orders import Report, Side
from simulator.record import record as record_of
from simulator.script import Script
from simulator.venue import VenueError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from simulator.fix.acceptor import Acceptor
    from simulator.fix.message import Message, Pair, SessionId
    from simulator.orders import Answer
    from simulator.venue import Venue

__all__ = ["VenueApp", "add_options", "from_options"]

_NOTHING = Reply()
_REQUESTS, _QUESTIONS = frozenset({"D", "F", "G"}), frozenset({"H", "AF", "V", *statements.QUESTIONS})
_ALL_ORDERS, _ORDERS_OF_A_SECURITY = "7", "1"
_OTHER = 0
_ACCOUNT = 1
_OPERATION = "operation"
_CLOSE = "close"
_ORDER_QTY, _ORIG_CL_ORD_ID = 38, 41
_SYMBOL, _CL_ORD_ID, _SIDE, _ORD_STATUS_REQ_ID, _EXEC_TYPE = 55, 11, 54, 790, 150
_MASS_STATUS_REQ_ID, _MASS_STATUS_REQ_TYPE, _TOT_NUM_REPORTS, _LAST_RPT_REQUESTED = 584, 585, 911, 912


def from_options(options: argparse.Namespace) -> VenueApp:
    """Build the profile from the command line."""
    return VenueApp(read_options(options), control_port=options.control_port)


class VenueApp:
    """Serve one `Venue` to every session; `control_port` None runs no control server.

    `direct` is set by whoever runs the process: called with None it ends the process, called with seconds
    it ends like a crash and begins again from the store after that time.
    """

    def __init__(self, terms: Terms, *, control_port: int | None = None) -> None:
        self._terms = terms
        self._dialect = terms.dialect
        self._script = Script() if terms.has_script else None
        self._quotes = Quotes()
        self._copies = DropCopies(terms.drop_copies)
        self._pace = Pace(terms.dialect.orders_per_s)
        self._prefix = terms.prefix
        self._sessions = {str(session): session for session in terms.sessions}
        self._is_begun = False
        self._wanted_port = control_port
        self._acceptor: Acceptor | None = None
        self._control: Control | None = None
        self.control_port: int | None = None
        self.interference: Meddler | None = None
        self.direct: Callable[[float | None], None] | None = None
        self.plan = Plan(terms.seed)
        self.venue: Venue = terms.build(self._prefix)

    # What the acceptor calls.

    def receive(self, session: SessionId, message: Message, now: datetime) -> Reply:
        """Answer one application message."""
        kind = message.msg_type
        if kind in self._dialect.unsupported:
            return self._refuse(session, message, business.UNSUPPORTED_MESSAGE_TYPE)
        if session in self._copies:
            return self._refuse(session, message, business.NOT_AUTHORIZED)
        if kind in _REQUESTS:
            return self._request(session, message, now)
        if kind in _QUESTIONS:
            return self._answer(session, message, now)
        refusal = business.unsupported(message)
        return _NOTHING if refusal is None else Reply((Outgoing(session, refusal),))

    def _answer(self, session: SessionId, message: Message, now: datetime) -> Reply:
        """Answer a question, which changes nothing."""
        kind = message.msg_type
        if kind == "H":
            return self._status(session, message, now)
        if kind == "AF":
            return self._mass_status(session, message, now)
        if kind == "V" and self._dialect.quotes:
            return Reply(self._quotes.receive(session, message, self.venue.market, now))
        if kind in statements.QUESTIONS and self._dialect.states_positions:
            stated = statements.answer(message, self.venue.accounts, session.target_comp_id)
            return Reply([Outgoing(session, one) for one in stated])
        return self._refuse(session, message, business.UNSUPPORTED_MESSAGE_TYPE)

    def logged_on(self, session: SessionId, now: datetime) -> Reply:
        """Let go of what was on the way over an older connection."""
        self.plan.forget(str(session))
        self._quotes.forget(session)
        self._rest(now)
        return _NOTHING

    def tick(self, now: datetime) -> Reply:
        """Let the venue do what is due."""
        self._rest(now)
        due, market = self.venue.next_event(), self.venue.market
        if due is None or due > now:
            return Reply(self._quotes.due(market, now)) if self._quotes.next_due(market) else _NOTHING
        said = [*self._write(self.venue.advance(now)), *self._quotes.due(market, now)]
        return Reply(said, {"t": now.isoformat(), "m": "tick"})

    def next_tick(self) -> datetime | None:
        """Say when the venue next does something by itself."""
        wanted = (self.venue.next_event(), self._quotes.next_due(self.venue.market))
        return min((one for one in wanted if one is not None), default=None)

    def replay(self, record: dict[str, Any]) -> None:
        """Carry out one record again."""
        kind, now = record["m"], datetime.fromisoformat(record["t"])
        if kind == "begin":
            self._continue(record, now)
        elif kind == "tick":
            self.venue.advance(now)
        elif kind == _OPERATION:
            operate(self.venue, record["op"], record["a"], now)
        else:
            self._ask(record, now)

    # What the process calls.

    async def start(self, acceptor: Acceptor) -> None:
        """Keep what this store was begun with, and open the control port."""
        self._acceptor = acceptor
        if not self._is_begun:
            now = acceptor.clock()
            self.venue.advance(now)
            begin = {"m": "begin", "prefix": self._prefix, "terms": dict(self._terms.described)}
            acceptor.dispatch(Reply(record={"t": now.isoformat(), **begin}), now)
        if self._wanted_port is not None:
            control = Control(self, commands(self))
            await control.start(self._wanted_port)
            self._control, self.control_port = control, control.port

    async def stop(self) -> None:
        """Close the control port."""
        if self._control is not None:
            await self._control.stop()

    # What the control port asks.

    def record(self) -> dict[str, Any]:
        """Return the venue's own record."""
        return record_of(self.venue)

    def status(self) -> dict[str, Any]:
        """Say how much is open and what is still to come."""
        due = self.venue.next_event()
        return {
            "orders": len(self.venue.orders),
            "open_orders": self.venue.open_count,
            "pending": self.venue.pending_count,
            "next_event": None if due is None else due.isoformat(),
            "planned": self.plan.planned(),
            "is_quiet": due is None,
        }

    def operate(self, name: str, arguments: Mapping[str, Any]) -> int:
        """Carry out an operation, after what was due before it; keep it and send what it caused."""
        acceptor = self._running()
        now = acceptor.clock()
        acceptor.dispatch(self.tick(now), now)
        said = operate(self.venue, name, arguments, now)
        entry = {"t": now.isoformat(), "m": _OPERATION, "op": name, "a": dict(arguments)}
        outgoing = [*self._write(said), *self._quotes.due(self.venue.market, now)]
        if name == _CLOSE and self._dialect.states_positions:
            outgoing += self._to_all(statements.overnight(self.venue.accounts))
        acceptor.dispatch(Reply(outgoing, entry), now)
        return len(said)

    def notify(self, account: str, priority: int, text: str) -> None:
        """Tell every session something, where the venue has a message for it."""
        if not self._dialect.states_positions:
            raise VenueError(f"the {self._dialect.name} dialect has no notifications")
        acceptor = self._running()
        told = self._to_all([statements.notification(account, priority, text)])
        acceptor.dispatch(Reply(told), acceptor.clock())

    def disturb(self, fault: Fault) -> Mapping[str, int]:
        """Plan a fault."""
        acceptor = self._running()
        if fault.kind is Kind.RESTART:
            self.end(fault.seconds)
            return self.plan.planned()
        self.plan.add(fault, acceptor.clock())
        self.interference = acceptor.interference = Meddler(self.plan)
        return self.plan.planned()

    def calm(self) -> None:
        """Forget every planned fault."""
        self.plan.clear()

    def hide_copies(self, count: int) -> None:
        """Leave the next executions out of the drop copies."""
        self._copies.hide(count)

    def invent_copy(self, symbol: str, side: str, qty: Decimal, px: Decimal) -> None:
        """Copy an execution that never was."""
        acceptor = self._running()
        now = acceptor.clock()
        try:
            acceptor.dispatch(Reply(self._copies.invent(symbol, side, qty, px, now)), now)
        except ValueError as problem:
            raise VenueError(str(problem)) from None

    def maintain(self, seconds: float) -> None:
        """Send every session home and take no logon for that long."""
        acceptor = self._running()
        now = acceptor.clock()
        acceptor.hours.close(now + timedelta(seconds=seconds))
        acceptor.send_home(acceptor.hours.refusal(now))

    def begin_week(self) -> None:
        """Send every session home; both sequence numbers are 1 at the next logon."""
        self._running().begin_week("a new week begins; both sequence numbers are 1 again")

    def end(self, down_s: float | None) -> None:
        """End the process, or let it begin again from the store after `down_s` seconds."""
        if self.direct is None:
            raise VenueError("this venue is not run by a command that could end it; end its process")
        self.direct(down_s)

    # The inside.

    def _running(self) -> Acceptor:
        if self._acceptor is None:
            raise RuntimeError("the venue is not started")
        return self._acceptor

    def _rest(self, now: datetime) -> None:
        """Step out of the way when no fault is left."""
        if self.interference is not None and self._acceptor is not None and self.plan.is_idle(now):
            self.interference = self._acceptor.interference = None

    def _continue(self, begin: Mapping[str, Any], now: datetime) -> None:
        """Go on with the store's own prefix, if it was begun with our options."""
        kept, ours = begin["terms"], self._terms.described
        different = [name for name in ours if kept.get(name) != ours[name]]
        if different:
            name = different[0]
            raise StoreError(
                f"--store was begun with {name} {kept.get(name)} and not with {ours[name]}; "
                "start with the options it was begun with, or in another folder"
            )
        self._is_begun = True
        self._prefix = begin["prefix"]
        self.venue = self._terms.build(self._prefix)
        self.venue.advance(now)

    def _request(self, session: SessionId, message: Message, now: datetime) -> Reply:
        """Carry out an order, a cancel or a replace."""
        kind, owner = message.msg_type, str(session)
        self._rest(now)
        if business.missing_field(message) is not None:
            return self._refuse(session, message, business.CONDITIONALLY_REQUIRED_FIELD_MISSING)
        entry: dict[str, Any] = {"t": now.isoformat(), "m": kind, "s": owner, "b": message.body}
        if message.poss_resend:
            entry["r"] = True
        refusal = self._dialect.fault(kind, message.body)
        if not refusal and kind == "D":
            account, symbol = message.get(_ACCOUNT) or "", message.get(_SYMBOL) or ""
            refusal = crowded(self.venue.accounts, account, symbol, self._dialect.positions_limit)
        refusal = refusal or self._pace.refusal(kind, now)
        if not refusal and self.interference is not None:
            refusal = self.plan.refusal(kind) or ""
        if refusal:
            entry["x"] = refusal
        said = self._write(self._ask(entry, now))
        return Reply([*said, *self._quotes.due(self.venue.market, now)], entry)

    def _ask(self, entry: Mapping[str, Any], now: datetime) -> list[Answer]:
        """Carry out one order, cancel or replace, new or kept."""
        kind, owner, said = entry["m"], entry["s"], entry["b"]
        body = self._dialect.heard(kind, said)
        poss_resend, refusal = "r" in entry, entry.get("x")
        if self._script is None:
            return self._carry_out(kind, owner, body, said, now, poss_resend=poss_resend, refusal=refusal)
        fields = asked.first_values(body)
        named, qty = fields.get(_ORIG_CL_ORD_ID, fields[_CL_ORD_ID]), Decimal(fields.get(_ORDER_QTY, "0"))
        refusal = refusal or self._script.refusal(kind, self.venue, owner, named, qty)
        done = self._carry_out(kind, owner, body, said, now, poss_resend=poss_resend, refusal=refusal)
        return [*done, *self._script.follow(kind, self.venue, owner, fields[_CL_ORD_ID], now)]

    def _carry_out(
        self, kind: str, owner: str, body: Sequence[Pair], said: Sequence[Pair], now: datetime, *,
        poss_resend: bool, refusal: str | None,
    ) -> list[Answer]:  # fmt: skip
        """Carry out one request."""
        if kind == "D":
            if self._dialect.closes_exposure and (ORD_TYPE, CLOSE_EXPOSURE) in body:
                account, symbol = first(body, _ACCOUNT), first(body, _SYMBOL)
                body = asked.closing(body, self.venue.accounts.position(account, symbol))
            new = asked.new_order(
                owner, body, poss_resend=poss_resend, echo_also=self._dialect.echo(said)
            )  # fmt: skip
            return self.venue.submit(new, now, refusal)
        echo = self._dialect.echo(said) if self._dialect.echoes_in_rejects else ()
        if kind == "F":
            request = asked.cancel(owner, body, poss_resend=poss_resend, echo=echo)
            return self.venue.cancel(request, now, refusal)
        return self.venue.replace(
            asked.replace(owner, body, poss_resend=poss_resend, echo=echo), now, refusal
        )

    def _to_all(self, messages: Sequence[Message]) -> list[Outgoing]:
        return [Outgoing(session, one) for session in self._sessions.values() for one in messages]

    def _write(self, said: Sequence[Answer]) -> list[Outgoing]:
        """Address every answer to the session of its owner."""
        outgoing = []
        is_disturbed = self.interference is not None
        if is_disturbed:
            said = [said[place] for place in self.plan.order(len(said))]
        for answer in said:
            session = self._sessions.get(answer.owner)
            if session is None:
                continue
            plain = answers.write(answer, session.begin_string)
            message = self._worded(plain)
            before, after = self._dialect.around(plain.msg_type, plain.body)
            outgoing += [Outgoing(session, one) for one in (*before, message, *after)]
            outgoing += self._copies.copied(session.begin_string, message)
            if self._dialect.states_positions and isinstance(answer, Report) and answer.last_qty:
                stated = statements.position(self.venue.accounts, answer.account, answer.symbol)
                outgoing.append(Outgoing(session, stated))
            if is_disturbed and message.msg_type == "8" and self.plan.repeats(message.get(_EXEC_TYPE) or ""):
                outgoing.append(Outgoing(session, answers.again(message)))
        return outgoing

    def _worded(self, message: Message) -> Message:
        """Say an answer as the venue's dialect does."""
        return replace(message, body=self._dialect.said(message.msg_type, message.body))

    def _status(self, session: SessionId, message: Message, now: datetime) -> Reply:
        """OrderStatusRequest(H)."""
        fields = asked.first_values(self._dialect.heard("H", message.body))
        symbol, side = fields.get(_SYMBOL, answers.NO_SYMBOL), fields.get(_SIDE, Side.BUY)
        found = self.venue.status(str(session), fields[_CL_ORD_ID], now, symbol=symbol, side=side)
        extra = [(tag, fields[tag]) for tag in (_ORD_STATUS_REQ_ID,) if tag in fields]
        return Reply((Outgoing(session, self._worded(answers.write(found, session.begin_string, extra))),))

    def _mass_status(self, session: SessionId, message: Message, now: datetime) -> Reply:
        """OrderMassStatusRequest(AF): all open orders, or those of one security."""
        fields = asked.first_values(message.body)
        wanted = fields[_MASS_STATUS_REQ_TYPE]
        if wanted not in (_ALL_ORDERS, _ORDERS_OF_A_SECURITY):
            return self._refuse(session, message, _OTHER, f"MassStatusReqType(585) {wanted}: use 1 or 7")
        symbol = fields.get(_SYMBOL) if wanted == _ORDERS_OF_A_SECURITY else None
        all_day = self._dialect.mass_status == "day"
        found = self.venue.open_status(str(session), now, symbol=symbol, all_day=all_day)
        about = [(_MASS_STATUS_REQ_ID, fields[_MASS_STATUS_REQ_ID])]
        if not found:
            return Reply((Outgoing(session, answers.no_orders(about, now)),))
        outgoing = []
        for place, report in enumerate(found, start=1):
            last = "Y" if place == len(found) else "N"
            extra = [*about, (_TOT_NUM_REPORTS, str(len(found))), (_LAST_RPT_REQUESTED, last)]
            outgoing.append(
                Outgoing(session, self._worded(answers.write(report, session.begin_string, extra)))
            )
        return Reply(outgoing)

    @staticmethod
    def _refuse(session: SessionId, message: Message, reason: int, text: str | None = None) -> Reply:
        return Reply((Outgoing(session, business.reject(message, reason, text)),))
