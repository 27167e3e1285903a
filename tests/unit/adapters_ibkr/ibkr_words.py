"""What TWS says, made short for tests: one order of ours, its messages, and what the ledger makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from adapters.ibkr import said
from adapters.ibkr.ledger import Ledger
from adapters.ibkr.outcomes import Ask, Notice, Outcome, Told
from adapters.ibkr.settings import IbkrSettings, Terms
from gateway.domain.order import OrderSpec, OrdStatus, OrdType, Report, Side, TimeInForce

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
REF, CODE, CLIENT, ID, PERM = "ABCDEFGHIJKLMNOP", "DU1", 11, 101, 9001


def settings(**changes: Any) -> IbkrSettings:
    words: dict[str, Any] = {
        "name": "tws", "host": "127.0.0.1", "port": 1, "accounts": {"main": CODE},
        "terms": {"AAPL": Terms("AAPL"), "MSFT": Terms("MSFT")}, "commission_wait_s": 3.0,
    }  # fmt: skip
    return IbkrSettings(**{**words, **changes})


def order(ref: str = REF, **changes: Any) -> OrderSpec:
    words: dict[str, Any] = {
        "side": Side.BUY, "order_qty": Decimal(100), "ord_type": OrdType.LIMIT, "price": Decimal("10.00"),
        "time_in_force": TimeInForce.DAY, "symbol": "AAPL",
    }  # fmt: skip
    return OrderSpec(
        cl_ord_id=ref, request_id="r", account="main", link="tws", wave=1, **{**words, **changes}
    )


def status(word: str, filled: int = 0, *, perm_id: int = PERM, order_id: int = ID) -> said.StatusSaid:
    return said.StatusSaid(order_id, word, Decimal(filled), None, perm_id, CLIENT)


def open_order(word: str = "Submitted", **changes: Any) -> said.OpenSaid:
    words: dict[str, Any] = {
        "order_id": ID, "perm_id": PERM, "client_id": CLIENT, "ref": REF, "account": CODE, "con_id": 1,
        "symbol": "AAPL", "side": Side.BUY, "qty": Decimal(100),
    }  # fmt: skip
    return said.OpenSaid(status=word, **{**words, **changes})


def completed(word: str = "Filled", filled: int = 100, **changes: Any) -> said.CompletedSaid:
    words: dict[str, Any] = {
        "perm_id": PERM, "ref": REF, "account": CODE, "con_id": 1, "symbol": "AAPL", "side": Side.BUY,
    }  # fmt: skip
    return said.CompletedSaid(status=word, filled=Decimal(filled), **{**words, **changes})


def execution(exec_id: str = "0001.aa.01", qty: str = "100", px: str = "10", **changes: Any) -> said.Said:
    words: dict[str, Any] = {
        "req_id": -1, "order_id": ID, "client_id": CLIENT, "perm_id": PERM, "ref": REF, "account": CODE,
        "con_id": 1, "symbol": "AAPL", "side": Side.BUY, "cum_qty": Decimal(qty), "at": NOW,
    }  # fmt: skip
    return said.ExecutionSaid(exec_id=exec_id, qty=Decimal(qty), px=Decimal(px), **{**words, **changes})


def commission(exec_id: str = "0001.aa.01", fee: str = "1") -> said.CommissionSaid:
    return said.CommissionSaid(exec_id, Decimal(fee), "USD")


def error(code: int, text: str = "", order_id: int = ID) -> said.ErrorSaid:
    return said.ErrorSaid(order_id, code, text)


@dataclass
class Story:
    """A ledger that is told things, and everything that followed."""

    ledger: Ledger = field(default_factory=lambda: Ledger(settings(), lambda _con_id, symbol: symbol))
    now_s: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)

    def sent(self, spec: OrderSpec | None = None, order_id: int = ID) -> Story:
        spec = spec or order()
        self.ledger.sent(spec, order_id, CLIENT, spec.order_qty)
        return self

    def live(self) -> Story:
        return self.sent().hears(open_order("Submitted"), status("Submitted"))

    def hears(self, *messages: said.Said) -> Story:
        for message in messages:
            self.outcomes += self.ledger.hear(message, self.now_s)
        return self

    def waits(self, seconds: float) -> Story:
        self.now_s += seconds
        self.outcomes += self.ledger.due(self.now_s)
        return self

    def forgets(self) -> Story:
        self.outcomes.clear()
        return self

    @property
    def reports(self) -> list[Report]:
        return [one.report for one in self.outcomes if isinstance(one, Told)]

    @property
    def last(self) -> OrdStatus:
        return self.reports[-1].ord_status

    @property
    def asks(self) -> list[str]:
        return [one.ref for one in self.outcomes if isinstance(one, Ask)]

    @property
    def notices(self) -> list[Notice]:
        return [one for one in self.outcomes if isinstance(one, Notice)]

    def of(self, kind: type[Outcome]) -> list[Any]:
        return [one for one in self.outcomes if isinstance(one, kind)]
