"""What one client follows: accounts, positions, summaries, quotes. It lives as long as its connection.

Rules of this room:
1. A subscription says everything once, then its End, then what changes: positions with each fill, values soon
   after.
2. A client has two account summaries at most; a third is refused with 322.
3. Quotes are live, delayed or refused as the house is switched; delayed ones have their own tick types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from simulator.orders import ZERO
from simulator.tws import answers
from simulator.tws.books import BASE, Books
from simulator.tws.contracts import Contract
from simulator.tws.door import Door
from simulator.tws.entry import BAD_ACCOUNT, EVERYBODY, Refusal, invalid_request
from simulator.tws.frames import Fields

Send = Callable[[Fields], None]
End = Callable[[Fields], None]
Later = Callable[[float, Callable[[], object]], object]
VALUES_S = 0.2
"""How soon after a fill an account's values are said: once for everything that filled meanwhile."""
MAX_SUMMARIES = 2
TOO_MANY_SUMMARIES = Refusal(
    322, "Error processing request.-'b' : cause - Maximum number of account summary requests exceeded"
)
LIVE, FROZEN, LATE, LATE_FROZEN = 1, 2, 3, 4
BID, ASK, LAST, HIGH, LOW, VOLUME, CLOSE, MARK = 1, 2, 4, 6, 7, 8, 9, 37
DELAYED = {BID: 66, ASK: 67, LAST: 68, HIGH: 72, LOW: 73, VOLUME: 74, CLOSE: 75}
"""The tick types of prices that come late."""
MARK_PRICE = "221"
"""The generic tick that brings the mark price."""
SHOWN_SIZE = Decimal(100)
SUMMARY_END, MULTI_END, ACCOUNT_END, SNAPSHOT_END = 64, 74, 54, 57


class Supply(StrEnum):
    """What market data the house is entitled to."""

    LIVE = "live"
    DELAYED = "delayed"
    NONE = "none"
    COMPETING = "competing"


NOT_SUBSCRIBED = Refusal(354, "Requested market data is not subscribed. Delayed market data is available.")
SHOWN_DELAYED = Refusal(10167, "Requested market data is not subscribed. Displaying delayed market data.")
NO_DELAYED = Refusal(10168, "Requested market data is not subscribed. Delayed market data is not enabled.")
IN_USE = Refusal(10197, "No market data during competing live session")
NO_GENERIC = invalid_request("Snapshot market data subscription is not applicable to generic ticks")
TICKER_IN_USE = Refusal(322, "Error processing request.-'b' : cause - Duplicate ticker id")
NO_TICKER = 300


@dataclass(frozen=True, slots=True)
class _Summary:
    names: list[str]
    tags: frozenset[str]

    def has_ledger(self, currency: str) -> bool:
        """Say whether the ledger of a currency is wanted: $LEDGER is the base's, $LEDGER:ALL everyone's."""
        plain = "$LEDGER" if currency == BASE else f"$LEDGER:{currency}"
        return not self.tags.isdisjoint((plain, "$LEDGER:ALL"))


@dataclass(slots=True)
class _Ticker:
    contract: Contract
    is_delayed: bool
    has_mark: bool = False
    said: tuple[Decimal, Decimal] | None = None


class Feeds:
    """Serve one client's subscriptions; `send` writes a message, `end` one that ends an answer.

    `later` calls something after some seconds; `clock` says the time then.
    """

    def __init__(self, door: Door, send: Send, end: End, later: Later, clock: Callable[[], datetime]) -> None:
        self._later, self._clock = later, clock
        self._stale: set[str] = set()
        self._door = door
        self._send = send
        self._end = end
        self._account: str | None = None
        self._multi: dict[int, list[str]] = {}
        self._summaries: dict[int, _Summary] = {}
        self._follows_positions = False
        self._tickers: dict[int, _Ticker] = {}
        self.data_type = LIVE

    @property
    def _books(self) -> Books:
        return self._door.books

    # Accounts.

    def follow_account(self, account: str, now: datetime) -> Refusal | None:
        """reqAccountUpdates(6): values, portfolio, time, End; no name is the first account's."""
        name = account or self._books.names()[0]
        if name not in self._books.names():
            return BAD_ACCOUNT
        self._account = name
        self._say_account(name, now)
        for symbol, held in self._books.held(name):
            if held:
                self._say_holding(name, symbol, now)
        self._send([8, 1, f"{now:%H:%M}"])
        self._end(answers.end(ACCOUNT_END, name))
        return None

    def leave_account(self) -> None:
        """reqAccountUpdates(6) with subscribe 0."""
        self._account = None

    def follow_multi(self, req_id: int, account: str, model: str, now: datetime) -> Refusal | None:
        """reqAccountUpdatesMulti(76)."""
        names = self._names(account)
        if not names:
            return BAD_ACCOUNT
        self._multi[req_id] = names
        for name in names:
            for tag, value, currency in self._books.values(name, now):
                self._send(answers.multi_value(req_id, name, model, tag, value, currency))
        self._end(answers.end(MULTI_END, req_id))
        return None

    def leave_multi(self, req_id: int) -> None:
        """cancelAccountUpdatesMulti(77)."""
        self._multi.pop(req_id, None)

    def follow_summary(self, req_id: int, group: str, tags: str, now: datetime) -> Refusal | None:
        """reqAccountSummary(62): of all accounts, or of one."""
        names = self._names(group)
        if not names:
            return invalid_request("Invalid account group")
        if len(self._summaries) >= MAX_SUMMARIES and req_id not in self._summaries:
            return TOO_MANY_SUMMARIES
        self._summaries[req_id] = _Summary(names, frozenset(tag.strip() for tag in tags.split(",")))
        for name in names:
            self._say_summary(req_id, name, now)
        self._end(answers.end(SUMMARY_END, req_id))
        return None

    def leave_summary(self, req_id: int) -> None:
        """cancelAccountSummary(63)."""
        self._summaries.pop(req_id, None)

    def follow_positions(self) -> None:
        """reqPositions(61)."""
        self._follows_positions = True
        for name in self._books.names():
            for symbol, held in self._books.held(name):
                if held:
                    self._say_position(name, symbol)
        self._end(answers.POSITION_END)

    def leave_positions(self) -> None:
        """cancelPositions(64)."""
        self._follows_positions = False

    def moved(self, account: str, symbol: str, now: datetime) -> None:
        """Tell what a fill has changed."""
        if self._follows_positions:
            self._say_position(account, symbol)
        if self._account == account:
            self._say_holding(account, symbol, now)
        if self._account == account or self._multi or self._summaries:
            if not self._stale:
                self._later(VALUES_S, self._say_values)
            self._stale.add(account)

    def _say_values(self) -> None:
        """Say the values of every account that has changed."""
        stale, self._stale = sorted(self._stale), set()
        for account in stale:
            self._say_values_of(account, self._clock())

    def _say_values_of(self, account: str, now: datetime) -> None:
        if self._account == account:
            self._say_account(account, now)
        for req_id, names in self._multi.items():
            if account in names:
                for tag, value, currency in self._books.values(account, now):
                    self._send(answers.multi_value(req_id, account, "", tag, value, currency))
        for req_id, summary in self._summaries.items():
            if account in summary.names:
                self._say_summary(req_id, account, now)

    # Quotes.

    def quote(
        self, req_id: int, contract: Contract, supply: Supply, now: datetime, *, is_snapshot: bool,
        generic: str = "",
    ) -> list[Refusal]:  # fmt: skip
        """reqMktData(1): serve it, or say why not; a warning may come with delayed quotes."""
        if is_snapshot and generic:
            return [NO_GENERIC]
        if req_id in self._tickers:
            return [TICKER_IN_USE]
        may_delay = self.data_type in (LATE, LATE_FROZEN)
        if supply is Supply.COMPETING:
            return [IN_USE]
        if supply is Supply.NONE:
            return [NO_DELAYED if may_delay else NOT_SUBSCRIBED]
        is_delayed = supply is Supply.DELAYED
        if is_delayed and not may_delay:
            return [NOT_SUBSCRIBED]
        ticker = _Ticker(contract, is_delayed, MARK_PRICE in generic.split(",") and not is_delayed)
        is_frozen = self.data_type in (FROZEN, LATE_FROZEN) and not self._door.house.is_open
        kind = (LATE_FROZEN if is_frozen else LATE) if is_delayed else (FROZEN if is_frozen else LIVE)
        self._send(answers.tick_params(req_id, contract))
        self._send(answers.data_type(req_id, kind))
        self._say_quote(req_id, ticker, now)
        if is_snapshot:
            self._end(answers.end(SNAPSHOT_END, req_id))
        else:
            self._tickers[req_id] = ticker
        return [SHOWN_DELAYED] if is_delayed else []

    def stop_quote(self, req_id: int) -> Refusal | None:
        """cancelMktData(2)."""
        if self._tickers.pop(req_id, None) is None:
            return Refusal(NO_TICKER, f"Can't find EId with tickerId:{req_id}")
        return None

    def lose_quotes(self) -> None:
        """Forget every quote subscription, as after 1101."""
        self._tickers.clear()

    def look(self, now: datetime) -> None:
        """Say which quotes have changed."""
        for req_id, ticker in self._tickers.items():
            if self._door.venue.market.quote(ticker.contract.listed, now) != ticker.said:
                self._say_quote(req_id, ticker, now)

    # The inside.

    def _say_account(self, name: str, now: datetime) -> None:
        for tag, value, currency in self._books.values(name, now):
            self._send(answers.account_value(tag, value, currency, name))

    def _say_holding(self, name: str, symbol: str, now: datetime) -> None:
        books, contract = self._books, self._door.catalogue.listed(symbol)
        held = books.account(name).positions.get(symbol, ZERO)
        cost, realized = books.cost(name, symbol), books.realized(name, symbol)
        self._send(answers.portfolio(name, contract, held, books.price(symbol, now), cost, realized))

    def _say_position(self, name: str, symbol: str) -> None:
        held = self._books.account(name).positions.get(symbol, ZERO)
        contract = self._door.catalogue.listed(symbol)
        self._send(answers.position(name, contract, held, self._books.cost(name, symbol)))

    def _say_summary(self, req_id: int, name: str, now: datetime) -> None:
        summary, said = self._summaries[req_id], self._books.values(name, now)
        of_ledger = {tag for tag, _, currency in said if currency == BASE}
        for tag, value, currency in said:
            if (tag in summary.tags and currency != BASE) or (
                tag in of_ledger and summary.has_ledger(currency)
            ):
                self._send(answers.summary(req_id, name, tag, value, currency))

    def _names(self, account: str) -> list[str]:
        """Return the accounts a question is about; none when it names one that is not."""
        names = self._books.names()
        return names if account in EVERYBODY else [account] if account in names else []

    def _say_quote(self, req_id: int, ticker: _Ticker, now: datetime) -> None:
        market, symbol = self._door.venue.market, ticker.contract.listed
        bid, ask = ticker.said = market.quote(symbol, now)
        price, opening = market.price(symbol, now), self._books.opening(symbol)
        prices = {
            BID: (bid, SHOWN_SIZE), ASK: (ask, SHOWN_SIZE), LAST: (price, SHOWN_SIZE),
            HIGH: (max(price, opening), ZERO), LOW: (min(price, opening), ZERO), CLOSE: (opening, ZERO),
        }  # fmt: skip
        kinds = DELAYED if ticker.is_delayed else {kind: kind for kind in DELAYED}
        for kind, (px, size) in prices.items():
            self._send(answers.tick_price(req_id, kinds[kind], px, size))
        traded = Decimal(self._door.house.volumes[symbol])
        self._send(answers.tick_size(req_id, kinds[VOLUME], traded))
        if ticker.has_mark:
            self._send(answers.tick_price(req_id, MARK, price, ZERO))
