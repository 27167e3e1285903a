"""The tape: a venue that fills what is sent to it at prices of history, with spread and impact.

Rules of this room:
1. It knows the present day and the days before; it is told of the next one when it begins.
2. What a trade costs is said by the product's own cost model (`gateway.decision.costs`): half the spread and
   the impact of its size move its price, commission, fees and the changing of money are charged. Volume is
   the instrument's, or the day's.
3. A limit is kept: what cannot trade within it waits for the end of its day and expires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from gateway.decision.costs import commission, conversion, half_spread, impact
from gateway.domain.instrument import Instrument
from gateway.domain.order import ExecType, OrderSpec, OrdStatus, OrdType, Report, Side
from gateway.domain.settings import AccountSettings
from gateway.events import CancelOrder, CancelRejected, OrderUnknown, ReportReceived, SendOrder
from simulator.backtest.bars import Day
from simulator.inprocess import Numbered, Wish

PLACES = Decimal("0.000001")
NANO = Decimal("1E-9")
"""What an order of money buys is counted in."""
ZERO = Decimal(0)


class Fills(StrEnum):
    """Say at which price of history an order fills."""

    CLOSE = "close"
    NEXT_OPEN = "next_open"
    NEXT_TYPICAL = "next_typical"


@dataclass(frozen=True, slots=True)
class Traded:
    """Remember one trade: `reference` is the price of history, `px` what was paid or received.

    With `is_reinvested` a dividend bought it.
    """

    account: str
    symbol: str
    side: Side
    qty: Decimal
    px: Decimal
    reference: Decimal
    commission: Decimal
    cl_ord_id: str
    is_reinvested: bool = False

    @property
    def slippage(self) -> Decimal:
        """Return what spread and impact cost, in money."""
        return self.qty * abs(self.px - self.reference)


class Tape:
    """Fill orders at the prices of the present day. It is the venue behind one line of `InProcess`."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        accounts: Mapping[str, AccountSettings],
        fills: Fills = Fills.CLOSE,
    ) -> None:
        self.fills = fills
        self._instruments = instruments
        self._accounts = accounts
        self._day: Day | None = None
        self._is_trading = False
        self._seen: dict[str, OrdStatus] = {}
        self._waiting: list[OrderSpec] = []
        self.traded: list[Traded] = []
        self._count = 0

    def begin(self, day: Day) -> None:
        """Let the next day begin: what waited for its prices may trade from now on."""
        self._day = day
        self._is_trading = self.fills is not Fills.CLOSE

    def close(self) -> None:
        """Let the day's close come: with fills at the close it is the one moment of trading."""
        self._is_trading = self.fills is Fills.CLOSE

    def end(self) -> None:
        """Let the trading of the day be over; orders sent from now on wait for the next."""
        self._is_trading = False

    def take(self, wish: Wish, now: datetime) -> Sequence[Numbered]:
        """Take an order, a cancel or a question."""
        spec = wish.order
        if isinstance(wish, SendOrder):
            return self._enter(spec, now)
        if isinstance(wish, CancelOrder):
            return self._cancel(wish, now)
        status = self._seen.get(spec.cl_ord_id)
        if status is None:
            return [OrderUnknown(now, "", 0, spec.cl_ord_id)]
        return [self._report(spec, ExecType.ORDER_STATUS, status, now, ZERO)]

    def advance(self, now: datetime) -> Sequence[Numbered]:
        """Fill what has waited for this day's prices; what cannot trade within its limit expires."""
        if not self._is_trading or not self._waiting:
            return []
        waiting, self._waiting = self._waiting, []
        return [self._trade(one, now) for one in waiting]

    def next_due(self) -> datetime | None:
        """Nothing happens by itself: the days are told."""
        return None

    def has(self, cl_ord_id: str) -> bool:
        """Say whether an order has reached the venue."""
        return cl_ord_id in self._seen

    def reinvest(self, account: str, symbol: str, qty: Decimal) -> Decimal:
        """Buy at the day's close with an account's dividend, free of charge; return what it takes."""
        assert self._day is not None  # noqa: S101 - a day has begun before anything is paid
        px = self._day.close[symbol]
        name = f"{self._day.on:%Y%m%d}-{account}-REINVEST-{symbol}"
        self.traded.append(Traded(account, symbol, Side.BUY, qty, px, px, ZERO, name, is_reinvested=True))
        return qty * px

    # The inside.

    def _enter(self, spec: OrderSpec, now: datetime) -> list[Numbered]:
        if spec.cl_ord_id in self._seen:
            return [self._report(spec, ExecType.ORDER_STATUS, self._seen[spec.cl_ord_id], now, ZERO)]
        if self._is_trading:
            return [self._trade(spec, now)]
        self._seen[spec.cl_ord_id] = OrdStatus.NEW
        self._waiting.append(spec)
        return [self._report(spec, ExecType.NEW, OrdStatus.NEW, now, ZERO)]

    def _cancel(self, wish: CancelOrder, now: datetime) -> list[Numbered]:
        spec = wish.order
        left = [one for one in self._waiting if one.cl_ord_id != spec.cl_ord_id]
        if len(left) == len(self._waiting):
            status = self._seen.get(spec.cl_ord_id)
            return [CancelRejected(now, "", 0, wish.cancel_id, spec.cl_ord_id, status, "too late to cancel")]
        self._waiting = left
        return [self._ended(spec, ExecType.CANCELED, OrdStatus.CANCELED, now)]

    def _trade(self, spec: OrderSpec, now: datetime) -> ReportReceived:
        reference = self._reference(spec)
        if reference is None:
            return self._ended(spec, ExecType.REJECTED, OrdStatus.REJECTED, now)
        px = self._price(spec, reference)
        if spec.ord_type is OrdType.LIMIT and spec.price is not None:
            is_within = px <= spec.price if spec.side is Side.BUY else px >= spec.price
            if not is_within:
                return self._ended(spec, ExecType.EXPIRED, OrdStatus.EXPIRED, now)
        self._seen[spec.cl_ord_id] = OrdStatus.FILLED
        account, qty = self._accounts[spec.account], spec.order_qty
        if spec.cash_order_qty is not None:
            qty = (spec.cash_order_qty / px).quantize(NANO, ROUND_DOWN)
        charged = commission(account.costs, qty, qty * px, spec.side)
        charged += conversion(account, self._instruments[spec.symbol], qty * px)
        self.traded.append(
            Traded(spec.account, spec.symbol, spec.side, qty, px, reference, charged, spec.cl_ord_id)
        )
        return self._report(spec, ExecType.TRADE, OrdStatus.FILLED, now, qty, px, charged)

    def _reference(self, spec: OrderSpec) -> Decimal | None:
        """Return today's price of history; None where the name does not trade."""
        assert self._day is not None  # noqa: S101 - a day has begun before anything is sent
        match self.fills:
            case Fills.CLOSE:
                return self._day.close.get(spec.symbol)
            case Fills.NEXT_OPEN:
                return self._day.open.get(spec.symbol)
            case Fills.NEXT_TYPICAL:
                return self._day.typical.get(spec.symbol)

    def _price(self, spec: OrderSpec, reference: Decimal) -> Decimal:
        """Return what a trade pays or brings: the reference, half the spread, the impact of its size."""
        assert self._day is not None  # noqa: S101 - the reference is of that day
        instrument = self._instruments[spec.symbol]
        if not instrument.daily_volume and (volume := self._day.volume.get(spec.symbol, 0.0)) > 0:
            instrument = replace(instrument, daily_volume=Decimal(volume))
        value = float(spec.order_qty * reference)
        costs = self._accounts[spec.account].costs
        lost = half_spread(instrument, value) + impact(costs, instrument, float(spec.order_qty), value)
        return (reference * (1 + spec.side.sign * Decimal(lost / value))).quantize(PLACES)

    def _ended(self, spec: OrderSpec, kind: ExecType, status: OrdStatus, now: datetime) -> ReportReceived:
        self._seen[spec.cl_ord_id] = status
        return self._report(spec, kind, status, now, ZERO)

    def _report(
        self, spec: OrderSpec, kind: ExecType, status: OrdStatus, now: datetime, cum_qty: Decimal,
        px: Decimal | None = None, charged: Decimal = ZERO,
    ) -> ReportReceived:  # fmt: skip
        self._count += 1
        is_open = status is OrdStatus.NEW
        report = Report(
            spec.cl_ord_id, f"T{self._count}", kind, status, cum_qty,
            leaves_qty=spec.order_qty - cum_qty if is_open else ZERO,
            last_qty=cum_qty if px is not None else None, last_px=px, commission=charged,
            order_id=f"O{spec.cl_ord_id}", symbol=spec.symbol, side=spec.side, transact_time=now,
        )  # fmt: skip
        return ReportReceived(now, "", 0, report)
