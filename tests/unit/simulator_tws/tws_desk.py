"""A TWS without sockets for tests: time is moved by hand, every session is a list of what it was told."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from simulator.accounts import Accounts, Tariff
from simulator.floor import VenueSettings
from simulator.market import Listing, Market, MarketSettings
from simulator.orders import OrdStatus
from simulator.tws.books import Books, MarginRule
from simulator.tws.contracts import Catalogue, Contract, con_id_of
from simulator.tws.desk import Desk, Manners
from simulator.tws.door import Door, Terms
from simulator.tws.entry import LOT
from simulator.tws.feeds import Supply
from simulator.tws.frames import Fields, text
from simulator.tws.journal import Journal
from simulator.tws.mishaps import Mishaps, read_planned
from simulator.tws.session import Session
from simulator.venue import Venue

START = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
PRICES = {"AAPL": "100", "MSFT": "200", "BRK.B": "300", "TOY": "50"}
UNSET_INT, UNSET_DOUBLE = "2147483647", "1.7976931348623157E308"
ACCOUNTS: dict[str, tuple[Decimal, dict[str, Decimal]]] = {
    "DU1": (Decimal(100_000), {"MSFT": Decimal(10)}),
    "DU2": (Decimal(5_000), {}),
}


def contract(symbol: str = "AAPL", **changed: str) -> list[str]:
    """The 12 fields of a contract as clients send them."""
    names = ("con_id", "symbol", "sec_type", "last", "strike", "right", "multiplier", "exchange", "primary",
             "currency", "local", "trading_class")  # fmt: skip
    plain = {"con_id": "0", "symbol": symbol, "sec_type": "STK", "strike": "0.0", "exchange": "SMART",
             "currency": "USD"}  # fmt: skip
    return [{**plain, **changed}.get(name, "") for name in names]


def order(
    order_id: int, action: str = "BUY", qty: str = "10", price: str | None = None, *, version: int = 178,
    symbol: str = "AAPL", ref: str = "", account: str = "DU1", tif: str = "DAY", oca: str = "",
    oca_type: str = "0", transmit: bool = True, parent: int = 0, what_if: bool = False,
    kind: str | None = None, about: Sequence[str] | None = None,
) -> list[str]:  # fmt: skip
    """A placeOrder message as the real clients send it."""
    kind = kind or ("MKT" if price is None else "LMT")
    said = ["3", str(order_id), *(about or contract(symbol)), "", "", action, qty, kind, price or "", "", tif]
    said += [oca, account, "", "0", ref, str(int(transmit)), str(parent), "0", "0", "0", "0", "0", "0"]
    said += ["", "0.0", "", "", "", "", ""] + [""] * (version < 177)
    said += ["", "0", "", "-1", oca_type, "", "", "0", "", "", "0", "0", "", "0", "", "", "", "", "", "0",
             "", "", "", ""]  # fmt: skip
    said += ["0", "", "", "", "", "", "", "", "", "", "", "0", "", "", "0", "0", "", "",
             str(int(what_if)), "", "0", "0", "0", "0"]  # fmt: skip
    said += ["", "", "", "", "", "", "0", "", "", "", "", "", "", "", "", "0", "0", "0", ""]
    said += [""] * sum(version >= since for since in (158, 160, 162, 166, 169))
    return said


@dataclass
class Client:
    """One session, and what it was told."""

    session: Session
    said: list[list[str]] = field(default_factory=list)
    is_closed: bool = False

    def ask(self, *fields: object) -> list[list[str]]:
        """Send a message; return what was said since."""
        before = len(self.said)
        self.session.handle([str(one) for one in fields])
        return self.said[before:]

    def place(self, order_id: int, *args: Any, **kwargs: Any) -> list[list[str]]:
        return self.ask(*order(order_id, *args, version=self.session.version, **kwargs))

    def cancel(self, order_id: int) -> list[list[str]]:
        return self.ask(4, 1, order_id, *([""] if self.session.version >= 169 else []))

    def of(self, message: int) -> list[list[str]]:
        return [one for one in self.said if one[0] == str(message)]

    @property
    def errors(self) -> list[tuple[int, int]]:
        """The request or order and the code of every error that is no farm's."""
        return [(int(one[2]), int(one[3])) for one in self.of(4) if one[3] not in ("2104", "2106", "2158")]

    @property
    def states(self) -> list[tuple[str, str, str, str]]:
        """orderId, status, filled and remaining of every orderStatus."""
        return [(one[1], one[2], one[3], one[4]) for one in self.of(3)]


def sequence(said: Sequence[Sequence[str]]) -> list[str]:
    """Word messages shortly: what kind, and which status or code."""
    words = {"5": "open", "3": "status", "11": "exec", "59": "commission", "4": "error"}
    which = {"3": 2, "4": 3}
    return [
        f"{words.get(one[0], one[0])}{' ' + one[which[one[0]]] if one[0] in which else ''}" for one in said
    ]


class Tws:
    """A desk, its venue and its clock."""

    def __init__(
        self, store: Path | None = None, *, supply: Supply = Supply.LIVE, master: int | None = None,
        may_short: bool = False, hard_to_borrow: Sequence[str] = (), prefix: str = "t-", **settings: Any,
    ) -> None:  # fmt: skip
        self.time = START
        self.mishaps = Mishaps()
        self.known: Any = None
        self._numbers = count()
        self._due: list[tuple[datetime, int, Callable[[], object]]] = []
        self.desk = Desk(self.mishaps, Manners(master=master, supply=supply), lambda: self.time, self._later)
        contracts = [_contract(symbol) for symbol in PRICES]
        rule = MarginRule(may_short=may_short)
        self.journal = Journal(store)
        self.door = Door(
            partial(_venue, settings), partial(_books, rule), Catalogue(contracts),
            Terms({"--seed": "1"}, frozenset(hard_to_borrow)), self.journal, self.desk.say, prefix,
        )  # fmt: skip
        self.desk.serve(self.door)
        self.door.recover(prefix, self.time)

    def _later(self, seconds: float, what: Callable[[], object]) -> None:
        heapq.heappush(self._due, (self.time + timedelta(seconds=seconds), next(self._numbers), what))

    def wait(self, seconds: float) -> None:
        """Let time pass, and do what becomes due."""
        end = self.time + timedelta(seconds=seconds)
        while self._due and self._due[0][0] <= end:
            due, _, what = heapq.heappop(self._due)
            self.time = max(self.time, due)
            what()
        self.time = end
        self.door.advance(self.time)
        self.desk.look()

    def client(self, client_id: int = 1, version: int = 178) -> Client:
        """Connect a client; what its start said is in `said`."""
        said: list[list[str]] = []

        def hear(fields: Fields) -> None:
            said.append([text(one) for one in fields])

        def close() -> None:
            made.is_closed = True

        made = Client(Session(self.desk, version, hear, close), said)
        made.ask(71, 2, client_id, "")
        return made

    def do(self, name: str, **arguments: Any) -> int:
        """Do as the operator."""
        return self.desk.operate(name, arguments)

    def plan(self, kind: str, **arguments: Any) -> None:
        """Let something go wrong."""
        self.mishaps.plan(read_planned({"kind": kind, **arguments}))


def _contract(symbol: str) -> Contract:
    if symbol == "TOY":
        cent, penny = Decimal("0.01"), Decimal("0.0001")
        steps = ((Decimal(0), penny), (Decimal(1), cent))
        return Contract(
            symbol, con_id_of(symbol), symbol, 27, steps, Decimal(100), Decimal(100), Decimal(100)
        )
    return Contract(symbol, con_id_of(symbol), symbol.replace(".", " "))


def _venue(settings: dict[str, Any], prefix: str) -> Venue:
    market = Market([Listing(symbol, Decimal(price)) for symbol, price in PRICES.items()], MarketSettings())
    shape = VenueSettings(
        id_prefix=prefix, tariff=TARIFF, day_end=OrdStatus.EXPIRED, lot=LOT, piece=Decimal(1), **settings
    )
    return Venue(market, Accounts(ACCOUNTS), shape)


def _books(rule: MarginRule, venue: Venue) -> Books:
    return Books(venue.accounts, venue.market, rule, TARIFF, "USD", START)


TARIFF = Tariff(Decimal("0.005"), Decimal(1))
