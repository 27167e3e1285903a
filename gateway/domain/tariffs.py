"""Tariffs: what brokers publish that a trade costs, by name. Data, read on the date that stands beside it.

Rules of this room:
1. A row says where it was read and when; a broker changes its prices without telling us, so every number
   can be overridden in `[ACCOUNT.costs]` and `gateway config` shows what is in force.
2. Amounts are in the currency of the market; rebates, routing and exchange fees differ by venue and are in
   no row. Regulatory fees (SEC section 31, FINRA TAF and CAT) are those of the US market, passed on at cost.
3. Tax rates are not a broker's: rows leave them at their defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from gateway.domain.settings import Costs, Tier

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Tariff:
    """One published price list: what it costs, where it stands, when it was read."""

    costs: Costs
    source: str
    read_on: str


def _us(
    *,
    per_share: str,
    minimum: str,
    maximum_bps: str,
    tiers: tuple[Tier, ...] = (),
    clearing: str = "0",
    fx_bps: str = "0",
) -> Costs:
    """Return a US price list: SEC fee 0 since 14 May 2025, TAF 0.000166 a share up to 8.30, CAT 0.0000265."""
    return Costs(
        commission_per_share=Decimal(per_share),
        commission_minimum=Decimal(minimum),
        commission_maximum_bps=Decimal(maximum_bps),
        tiers=tiers,
        clearing_per_share=Decimal(clearing) + Decimal("0.0000265"),
        sell_fee_bps=ZERO,
        sell_fee_per_share=Decimal("0.000166"),
        sell_fee_maximum=Decimal("8.30"),
        fx_bps=Decimal(fx_bps),
    )


_IBKR = "https://www.interactivebrokers.co.uk/en/pricing/commissions-stocks.php?re=amer"
_ALPACA = "https://alpaca.markets/support/regulatory-fees"
_SAXO = "https://www.help.saxo/hc/en-gb/articles/30822149576349-Saxo-Pricing-Update"
_TIERS = (
    Tier(ZERO, Decimal("0.0035")),
    Tier(Decimal(300_000), Decimal("0.0020")),
    Tier(Decimal(3_000_000), Decimal("0.0015")),
    Tier(Decimal(20_000_000), Decimal("0.0010")),
    Tier(Decimal(100_000_000), Decimal("0.0005")),
)


def _saxo(bps: str, fx_bps: str) -> Costs:
    return Costs(
        commission_per_share=ZERO,
        commission_minimum=ZERO,
        commission_bps=Decimal(bps),
        fx_bps=Decimal(fx_bps),
    )


TARIFFS: Mapping[str, Tariff] = {
    # 0.005 a share, at least 1.00, at most 1 % of the value; the currency costs 0.2 bp (IBKR's spot desk).
    "ibkr-fixed": Tariff(
        _us(per_share="0.005", minimum="1.00", maximum_bps="100", fx_bps="0.2"), _IBKR, "2026-11-28"
    ),
    # By the month's shares, at least 0.35, at most 1 % of the value; clearing 0.0002 a share; exchange
    # fees and rebates, which differ by venue, are left out.
    "ibkr-tiered": Tariff(
        _us(
            per_share="0.0035", minimum="0.35", maximum_bps="100", tiers=_TIERS, clearing="0.0002",
            fx_bps="0.2",
        ),
        _IBKR,
        "2026-11-28",
    ),
    # No commission; the regulators' fees are passed on.
    "alpaca": Tariff(_us(per_share="0", minimum="0", maximum_bps="0"), _ALPACA, "2026-11-28"),
    # 8, 5 or 3 basis points by the client's class, no minimum since 15 November 2025; the classic client
    # pays 25 bp for the currency.
    "saxo-classic": Tariff(_saxo("8", "25"), _SAXO, "2026-11-28"),
    "saxo-platinum": Tariff(_saxo("5", "25"), _SAXO, "2026-11-28"),
    "saxo-vip": Tariff(_saxo("3", "25"), _SAXO, "2026-11-28"),
}  # fmt: skip
