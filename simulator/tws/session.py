"""One client's session after its greeting: what it says, in; what it is told, out. No sockets.

Rules of this room:
1. Nothing is served before startApi(71). A client id in use is told 326 and cut.
2. What cannot be read is answered 320 and has changed nothing.
3. A client is told of its own orders, client 0 of those of TWS users, the master client of everybody's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simulator.tws import answers, shown
from simulator.tws.contracts import SMART
from simulator.tws.entry import NO_CONTRACT, Refusal
from simulator.tws.extras import DENIED, Extras
from simulator.tws.feeds import Feeds
from simulator.tws.fields import INT_MAX, Reader, Unreadable
from simulator.tws.frames import Fields
from simulator.tws.happenings import (
    NO_ID,
    Commissioned,
    Executed,
    Failed,
    Happening,
    Moved,
    OpenOrder,
    Status,
)  # fmt: skip
from simulator.tws.mishaps import Mishap
from simulator.tws.placing import PLACE, read_asked
from simulator.tws.requests import place_or_ask, withdraw
from simulator.tws.telling import why_held
from simulator.tws.tickets import Execution, Ticket

if TYPE_CHECKING:
    from simulator.tws.desk import Desk

START, CANCEL, IN_USE, UNREADABLE, INVALID = 71, 4, 326, 320, 321
_ID_AT = {1: 2, PLACE: 1, CANCEL: 2, 7: 2, 9: 2, 62: 2, 76: 2} | {
    message: denied.at for message, denied in DENIED.items() if denied.at
}
"""Where a message has the id of its request or order."""
_QUESTIONS = frozenset({5, 7, 9, 16, 61, 99})
"""Open orders, executions, contracts, everybody's open orders, positions, completed orders."""
WITH_MANUAL_CANCEL_TIME = 169
FARMS = (
    (2104, "Market data farm connection is OK:usfarm"), (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefil"),
)  # fmt: skip
BAD_TIME_ZONE = "Central European Standard Time"


class Session:
    """Serve one client; `write` sends fields, `close` ends the connection behind what was written."""

    def __init__(
        self, desk: Desk, version: int, write: Callable[[Fields], None], close: Callable[[], None]
    ) -> None:
        self._desk = desk
        self.version = version
        self._write = write
        self._close = close
        self._held_back: list[Fields] | None = None
        self.client_id: int | None = None
        self.feeds = Feeds(desk.door, self.send, self.end, desk.later, desk.now)
        self.extras = Extras(desk.door, version, self.send, self.end, self.fail)

    # Out.

    def send(self, fields: Fields) -> None:
        """Send one message."""
        if self._held_back is not None:
            self._held_back.append(fields)
        else:
            self._write(fields)

    def end(self, fields: Fields) -> None:
        """Send a message that ends an answer, unless it goes wrong."""
        message = int(str(fields[0]))
        if self._desk.mishaps.strike(Mishap.MISSING_END, self.client_id, message) is not None:
            return
        slow = self._desk.mishaps.strike(Mishap.SLOW_END, self.client_id, message)
        if slow is not None:
            self._desk.later(slow.seconds, lambda: self.send(fields))
        else:
            self.send(fields)

    def fail(self, req_id: int, refusal: Refusal) -> None:
        """Send an error."""
        self.send(answers.error(self.version, req_id, refusal.code, refusal.text))

    def _refuse(self, req_id: int, refusal: Refusal | None) -> None:
        if refusal is not None:
            self.fail(req_id, refusal)

    def hears(self, happening: Happening) -> bool:
        """Say whether this client is told of something."""
        if isinstance(happening, Moved):
            return True
        if isinstance(happening, Failed):
            return self.client_id == happening.client_id
        return self.client_id in (ticket_of(happening).client_id, self._desk.master)

    def tell(self, happening: Happening) -> None:
        """Send one thing that happened."""
        match happening:
            case OpenOrder(ticket, was):
                self.send(shown.open_order(self.version, ticket, was))
            case Status(ticket, was, why):
                self.send(answers.order_status(ticket, was, why))
            case Executed(execution, exec_id, req_id):
                self._send_execution(execution, exec_id, req_id)
            case Commissioned(execution, exec_id):
                self.send(answers.commission_report(execution, exec_id))
            case Failed(_, order_id, code, text):
                self.fail(order_id, Refusal(code, text))
            case Moved(account, symbol):
                self.feeds.moved(account, symbol, self._desk.now())
                self.extras.moved(account, symbol)

    # In.

    def handle(self, fields: Sequence[str]) -> None:
        """Serve one message."""
        try:
            message = int(fields[0]) if fields else 0
        except ValueError:
            message = 0
        if self.client_id is None and message != START:
            return
        is_question = message in _QUESTIONS
        slow = is_question and self._desk.mishaps.strike(Mishap.SLOW_ANSWER, self.client_id, message)
        if not slow:
            self._serve(message, fields)
            return
        answer: list[Fields] = []
        self._held_back = answer
        try:
            self._serve(message, fields)
        finally:
            self._held_back = None
        self._desk.later(slow.seconds, lambda: self._send_all(answer))

    def _send_all(self, answer: Sequence[Fields]) -> None:
        for one in answer:
            self.send(one)

    def _serve(self, message: int, fields: Sequence[str]) -> None:
        serve, reader = self._SERVE.get(message), Reader(fields, 1)
        try:
            if serve is not None:
                serve(self, reader)
            elif not self.extras.serve(message, reader, self._desk.now()):
                self.fail(NO_ID, Refusal(UNREADABLE, f"Error reading request. Unknown message id {message}"))
        except Unreadable as problem:
            self.fail(id_of(message, fields), Refusal(UNREADABLE, f"Error reading request. {problem}"))

    def _start(self, reader: Reader) -> None:
        reader.skip(1)
        client_id = reader.integer()
        if self.client_id is not None:
            return
        if not self._desk.admit(self, client_id):
            self.fail(
                NO_ID,
                Refusal(
                    IN_USE,
                    "Unable to connect as the client id is already in use. Retry with a unique client id.",
                ),
            )
            self._close()
            return
        self.client_id = client_id
        self.send(answers.managed_accounts(self._desk.door.books.names()))
        self.send(answers.next_valid_id(self._desk.door.house.next_id(client_id)))
        for code, text in FARMS:
            self.fail(NO_ID, Refusal(code, text))
        if self._desk.is_lost:
            self.fail(NO_ID, self._desk.LOST)

    def _place(self, reader: Reader) -> None:
        place_or_ask(self._desk, self, reader.fields)

    def _cancel(self, reader: Reader) -> None:
        reader.skip(1)
        order_id = reader.integer()
        if self.version >= WITH_MANUAL_CANCEL_TIME and reader.left:
            reader.skip(1)
        reader.end()
        withdraw(self._desk, self, order_id)

    def _open_orders(self, reader: Reader) -> None:
        del reader
        if self.client_id == 0:
            self._desk.bind()
        self._say_open([one for one in self._desk.door.live() if one.client_id == self.client_id])

    def _all_open_orders(self, reader: Reader) -> None:
        del reader
        self._say_open(self._desk.door.live())

    def _say_open(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            was = ticket.shown()
            self.send(shown.open_order(self.version, ticket, was))
            self.send(answers.order_status(ticket, was, why_held(ticket)))
        self.end(answers.OPEN_ORDER_END)

    def _auto_open(self, reader: Reader) -> None:
        reader.skip(1)
        if reader.flag() and self.client_id == 0:
            self._desk.binds = True
            self._desk.bind()

    def _completed(self, reader: Reader) -> None:
        api_only = reader.flag()
        for ticket in self._desk.door.completed():
            if ticket.order_id > 0 or not api_only:
                ended = ticket.ended or self._desk.now()
                self.send(shown.completed_order(self.version, ticket, answers.when(ended, self._desk.zone)))
        self.end(answers.COMPLETED_END)

    def _executions(self, reader: Reader) -> None:
        reader.skip(1)
        req_id, client_id, account, since = reader.integer(), reader.integer(), reader.text(), reader.text()
        symbol, sec_type, exchange, side = reader.texts(4)
        began = self._time(since)
        for one in self._desk.door.executions(self._desk.now()):
            ticket = one.ticket
            wanted = (
                client_id in (0, ticket.client_id) and account in ("", ticket.placed.account)
                and symbol in ("", ticket.contract.symbol) and sec_type in ("", ticket.contract.sec_type)
                and exchange in ("", SMART, ticket.contract.primary_exchange)
                and side.upper() in ("", ticket.placed.action, "BOT" if ticket.order.is_buy else "SLD")
                and (began is None or one.at >= began)
            )  # fmt: skip
            if wanted:
                self.tell(Executed(one, one.exec_id, req_id))
                self.tell(Commissioned(one, one.exec_id))
        self.end(answers.end(55, req_id))

    def _ids(self, reader: Reader) -> None:
        del reader
        self.send(answers.next_valid_id(self._desk.door.house.next_id(self.client_id or 0)))

    def _contract(self, reader: Reader) -> None:
        reader.skip(1)
        req_id, asked = reader.integer(), read_asked(reader)
        found = self._desk.door.catalogue.find(asked)
        for contract in found:
            self.send(answers.contract_details(self.version, req_id, contract, self._desk.hours()))
        if found:
            self.end(answers.end(52, req_id))
        else:
            self.fail(req_id, NO_CONTRACT)

    def _market_data(self, reader: Reader) -> None:
        reader.skip(1)
        req_id, asked = reader.integer(), read_asked(reader)
        if reader.flag():
            reader.skip(3)
        generic = reader.text()
        is_snapshot, is_regulatory = reader.flag(), reader.flag()
        found = self._desk.door.catalogue.find(asked)
        if len(found) != 1:
            self.fail(req_id, NO_CONTRACT)
            return
        now, supply = self._desk.now(), self._desk.supply
        for refusal in self.feeds.quote(
            req_id, found[0], supply, now, is_snapshot=is_snapshot or is_regulatory, generic=generic
        ):
            self.fail(req_id, refusal)

    def _stop_market_data(self, reader: Reader) -> None:
        reader.skip(1)
        req_id = reader.integer()
        self._refuse(req_id, self.feeds.stop_quote(req_id))

    def _data_type(self, reader: Reader) -> None:
        reader.skip(1)
        self.feeds.data_type = min(max(reader.integer(1), 1), 4)

    def _market_rule(self, reader: Reader) -> None:
        rule_id = reader.integer()
        steps = self._desk.door.catalogue.rule(rule_id)
        if steps is None:
            self.fail(
                NO_ID,
                Refusal(INVALID, f"Error validating request.-'b' : cause - Invalid market rule {rule_id}"),
            )
        else:
            self.send(answers.market_rule(rule_id, steps))

    def _time_now(self, reader: Reader) -> None:
        del reader
        self.send(answers.current_time(self._desk.now()))

    def _global_cancel(self, reader: Reader) -> None:
        del reader
        self._desk.door.cancel_all(self._desk.now())

    def _managed(self, reader: Reader) -> None:
        del reader
        self.send(answers.managed_accounts(self._desk.door.books.names()))

    def _account(self, reader: Reader) -> None:
        reader.skip(1)
        if reader.flag():
            self._refuse(NO_ID, self.feeds.follow_account(reader.text(), self._desk.now()))
        else:
            self.feeds.leave_account()

    def _multi(self, reader: Reader) -> None:
        reader.skip(1)
        req_id, account, model = reader.integer(), reader.text(), reader.text()
        self._refuse(req_id, self.feeds.follow_multi(req_id, account, model, self._desk.now()))

    def _summary(self, reader: Reader) -> None:
        reader.skip(1)
        req_id, group, tags = reader.integer(), reader.text(), reader.text()
        self._refuse(req_id, self.feeds.follow_summary(req_id, group, tags, self._desk.now()))

    def _leave_multi(self, reader: Reader) -> None:
        reader.skip(1)
        self.feeds.leave_multi(reader.integer())

    def _leave_summary(self, reader: Reader) -> None:
        reader.skip(1)
        self.feeds.leave_summary(reader.integer())

    def _positions(self, reader: Reader) -> None:
        del reader
        self.feeds.follow_positions()

    def _leave_positions(self, reader: Reader) -> None:
        del reader
        self.feeds.leave_positions()

    # The inside.

    def _send_execution(self, execution: Execution, exec_id: str, req_id: int) -> None:
        at = answers.when(execution.at, self._desk.zone)
        if req_id == NO_ID and self._desk.mishaps.strikes(Mishap.BAD_ZONE, self.client_id):
            at = f"{at[:17]} {BAD_TIME_ZONE}"
        self.send(answers.exec_details(self.version, execution, exec_id, req_id, at))

    def _time(self, said: str) -> datetime | None:
        """Read the time of an execution filter."""
        if not said:
            return None
        try:
            if said[8:9] == "-":
                return datetime.strptime(said[:17], "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
            said = " ".join(said.split())  # some clients put two spaces between day and time
            zone = said[17:].strip() or self._desk.zone
            return datetime.strptime(said[:17], "%Y%m%d %H:%M:%S").replace(tzinfo=ZoneInfo(zone))
        except (ValueError, ZoneInfoNotFoundError):
            raise Unreadable(f"time {said!r} is not YYYYMMDD HH:MM:SS") from None

    _SERVE: ClassVar[dict[int, Callable[[Session, Reader], None]]] = {
        1: _market_data, 2: _stop_market_data, PLACE: _place, CANCEL: _cancel, 5: _open_orders, 6: _account,
        7: _executions, 8: _ids, 9: _contract, 15: _auto_open, 16: _all_open_orders, 17: _managed,
        49: _time_now, 58: _global_cancel, 59: _data_type, 61: _positions, 62: _summary, 63: _leave_summary,
        64: _leave_positions, START: _start, 76: _multi, 77: _leave_multi, 91: _market_rule, 99: _completed,
    }  # fmt: skip


def id_of(message: int, fields: Sequence[str]) -> int:
    """Return the id a message that cannot be read is about, as far as that can be read."""
    said = fields[_ID_AT[message]] if 0 < _ID_AT.get(message, 0) < len(fields) else ""
    return int(said) if said.isascii() and said.isdigit() and int(said) <= INT_MAX else NO_ID


def ticket_of(happening: OpenOrder | Status | Executed | Commissioned) -> Ticket:
    """Return the order something is about."""
    return happening.execution.ticket if isinstance(happening, (Executed, Commissioned)) else happening.ticket
