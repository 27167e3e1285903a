"""Instruments: what a quantity and a price of one listed name may be."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal


@dataclass(frozen=True, slots=True)
class Instrument:
    """Describe one tradeable name.

    `lot_size` is the quantity step (1 for whole shares, 0.0001 where the broker takes fractions),
    `tick_size` the price step, `min_notional` the smallest order value, both in `currency`.
    `identical_group` names the set of substantially identical securities (IRC 1091); empty means
    the symbol stands alone. `half_spread_bps` is in basis points of price; `volatility` is the
    annual standard deviation of returns (0.30 = 30 %). `daily_volume` is the average daily volume in
    units; 0 means unknown, and no market impact is charged.
    """

    symbol: str
    currency: str = "USD"
    lot_size: Decimal = Decimal(1)
    tick_size: Decimal = Decimal("0.01")
    min_notional: Decimal = Decimal(0)
    half_spread_bps: Decimal = Decimal(2)
    volatility: Decimal = Decimal("0.30")
    identical_group: str = ""
    daily_volume: Decimal = Decimal(0)

    @property
    def is_fractional(self) -> bool:
        """Say whether parts of a unit trade."""
        return bool(self.lot_size % 1)

    @property
    def group(self) -> str:
        """Name the set of substantially identical securities this one belongs to."""
        return self.identical_group or self.symbol

    def round_qty(self, qty: Decimal) -> Decimal:
        """Round a quantity towards zero to whole lots."""
        return (qty / self.lot_size).to_integral_value(ROUND_DOWN) * self.lot_size

    def round_price(self, price: Decimal) -> Decimal:
        """Round a price to the nearest tick."""
        return (price / self.tick_size).to_integral_value(ROUND_HALF_EVEN) * self.tick_size
