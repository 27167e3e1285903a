"""The client library behind one door: `ib_async` or, where that is not installed, `ib_insync` 0.9.86.

Rules of this room:
1. Nothing else imports either. Only the library's socket client is used (framing, handshake, encoding, the
   decoding of long messages); what it believes about orders is in its other half, which is left out.
2. Messages that money depends on are read here from their raw fields: numbers exact, and a time whose zone
   nobody knows does not lose a fill. A message that cannot be read is handed over as such.
3. Callbacks are plain functions that hand a value over and return: the library swallows whatever they raise.
4. Its throttle is off; everything takes its turn in `pace.py`. Event loops are never patched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from adapters.ibkr import said, wire
from adapters.ibkr.codes import Action, row_of, words
from adapters.ibkr.settings import Terms

try:
    import ib_async as _library
except ModuleNotFoundError as absent:
    if absent.name != "ib_async":
        raise
    # ib_insync asks for a loop while it is imported; on newer Pythons there must be one.
    try:
        asyncio.set_event_loop(asyncio.get_running_loop())
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
    try:
        import ib_insync as _library  # type: ignore[no-redef]
    except ModuleNotFoundError as older:
        # Name the one to install, which the extra brings.
        raise absent if older.name == "ib_insync" else older from None

ib: Any = _library
NAME: str = ib.__name__
STATUS, ERROR, OPEN, EXECUTION, COMMISSION, POSITION = 3, 4, 5, 11, 59, 61
CONTRACT, COMPLETED, RULE, PRICE = 10, 101, 93, 1
CONTRACT_FIELDS = 11
CANNOT_REACH = 502
ASKING = "TWS may ask in a window whether we may come in: answer it, or add our address to its trusted IPs"
MARGINS = ("initMarginAfter", "maintMarginAfter", "equityWithLoanAfter")


class ConnectFailed(Exception):
    """TWS could not be reached, or did not let us in; says why."""


class Tws:
    """One connection to TWS; everything it says goes to `hear`, in order."""

    def __init__(self, hear: Callable[[said.Said], None]) -> None:
        self._hear = hear
        self._client = ib.Client(_Listener(hear, self._ended))
        self._client.MaxRequests = 0
        self._gone: asyncio.Future[None] | None = None
        self._refusal = ""
        handlers: dict[int, Callable[[list[str]], None]] = self._client.decoder.handlers
        raw = {
            STATUS: _read_status, ERROR: _read_error, EXECUTION: _read_execution,
            COMMISSION: _read_commission, POSITION: _read_position,
        }  # fmt: skip
        for number, read in raw.items():
            handlers[number] = self._reading(read)
        for number in (OPEN, COMPLETED, CONTRACT, RULE, PRICE):
            handlers[number] = self._watched(handlers[number])
        self._client.decoder.handlers = _Handlers(handlers, lambda number: hear(said.Strange(number)))

    async def connect(self, host: str, port: int, client_id: int, timeout_s: float) -> None:
        """Shake hands; raises `ConnectFailed`."""
        if NAME == "ib_insync":  # it asks for the thread's loop, which need not be the one that runs
            asyncio.set_event_loop(asyncio.get_running_loop())
        self._refusal = ""
        gone = self._gone = asyncio.get_running_loop().create_future()
        shaking = asyncio.ensure_future(self._client.connectAsync(host, port, client_id, timeout_s))
        try:
            await asyncio.wait({shaking, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ConnectFailed(self._refusal)
            await shaking
        except TimeoutError:
            raise ConnectFailed(
                self._refusal or f"no handshake within {timeout_s:.0f} s ({ASKING})"
            ) from None
        except OSError as problem:
            raise ConnectFailed(words(CANNOT_REACH, problem.strerror or type(problem).__name__)) from None
        finally:
            self._gone = None
            while not shaking.done():  # the library waits in a way that may swallow one cancel
                shaking.cancel()
                await asyncio.sleep(0)
            await asyncio.gather(shaking, return_exceptions=True)

    def close(self) -> None:
        """Hang up."""
        self._client.disconnect()

    @property
    def accounts(self) -> list[str]:
        """Return the account codes TWS manages."""
        return list(self._client.getAccounts())

    # What is sent; each raises ConnectionError when the socket is gone.

    def place(self, order_id: int, ticket: wire.Ticket) -> None:
        """Send an order: with an order id used before it would be a change of that order."""
        order = ib.Order(
            action=ticket.action, totalQuantity=ticket.qty, orderType=ticket.ord_type, tif=ticket.tif,
            account=ticket.account, orderRef=ticket.ref, outsideRth=ticket.outside_rth, transmit=True,
            whatIf=ticket.is_what_if,
        )  # fmt: skip
        if ticket.limit is not None:
            order.lmtPrice = ticket.limit
        self._client.placeOrder(order_id, _contract(ticket.terms), order)

    def cancel(self, order_id: int) -> None:
        """Ask for an order's cancel."""
        self._client.cancelOrder(order_id)

    def ask_open(self) -> None:
        """Ask for this client's open orders."""
        self._client.reqOpenOrders()

    def ask_all_open(self) -> None:
        """Ask for every client's open orders."""
        self._client.reqAllOpenOrders()

    def ask_completed(self) -> None:
        """Ask for the orders that have ended today, whoever made them."""
        self._client.reqCompletedOrders(False)  # noqa: FBT003 - the library names it apiOnly

    def ask_executions(self, req_id: int) -> None:
        """Ask for the day's executions, of every client."""
        self._client.reqExecutions(req_id, ib.ExecutionFilter())

    def ask_positions(self) -> None:
        """Ask for all positions; they keep coming until `end_positions`."""
        self._client.reqPositions()

    def end_positions(self) -> None:
        """End the positions' updates."""
        self._client.cancelPositions()

    def ask_contract(self, req_id: int, terms: Terms) -> None:
        """Ask which contracts fit."""
        self._client.reqContractDetails(req_id, _contract(wire.clean(terms)))

    def ask_rule(self, rule_id: int) -> None:
        """Ask for a market rule's ticks."""
        self._client.reqMarketRule(rule_id)

    def ask_snapshot(self, req_id: int, terms: Terms) -> None:
        """Ask for one snapshot of a contract's prices."""
        self._client.reqMktData(req_id, _contract(wire.clean(terms)), "", True, False, [])  # noqa: FBT003

    def allow_delayed(self, *, is_allowed: bool) -> None:
        """Choose between real-time prices only and delayed ones, too."""
        self._client.reqMarketDataType(3 if is_allowed else 1)

    def ask_time(self) -> None:
        """Ask for the time: a sign of life."""
        self._client.reqCurrentTime()

    def ask_next_id(self) -> None:
        """Ask for the next order id TWS will take."""
        self._client.reqIds(1)

    # The inside.

    def _ended(self, reason: str) -> None:
        """Take that the socket is gone, or end a handshake that will never be answered."""
        if self._gone is None:
            self._hear(said.Lost(reason))
        elif not self._gone.done():
            self._refusal = self._refusal or reason
            self._gone.set_result(None)

    def _refuse(self, message: said.ErrorSaid) -> None:
        """Keep why TWS lets nobody in: our id is in use, or else the first thing it complains of."""
        action = row_of(message.code).action
        if message.req_id != -1 or action in (Action.NOTE, Action.FARM_OK):
            return
        if not self._refusal or action is Action.ID_IN_USE:
            self._refusal = f"{message.code}: {message.text}"

    def _reading(self, read: Callable[[list[str]], said.Said]) -> Callable[[list[str]], None]:
        """Read a message from its raw fields, and hand it over as garbled when that fails."""

        def handle(fields: list[str]) -> None:
            try:
                message = read(fields)
            except (wire.Unreadable, IndexError, ValueError) as problem:
                message = said.Garbled(tuple(fields), f"{type(problem).__name__}: {problem}")
            if isinstance(message, said.ErrorSaid) and self._gone is not None:
                self._refuse(message)
            self._hear(message)

        return handle

    def _watched(self, handler: Callable[[list[str]], None]) -> Callable[[list[str]], None]:
        """Let the library decode, and learn when it could not: it would only log that."""

        def handle(fields: list[str]) -> None:
            before = tuple(fields)
            try:
                handler(fields)
            except Exception as problem:
                self._hear(said.Garbled(before, f"{type(problem).__name__}: {problem}"))
                raise

        return handle


class _Handlers(dict[int, Callable[[list[str]], None]]):
    """What reads each message by its id; the library would only log one it does not know."""

    def __init__(self, known: dict[int, Callable[[list[str]], None]], strange: Callable[[int], None]) -> None:
        super().__init__(known)
        self._strange = strange

    def __missing__(self, number: int) -> Callable[[list[str]], None]:
        return lambda _fields: self._strange(number)


class _Listener:
    """Stand where the library expects its wrapper: every method hands one value over."""

    def __init__(self, hear: Callable[[said.Said], None], ended: Callable[[str], None]) -> None:
        self._hear = hear
        self._ended = ended

    def connectAck(self) -> None:  # noqa: N802 - the library names these
        """Note nothing: the handshake goes on by itself."""

    def setEventsDone(self) -> None:  # noqa: N802
        """Take that the socket is gone; the library says so in this way only, before it is ready."""
        self._ended("TWS hung up")

    def connectionClosed(self) -> None:  # noqa: N802
        """Note nothing: `setEventsDone` has said it."""

    def nextValidId(self, order_id: int) -> None:  # noqa: N802
        self._hear(said.NextIdSaid(order_id))

    def currentTime(self, _time: int) -> None:  # noqa: N802
        self._hear(said.TimeSaid())

    def openOrder(self, order_id: int, contract: Any, order: Any, state: Any) -> None:  # noqa: N802
        margins = {name: str(getattr(state, name, "")) for name in MARGINS} if order.whatIf else {}
        self._hear(
            said.OpenSaid(
                order_id, order.permId, order.clientId, order.orderRef, order.account, contract.conId,
                contract.symbol, wire.side_in(order.action), _exact(order.totalQuantity), state.status,
                bool(order.whatIf), margins, state.warningText or "", _exact(order.lmtPrice) or None,
            )
        )  # fmt: skip

    def openOrderEnd(self) -> None:  # noqa: N802
        self._hear(said.EndSaid(said.OPEN_END))

    def completedOrder(self, contract: Any, order: Any, state: Any) -> None:  # noqa: N802
        self._hear(
            said.CompletedSaid(
                order.permId, order.orderRef, order.account, contract.conId, contract.symbol,
                wire.side_in(order.action), state.status, _exact(order.filledQuantity),
                state.completedStatus or "",
            )
        )  # fmt: skip

    def completedOrdersEnd(self) -> None:  # noqa: N802
        self._hear(said.EndSaid(said.COMPLETED_END))

    def execDetailsEnd(self, req_id: int) -> None:  # noqa: N802
        self._hear(said.EndSaid(said.EXECUTIONS_END, req_id))

    def positionEnd(self) -> None:  # noqa: N802
        self._hear(said.EndSaid(said.POSITIONS_END))

    def contractDetails(self, req_id: int, details: Any) -> None:  # noqa: N802
        one = details.contract
        pairs = zip(details.validExchanges.split(","), details.marketRuleIds.split(","), strict=False)
        rules = {place: int(rule) for place, rule in pairs if rule.isdecimal()}
        self._hear(
            said.ContractSaid(
                req_id, one.conId, one.symbol, one.secType, one.exchange, one.primaryExchange, one.currency,
                one.localSymbol, one.tradingClass, _exact(details.minTick), rules,
                _exact(getattr(details, "sizeIncrement", 0)), _exact(getattr(details, "minSize", 0)),
            )
        )  # fmt: skip

    def contractDetailsEnd(self, req_id: int) -> None:  # noqa: N802
        self._hear(said.EndSaid(said.CONTRACTS_END, req_id))

    def marketRule(self, rule_id: int, increments: list[Any]) -> None:  # noqa: N802
        steps = tuple((_exact(one.lowEdge), _exact(one.increment)) for one in increments)
        self._hear(said.RuleSaid(rule_id, steps))

    def priceSizeTick(self, req_id: int, tick_type: int, price: float, _size: float) -> None:  # noqa: N802
        self._hear(said.TickSaid(req_id, tick_type, _exact(price)))

    def tickSnapshotEnd(self, req_id: int) -> None:  # noqa: N802
        self._hear(said.EndSaid(said.SNAPSHOT_END, req_id))


def _contract(terms: Terms) -> Any:
    return ib.Contract(
        conId=terms.con_id, symbol=terms.symbol, secType=terms.sec_type, exchange=terms.exchange,
        primaryExchange=terms.primary_exchange, currency=terms.currency,
    )  # fmt: skip


def _exact(number: Any) -> Decimal:
    """Return the decimal a float was read from, 0 for one that was not set."""
    found = Decimal(str(number))
    if not found.is_finite() or found == wire.UNSET:
        return Decimal(0)
    whole = found.to_integral_value()
    return whole if whole == found else found


def _read_status(fields: list[str]) -> said.Said:
    _, order_id, status, filled, _, avg_px, perm_id, _, _, client_id, why_held, *_ = fields
    return said.StatusSaid(
        wire.whole(order_id, "order id"), status, wire.decimal_in(filled, "filled"),
        wire.optional(avg_px, "average price"), wire.whole(perm_id, "perm id"),
        wire.whole(client_id, "client id"), why_held,
    )  # fmt: skip


def _read_error(fields: list[str]) -> said.Said:
    _, _, req_id, code, text, *rest = fields
    return said.ErrorSaid(wire.whole(req_id, "id"), wire.whole(code, "code"), text, rest[0] if rest else "")


def _read_execution(fields: list[str]) -> said.Said:
    _, req_id, order_id, *rest = fields
    con_id, symbol, sec_type, currency = rest[0], rest[1], rest[2], rest[CONTRACT_FIELDS - 3]
    (
        exec_id, time, account, _exchange, side, shares, price, perm_id, client_id, _liquidation, cum_qty,
        _avg_px, ref, *_,
    ) = rest[CONTRACT_FIELDS:]  # fmt: skip
    if not exec_id:
        raise wire.Unreadable("an execution without an id")
    return said.ExecutionSaid(
        wire.whole(req_id, "request"), wire.whole(order_id, "order id"), wire.whole(client_id, "client id"),
        wire.whole(perm_id, "perm id"), ref, exec_id, account, wire.whole(con_id, "contract"), symbol,
        wire.side_in(side), wire.decimal_in(shares, "shares"), wire.decimal_in(price, "price"),
        wire.decimal_in(cum_qty, "cumulated quantity"), wire.moment(time), (sec_type, currency),
    )  # fmt: skip


def _read_commission(fields: list[str]) -> said.Said:
    _, _, exec_id, commission, currency, *_ = fields
    return said.CommissionSaid(exec_id, wire.optional(commission, "commission"), currency)


def _read_position(fields: list[str]) -> said.Said:
    _, _, account, con_id, symbol, *rest = fields
    currency, position = rest[CONTRACT_FIELDS - 5], rest[CONTRACT_FIELDS - 2]
    return said.PositionSaid(
        account, wire.whole(con_id, "contract"), symbol, currency, wire.decimal_in(position, "position"),
        rest[0],
    )  # fmt: skip
