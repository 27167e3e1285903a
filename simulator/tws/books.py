"""What an account is worth, what its positions cost, and what an order would need: the margin rule.

Rules of this room:
1. Cash and positions are the core's; here is only what TWS derives: mean cost, gains, margin.
2. A fill that enlarges a position moves its mean cost; one that reduces it realizes a gain, less commission.
3. Margin is a share of the gross value of positions: one share to begin, one to keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from simulator.accounts import Account, Accounts, Tariff
from simulator.market import Market
from simulator.orders import ZERO, NewOrder, Side
from simulator.tws.entry import Refusal
from simulator.tws.shown import Margin

PLACES = Decimal("0.01")
COST_PLACES = Decimal("1E-8")
Value = tuple[str, str, str]
"""Tag, value, currency."""
BASE = "BASE"
"""What TWS calls the currency of an account where it adds up all of them."""


@dataclass(frozen=True, slots=True)
class MarginRule:
    """Shares of a position's value: what a new one needs, what a held one must keep; who may be short."""

    initial: Decimal = Decimal("0.5")
    maintenance: Decimal = Decimal("0.25")
    may_short: bool = False


@dataclass(slots=True)
class _Holding:
    qty: Decimal
    cost: Decimal
    realized: Decimal = ZERO


class Books:
    """Derive what TWS says of accounts."""

    def __init__(
        self,
        accounts: Accounts,
        market: Market,
        rule: MarginRule,
        tariff: Tariff,
        currency: str,
        now: datetime,
    ) -> None:
        self._accounts = accounts
        self._market = market
        self.rule = rule
        self._tariff = tariff
        self.currency = currency
        self._holdings: dict[tuple[str, str], _Holding] = {}
        self._opening = {symbol: market.price(symbol, now) for symbol in market.symbols}
        self.begin()

    def begin(self) -> None:
        """Forget every fill: positions as they were opened, at the price of then."""
        self._holdings = {
            (account.name, symbol): _Holding(qty, self._opening[symbol])
            for account in self._accounts.every()
            for symbol, qty in account.opening_positions.items()
            if symbol in self._opening
        }

    # Fills.

    def fill(
        self, account: str, symbol: str, signed: Decimal, px: Decimal, commission: Decimal
    ) -> Decimal | None:
        """Follow a fill, sells negative; return what it realized, None when it only opened."""
        held = self._holdings.setdefault((account, symbol), _Holding(ZERO, ZERO))
        before = held.qty
        held.qty += signed
        if before * signed >= ZERO:
            spent = abs(before) * held.cost + abs(signed) * px
            held.cost = _mean(spent, abs(held.qty))
            return None
        closed = min(abs(signed), abs(before)) * (1 if before > ZERO else -1)
        gain = closed * (px - held.cost) - commission
        held.realized += gain
        if held.qty * before < ZERO:
            held.cost = px
        elif not held.qty:
            held.cost = ZERO
        return gain

    def split(self, symbol: str, ratio: Decimal) -> None:
        """Follow a split: more shares, each at less."""
        for (_, named), held in self._holdings.items():
            if named == symbol:
                held.qty, held.cost = held.qty * ratio, held.cost / ratio

    def cost(self, account: str, symbol: str) -> Decimal:
        """Return the mean cost of a position."""
        held = self._holdings.get((account, symbol))
        return ZERO if held is None else held.cost

    def realized(self, account: str, symbol: str) -> Decimal:
        """Return what a symbol has gained today."""
        held = self._holdings.get((account, symbol))
        return ZERO if held is None else held.realized

    # Accounts.

    def account(self, name: str) -> Account:
        """Return an account of the core's books."""
        found = self._accounts.find(name)
        assert found is not None  # noqa: S101 - every account asked for is known
        return found

    def names(self) -> list[str]:
        """Return every account."""
        return [account.name for account in self._accounts.every()]

    def held(self, name: str) -> list[tuple[str, Decimal]]:
        """Return every position, and those that were closed today."""
        return [
            (symbol, qty)
            for symbol, qty in sorted(self.account(name).positions.items())
            if symbol in self._market
        ]

    def opening(self, symbol: str) -> Decimal:
        """Return the price a symbol had when the books were opened: yesterday's close, to a client."""
        return self._opening[symbol]

    def price(self, symbol: str, now: datetime) -> Decimal:
        """Return the market's price."""
        return self._market.price(symbol, now)

    def values(self, name: str, now: datetime) -> list[Value]:
        """Return what updateAccountValue says: tag, value, currency."""
        account, money = self.account(name), self.currency
        gross, net = self._value(account.positions.items(), now)
        equity = account.cash + net
        initial, maintenance = gross * self.rule.initial, gross * self.rule.maintenance
        realized = sum((one.realized for key, one in self._holdings.items() if key[0] == name), ZERO)
        gain = sum(
            (qty * (self.price(symbol, now) - self.cost(name, symbol)) for symbol, qty in self.held(name)),
            ZERO,
        )
        margin = {"InitMarginReq": initial, "MaintMarginReq": maintenance, "AvailableFunds": equity - initial,
                  "ExcessLiquidity": equity - maintenance}  # fmt: skip
        numbers = {
            "NetLiquidation": equity, "EquityWithLoanValue": equity, "PreviousEquityWithLoanValue": equity,
            "TotalCashValue": account.cash, "SettledCash": account.cash, "GrossPositionValue": gross,
            "BuyingPower": max(equity - initial, ZERO) / self.rule.initial, "RegTEquity": equity,
            "RegTMargin": initial, "SMA": equity - initial, **margin,
            **{when + tag: number for when in ("Full", "LookAhead") for tag, number in margin.items()},
        }  # fmt: skip
        ledger = {
            "CashBalance": account.cash, "TotalCashBalance": account.cash, "NetLiquidationByCurrency": equity,
            "AccruedCash": ZERO, "StockMarketValue": net, "RealizedPnL": realized, "UnrealizedPnL": gain,
            "ExchangeRate": Decimal(1),
        }  # fmt: skip
        return [
            ("AccountCode", name, ""), ("AccountOrGroup", name, money), ("AccountReady", "true", ""),
            ("AccountType", "INDIVIDUAL", ""), ("Currency", money, money), ("Currency", BASE, BASE),
            ("Cushion", _share(equity - maintenance, equity), ""), ("Leverage", _share(gross, equity), ""),
            ("LookAheadNextChange", "0", ""), ("HighestSeverity", "", ""), ("DayTradesRemaining", "-1", ""),
            *((tag, _money(number), money) for tag, number in numbers.items()),
            *((tag, _money(number), word) for word in (BASE, money) for tag, number in ledger.items()),
        ]  # fmt: skip

    # Margin.

    def margin(self, new: NewOrder, px: Decimal, now: datetime) -> Margin:
        """Say what an order would do, filled at `px`."""
        account = self.account(new.account)
        signed = new.order_qty if new.side == Side.BUY else -new.order_qty
        commission = (
            self._tariff.owed(new.order_qty, new.order_qty * px) if not self._tariff.is_free else ZERO
        )
        after = {**account.positions, new.symbol: account.positions.get(new.symbol, ZERO) + signed}
        return Margin(
            self._need(account.positions.items(), account.cash, now),
            self._need(after.items(), account.cash - signed * px - commission, now),
            commission, self.currency,
        )  # fmt: skip

    def fault(self, new: NewOrder, px: Decimal, now: datetime) -> Refusal | None:
        """Say why an account cannot carry an order."""
        held = self.account(new.account).positions.get(new.symbol, ZERO)
        if new.side != Side.BUY and new.order_qty > held and not self.rule.may_short:
            return Refusal(
                201, "Order rejected - reason:The account does not hold enough shares and may not be short"
            )
        margin = self.margin(new, px, now)
        initial, _, equity = margin.after
        if new.side == Side.BUY and initial > margin.before[0] and equity < initial:
            return Refusal(
                201,
                "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION "
                f"YOUR EQUITY WITH LOAN VALUE [{_money(equity)} {self.currency}] MUST EXCEED THE INITIAL "
                f"MARGIN [{_money(initial)} {self.currency}]",
            )
        return None

    def _need(
        self, positions: Iterable[tuple[str, Decimal]], cash: Decimal, now: datetime
    ) -> tuple[Decimal, Decimal, Decimal]:
        gross, net = self._value(positions, now)
        needs = (gross * self.rule.initial, gross * self.rule.maintenance, cash + net)
        return (_exact(needs[0]), _exact(needs[1]), _exact(needs[2]))

    def _value(self, positions: Iterable[tuple[str, Decimal]], now: datetime) -> tuple[Decimal, Decimal]:
        """Return gross and net value."""
        gross = net = ZERO
        for symbol, qty in positions:
            if symbol in self._market and qty:
                value = qty * self.price(symbol, now)
                gross, net = gross + abs(value), net + value
        return gross, net


def _mean(spent: Decimal, qty: Decimal) -> Decimal:
    return (spent / qty).quantize(COST_PLACES, ROUND_HALF_EVEN).normalize() if qty else ZERO


def _exact(number: Decimal) -> Decimal:
    return number.quantize(PLACES, ROUND_HALF_EVEN)


def _money(number: Decimal) -> str:
    return f"{_exact(number):f}"


def _share(part: Decimal, whole: Decimal) -> str:
    return _money(part / whole) if whole > ZERO else "0"
