"""What the venue trades, and how: which of our instruments it takes no orders for, or only some.

Rules of this room:
1. An asset that is not tradable but active may be sold, never bought; an inactive one neither.
2. What nobody has asked about yet, or could not, is tradable: the venue decides.
3. A person is told of each change, and of an account whose settings stop it.
4. A refusal is a reason to ask again soon: an asset may change its status at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adapters.alpaca.calls import Calls, Urgency
from adapters.alpaca.codec import trades_fraction
from adapters.alpaca.outbox import Outbox
from adapters.alpaca.settings import AlpacaSettings
from gateway.domain.order import OrderSpec, Side

Json = Mapping[str, Any]
EACH_ALONE = 20
"""So many assets are asked for one by one, more with one long answer for all."""


class Assets:
    """Remember what the venue says of our instruments."""

    def __init__(self, settings: AlpacaSettings, calls: Calls, outbox: Outbox) -> None:
        self._settings = settings
        self._outbox = outbox
        self._calls = calls
        self._assets: dict[str, Json] = {}
        self._is_fractional_off = False
        self._doubted: set[str] = set()

    def refusal(self, spec: OrderSpec) -> str:
        """Say why the venue would not take an order; empty when it would, or nobody knows."""
        asset = self._assets.get(spec.symbol, {})
        if asset.get("status") == "inactive":
            return f"the venue does not trade {spec.symbol} any more (status inactive)"
        if asset.get("tradable") is False and spec.side is not Side.SELL:
            return f"the venue lets {spec.symbol} only be sold (not tradable)"
        if not trades_fraction(spec):
            return ""
        if asset.get("fractionable") is False:
            return f"{spec.symbol} is not fractionable; set its lot_size to 1"
        if self._is_fractional_off:
            return "the account does not trade fractions; set lot_size to 1, or allow them at the venue"
        return ""

    def doubt(self, symbol: str) -> None:
        """Ask about an asset again soon."""
        self._doubted.add(symbol)

    async def ask(self) -> None:
        """Ask about every instrument, and whether the account trades fractions."""
        found = await self._calls.ask(Urgency.LOOK_AROUND, "GET", "/account/configurations")
        if found.is_good and isinstance(found.body, dict):
            self._is_fractional_off = found.body.get("fractional_trading") is False
            if found.body.get("suspend_trade") is True:
                self._tell("the account's own settings suspend trading")
        symbols = self._settings.symbols
        if len(symbols) <= EACH_ALONE:
            await self._ask_each(symbols)
            return
        answer = await self._calls.ask(Urgency.LOOK_AROUND, "GET", "/assets", {"asset_class": "us_equity"})
        assets: list[Json] = answer.body if answer.is_good and isinstance(answer.body, list) else []
        for asset in sorted(assets, key=lambda one: one.get("status") == "active"):
            self._note(asset)  # a symbol may stand there twice: the active one counts

    async def ask_doubted(self) -> None:
        """Ask about what an order was refused for."""
        if self._doubted:
            doubted, self._doubted = self._doubted, set()
            await self._ask_each(sorted(doubted))

    async def _ask_each(self, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            answer = await self._calls.ask(Urgency.LOOK_AROUND, "GET", f"/assets/{symbol}")
            if answer.is_good and isinstance(answer.body, dict):
                self._note(answer.body)

    def _note(self, asset: Json) -> None:
        symbol = str(asset.get("symbol"))
        if symbol not in self._settings.symbols:
            return
        before = self._assets.get(symbol, {})
        self._assets[symbol] = asset
        for name, usual in (("status", "active"), ("tradable", True)):
            if asset.get(name) != before.get(name, usual):
                self._tell(f"{symbol}: {name} is {asset.get(name)} now")

    def _tell(self, text: str) -> None:
        """Tell a person what orders will be refused for."""
        self._outbox.notice("warning", text, self._settings.account)
