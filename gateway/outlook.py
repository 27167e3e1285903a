"""The outlook: what may be looked at when something is decided, at one instant. Pure; part of the engine.

Rules of this room:
1. Nothing here changes anything; the time is the last event's.
2. A decision sees fresh prices only; whoever asks says for which account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from gateway.decision.market import UNKNOWN, Market
from gateway.decision.substitution import stand_in, substituted
from gateway.decision.view import OpenOrder, View
from gateway.decision.wash_sale import watch
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import AccountSettings, Settings, WashSales
from gateway.events import TargetsSubmitted
from gateway.oms.booking import trade_date
from gateway.oms.checks import Gate
from gateway.oms.money import own_prices, own_rates, quoted_elsewhere
from gateway.oms.state import Price, Request, State


class Outlook:
    """Look at one household as it is now."""

    def __init__(self, settings: Settings, state: State, market: Market = UNKNOWN) -> None:
        self.settings = settings
        self.state = state
        self.market = market
        self._elsewhere: dict[str, dict[str, str]] = {}

    @property
    def now(self) -> datetime:
        """Return the time of the last event."""
        assert self.state.now is not None  # noqa: S101 - every event carries its time
        return self.state.now

    def without_price(self, spec: TargetsSubmitted) -> list[str]:
        """Name what a request holds or wants that has no fresh price."""
        held = self.state.book.accounts[spec.account].positions
        fresh = self.fresh_prices(self.settings.accounts[spec.account])
        known = self.state.substitutions.get(spec.account, ())
        stands_in = {one.other for one in known if one.original in spec.targets}
        return sorted(symbol for symbol in {*held, *spec.targets, *stands_in} if symbol not in fresh)

    def fresh_prices(self, account: AccountSettings) -> dict[str, Decimal]:
        """Return the prices an account may trade on, in its own currency."""
        oldest = self.now - timedelta(seconds=float(account.limits.price_max_age_s))
        return {symbol: price.px for symbol, price in self._prices(account).items() if price.as_of >= oldest}

    def last_prices(self, account: AccountSettings) -> dict[str, Decimal]:
        """Return every price as it was last known, however old, in the account's currency."""
        return {symbol: price.px for symbol, price in self._prices(account).items()}

    def lacking(self, account: AccountSettings, symbols: Iterable[str]) -> str:
        """Name what has no price, and beside what is quoted in another currency the rate it needs, too."""
        rates, named = self._quoted_elsewhere(account), list(symbols)[:5]
        return ", ".join(f"{one} (with its rate {rates[one]})" if one in rates else one for one in named)

    def _quoted_elsewhere(self, account: AccountSettings) -> dict[str, str]:
        if account.currency not in self._elsewhere:
            self._elsewhere[account.currency] = quoted_elsewhere(self.settings, account)
        return self._elsewhere[account.currency]

    def _prices(self, account: AccountSettings) -> Mapping[str, Price]:
        return own_prices(self.state.prices, self._quoted_elsewhere(account))

    def view(self, request: Request) -> View:
        """Gather what a request may be decided on."""
        return self.view_of(request.spec)

    def view_of(self, spec: TargetsSubmitted, prices: Mapping[str, Decimal] | None = None) -> View:
        """Gather what these targets may be judged on, at fresh prices or at `prices`.

        A harvest brings no targets: what stands is what the account is held to.
        """
        account = self.settings.accounts[spec.account]
        today = trade_date(self.now, self.settings)
        last = self.state.rebalanced.get(spec.account)
        standing = self.state.standing.get(spec.account)
        targets = standing.targets if spec.harvest and standing is not None else spec.targets
        view = View(
            trade_date=today,
            account=account,
            book=self.state.book,
            instruments=self.settings.instruments,
            prices=self.fresh_prices(account) if prices is None else prices,
            targets=targets,
            others=spec.others,
            regime=spec.regime,
            open_orders=[
                OpenOrder(
                    order.spec.account, order.spec.symbol, order.spec.side, order.leaves_qty, order.spec.price
                )
                for order in self.state.open_orders()
            ],
            risk=self.market.risk_on(today, self.settings),
            signals=self.market.signals,
            last_rebalance=trade_date(last, self.settings) if last is not None else None,
            closed_days=self.settings.closed_days,
            policy=spec.policy,
            learned=self.market.learned.get(spec.account),
            substitutes=self.settings.substitutes,
            blocking=frozenset(
                name
                for name, one in self.settings.accounts.items()
                if name != account.name and one.decision.wash_sale is not WashSales.ACCEPT
            ),
            rates=own_rates(self.state.prices, self._quoted_elsewhere(account)),
        )
        return substituted(view, self.state.substitutions.get(spec.account, ()))

    def gate(self, account: AccountSettings, nav: Decimal, *, is_urgent: bool) -> Gate:
        """Gather what the checks may look at."""
        held = dict(self.state.book.accounts[account.name].positions)
        busy: set[tuple[str, Side]] = set()
        for order in self.state.open_orders():
            spec = order.spec
            if spec.account == account.name:
                busy.add((spec.symbol, spec.side))
                if spec.side is not Side.BUY:
                    held[spec.symbol] = held.get(spec.symbol, Decimal(0)) - order.leaves_qty
        return Gate(
            now=self.now,
            account=account,
            nav=nav,
            instruments=self.settings.instruments,
            prices=self.state.prices,
            held=held,
            busy=frozenset(busy),
            halt=self.state.halt_reason(account.name),
            is_urgent=is_urgent,
            is_converted=self.settings.is_converted,
        )

    def free_cash(self, account: AccountSettings) -> Decimal:
        """Return the cash that no open buy may still take, and that the venue lets the account spend."""
        state = self.state
        cash = state.book.accounts[account.name].cash - state.shortfalls.get(account.name, Decimal(0))
        for order in self.state.open_orders():
            spec = order.spec
            if spec.account == account.name and spec.side is Side.BUY:
                of_money = order.leaves_cash
                if of_money is None:
                    of_money = order.leaves_qty * (spec.price or self.state.prices[spec.symbol].px)
                cash -= of_money
        return cash

    def nav(self, account: AccountSettings, view: View) -> Decimal:
        """Return the net asset value at the prices known."""
        held = self.state.book.accounts[account.name]
        known = self.last_prices(account) | dict(view.prices)
        return held.cash + sum(
            (qty * known[symbol] for symbol, qty in held.positions.items() if symbol in known), Decimal(0)
        )


def watched(view: View, proposals: Iterable[Proposal]) -> list[Proposal]:
    """Judge proposals again by the wash-sale rule, as things are now."""
    known = watch(view, substitute=stand_in(view))
    return [known.marked(item) for item in proposals]
