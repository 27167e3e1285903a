"""Money: prices as they arrive, in the currency an account is kept in. Pure.

Rules of this room:
1. A rate is a price like any other: `EUR/USD` is what one EUR costs in USD, dated, and stale when old.
2. A converted price is as old as the older of price and rate; without a rate there is no price.
3. Valuing is all that is done here. The book keeps one currency an account, so `checks.py` sends nothing that
   would be paid in another.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gateway.domain.settings import AccountSettings, Settings
from gateway.oms.state import Price


def rate_symbol(of: str, into: str) -> str:
    """Name the rate that turns money of one currency into another: what one unit costs."""
    return f"{of}/{into}"


def quoted_elsewhere(settings: Settings, account: AccountSettings) -> dict[str, str]:
    """Return the names quoted in another currency than the account's, each with the symbol of its rate."""
    if settings.is_converted:
        return {}
    own = account.currency
    return {
        symbol: rate_symbol(one.currency, own)
        for symbol, one in settings.instruments.items()
        if one.currency != own
    }


def own_prices(prices: Mapping[str, Price], elsewhere: Mapping[str, str]) -> Mapping[str, Price]:
    """Return prices in the account's currency; names without a rate are left out."""
    if not elsewhere:
        return prices
    found = dict(prices)
    for symbol, rate in elsewhere.items():
        quote, known = found.pop(symbol, None), prices.get(rate)
        if quote is not None and known is not None:
            found[symbol] = Price(quote.px * known.px, min(quote.as_of, known.as_of))
    return found


def own_rates(prices: Mapping[str, Price], elsewhere: Mapping[str, str]) -> dict[str, Decimal]:
    """Return what a unit of each other currency is worth, by currency, as far as it is known."""
    return {rate.partition("/")[0]: prices[rate].px for rate in set(elsewhere.values()) if rate in prices}
