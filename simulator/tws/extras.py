"""Questions no rebalancer asks, answered all the same: gains, matching symbols, and what this TWS has not.

Rules of this room:
1. Every message a client can send is known by its id. What is not served is refused as TWS refuses it, under
   the request's own id: nobody waits for ever, and no connection ends.
2. What follows something (gains, positions of one account) goes on until it is cancelled or hung up on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from simulator.orders import ZERO
from simulator.tws import answers
from simulator.tws.entry import BAD_ACCOUNT, EVERYBODY, NO_CONTRACT, Refusal, invalid_request
from simulator.tws.fields import Reader
from simulator.tws.frames import Fields

if TYPE_CHECKING:
    from simulator.tws.door import Door

Fail = Callable[[int, Refusal], None]
NO_ID, MOST_FOUND = -1, 16
NO_SUBSCRIPTION = "No market data permissions for the request"


@dataclass(frozen=True, slots=True)
class _Followed:
    account: str
    con_id: int = 0
    said: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True)
class Denied:
    """How TWS refuses what it does not serve: the field with the request's id (0: it has none), and why."""

    at: int
    refusal: Refusal | None = None


NOTHING_FOUND = Refusal(165, "Historical Market Data Service query message:no items retrieved")
_NO_HISTORY = Refusal(162, "Historical Market Data Service error message:HMDS query returned no data")
_NO_DEPTH = "Deep market data is not supported for this combination of security type/exchange"
_NO_FUNDAMENTALS = "The fundamentals data for the security specified is not available"
_NO_GROUP = invalid_request("There is no display group")
_FA_ONLY = invalid_request("FA data operations ignored for non FA customers")
_QUIET = Denied(0)
DENIED: dict[int, Denied] = {
    10: Denied(2, Refusal(10092, _NO_DEPTH)),
    11: Denied(2, Refusal(310, "Can't find the subscribed market depth with tickerId")),
    12: _QUIET, 13: _QUIET, 14: _QUIET,
    18: Denied(0, _FA_ONLY), 19: Denied(0, _FA_ONLY),
    20: Denied(1, _NO_HISTORY), 25: Denied(2, Refusal(366, "No historical data query found for ticker id")),
    21: Denied(2, invalid_request("Exercise is for options only")),
    50: Denied(2, Refusal(420, f"Invalid Real-time Query:{NO_SUBSCRIPTION}")), 51: _QUIET,
    52: Denied(2, Refusal(430, _NO_FUNDAMENTALS)), 53: _QUIET,
    54: Denied(2, invalid_request("Only options have an implied volatility")), 56: _QUIET,
    55: Denied(2, invalid_request("Only options have an option price")), 57: _QUIET,
    65: Denied(0, invalid_request("Intended for authorized clients only")), 66: _QUIET,
    72: Denied(0, invalid_request("Intended for authorized clients only")), 73: _QUIET,
    68: Denied(2, _NO_GROUP), 69: Denied(2, _NO_GROUP),
    70: _QUIET,
    84: Denied(1, Refusal(10172, "Failed to request news article:No data available")),
    87: Denied(1, _NO_HISTORY), 88: Denied(1, _NO_HISTORY), 89: _QUIET, 90: _QUIET,
    96: Denied(1, Refusal(10187, f"Failed to request historical ticks:{NO_SUBSCRIPTION}")),
    97: Denied(1, Refusal(10189, f"Failed to request tick-by-tick data:{NO_SUBSCRIPTION}")),
    98: Denied(1, Refusal(300, "Can't find EId with tickerId")),
    100: Denied(1, Refusal(10276, "News feed is not allowed")), 101: _QUIET,
    102: Denied(1, Refusal(10276, "News feed is not allowed")), 103: _QUIET,
}  # fmt: skip
"""By message id; what is quiet is taken and answered by nothing, as TWS does."""


class Extras:
    """Serve one client's odd questions; `send` writes a message, `end` an End, `fail` an error."""

    def __init__(
        self, door: Door, version: int, send: Callable[[Fields], None], end: Callable[[Fields], None],
        fail: Fail,
    ) -> None:  # fmt: skip
        self._door = door
        self._version = version
        self._send, self._end, self._fail = send, end, fail
        self._gains: dict[int, _Followed] = {}
        self._multi: dict[int, str] = {}
        self._scans: set[int] = set()

    def serve(self, message: int, reader: Reader, now: datetime) -> bool:
        """Serve one message, and say whether its id is known; raises `Unreadable`."""
        if (carry_out := self._SERVE.get(message)) is not None:
            carry_out(self, reader, now)
            return True
        denied = DENIED.get(message)
        if denied is not None and denied.refusal is not None:
            reader.skip(max(denied.at - 1, 0))
            self._fail(reader.integer() if denied.at else NO_ID, denied.refusal)
        return denied is not None

    def moved(self, account: str, symbol: str) -> None:
        """Tell who follows an account's positions what a fill has changed."""
        for req_id, name in self._multi.items():
            if name in (*EVERYBODY, account):
                self._say_position(req_id, account, symbol)

    def look(self, now: datetime) -> None:
        """Say the gains that have changed."""
        for req_id, one in list(self._gains.items()):
            self._say_gain(req_id, one, now)

    # What is served.

    def _positions(self, reader: Reader, _now: datetime) -> None:
        """reqPositionsMulti(74)."""
        reader.skip(1)
        req_id, account, books = reader.integer(), reader.text(), self._door.books
        if account not in (*EVERYBODY, *books.names()):
            self._fail(req_id, BAD_ACCOUNT)
            return
        self._multi[req_id] = account
        for name in books.names() if account in EVERYBODY else [account]:
            for symbol, held in books.held(name):
                if held:
                    self._say_position(req_id, name, symbol)
        self._end(answers.end(72, req_id))

    def _leave_positions(self, reader: Reader, _now: datetime) -> None:
        reader.skip(1)
        self._multi.pop(reader.integer(), None)

    def _gains_of(self, reader: Reader, now: datetime) -> None:
        """reqPnL(92)."""
        req_id, account = reader.integer(), reader.text()
        self._follow(req_id, _Followed(account), now)

    def _gain_of(self, reader: Reader, now: datetime) -> None:
        """reqPnLSingle(94)."""
        req_id, account = reader.integer(), reader.text()
        reader.skip(1)
        self._follow(req_id, _Followed(account, reader.integer()), now)

    def _leave_gains(self, reader: Reader, _now: datetime) -> None:
        self._gains.pop(reader.integer(), None)

    def _matching(self, reader: Reader, _now: datetime) -> None:
        """reqMatchingSymbols(81): by the beginning of symbol or name."""
        req_id, pattern = reader.integer(), reader.text().upper()
        found = [
            one for one in self._door.catalogue.every()
            if pattern and any(said.upper().startswith(pattern) for said in (one.symbol, one.name))
        ]  # fmt: skip
        self._send(answers.symbol_samples(self._version, req_id, found[:MOST_FOUND]))

    def _families(self, _reader: Reader, _now: datetime) -> None:
        """reqFamilyCodes(80)."""
        names = self._door.books.names()
        self._send([78, len(names), *(part for name in names for part in (name, ""))])

    def _scanner(self, _reader: Reader, _now: datetime) -> None:
        """reqScannerParameters(24)."""
        self._send([19, 1, "<ScanParameterResponse></ScanParameterResponse>"])

    def _scan(self, reader: Reader, _now: datetime) -> None:
        """reqScannerSubscription(22): nothing is found, which TWS says in words and then in figures."""
        req_id = reader.integer()
        self._scans.add(req_id)
        self._fail(req_id, NOTHING_FOUND)
        self._send([20, 3, req_id, 0])

    def _leave_scan(self, reader: Reader, _now: datetime) -> None:
        """cancelScannerSubscription(23)."""
        reader.skip(1)
        req_id = reader.integer()
        if req_id not in self._scans:
            self._fail(req_id, Refusal(365, "No scanner subscription found for ticker id"))
        self._scans.discard(req_id)

    def _groups(self, reader: Reader, _now: datetime) -> None:
        """queryDisplayGroups(67)."""
        reader.skip(1)
        self._send([67, 1, reader.integer(), ""])

    def _chains(self, reader: Reader, _now: datetime) -> None:
        """reqSecDefOptParams(78): nothing here has options."""
        self._end([76, reader.integer()])

    def _tiers(self, reader: Reader, _now: datetime) -> None:
        """reqSoftDollarTiers(79)."""
        self._send([77, reader.integer(), 0])

    def _depth_exchanges(self, _reader: Reader, _now: datetime) -> None:
        """reqMktDepthExchanges(82)."""
        self._send([80, 0])

    def _components(self, reader: Reader, _now: datetime) -> None:
        """reqSmartComponents(83)."""
        self._send([82, reader.integer(), 0])

    def _providers(self, _reader: Reader, _now: datetime) -> None:
        """reqNewsProviders(85)."""
        self._send([85, 0])

    def _news(self, reader: Reader, _now: datetime) -> None:
        """reqHistoricalNews(86)."""
        self._end([87, reader.integer(), False])

    def _user(self, reader: Reader, _now: datetime) -> None:
        """reqUserInfo(104)."""
        self._send([107, reader.integer(), ""])

    # The inside.

    def _follow(self, req_id: int, asked: _Followed, now: datetime) -> None:
        if asked.account not in self._door.books.names():
            self._fail(req_id, BAD_ACCOUNT)
        elif asked.con_id and self._door.catalogue.of(asked.con_id) is None:
            self._fail(req_id, NO_CONTRACT)
        else:
            self._say_gain(req_id, asked, now)

    def _say_gain(self, req_id: int, one: _Followed, now: datetime) -> None:
        """pnl(94) or pnlSingle(95): of the day, unrealized, realized; of one position its size and value."""
        books = self._door.books
        said: tuple[Decimal, ...]
        if one.con_id:
            contract = self._door.catalogue.of(one.con_id)
            symbol = "" if contract is None else contract.listed
            held = books.account(one.account).positions.get(symbol, ZERO)
            price, realized = books.price(symbol, now), books.realized(one.account, symbol)
            open_gain = held * (price - books.cost(one.account, symbol))
            shown = held if self._version >= answers.SIZES_SINCE else Decimal(int(held))
            said = (shown, open_gain + realized, open_gain, realized, held * price)
        else:
            values = {
                tag: Decimal(value) for tag, value, _ in books.values(one.account, now) if tag.endswith("PnL")
            }
            open_gain, realized = values["UnrealizedPnL"], values["RealizedPnL"]
            said = (open_gain + realized, open_gain, realized)
        if said != one.said:
            self._send([95 if one.con_id else 94, req_id, *said])
        self._gains[req_id] = _Followed(one.account, one.con_id, said)

    def _say_position(self, req_id: int, account: str, symbol: str) -> None:
        """positionMulti(71)."""
        books, contract = self._door.books, self._door.catalogue.listed(symbol)
        held = books.account(account).positions.get(symbol, ZERO)
        named = answers.contract_fields(contract, contract.primary_exchange)
        self._send([71, 1, req_id, account, *named, held, books.cost(account, symbol), ""])

    _SERVE: ClassVar[dict[int, Callable[[Extras, Reader, datetime], None]]] = {
        22: _scan, 23: _leave_scan, 24: _scanner, 67: _groups, 74: _positions, 75: _leave_positions,
        78: _chains, 79: _tiers,
        80: _families, 81: _matching, 82: _depth_exchanges, 83: _components, 85: _providers, 86: _news,
        92: _gains_of, 93: _leave_gains, 94: _gain_of, 95: _leave_gains, 104: _user,
    }  # fmt: skip
