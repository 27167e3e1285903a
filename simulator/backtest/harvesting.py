"""Harvesting in a backtest: what `gateway.decision.harvest` plans is asked of the engine as targets.

Rules of this room:
1. Nothing is decided here: the plan is `harvest`'s, the return `swap_back`'s; sizes, checks, lots and fills
   are the engine's.
2. A request changes nothing but the swap: every other name's target is what it weighs.
3. What a loss can offset is known: this year's gains in the book, those made elsewhere, losses carried on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from gateway.decision.harvest import Locks, harvest, swap_back
from gateway.decision.tax_room import Room, room_of
from gateway.decision.view import View
from gateway.decision.wash_sale import watch
from gateway.domain.request import PolicyName
from gateway.domain.settings import AccountSettings
from gateway.events import Others, Regime
from simulator.backtest.bars import Day
from simulator.backtest.measure import Measure
from simulator.backtest.runner import Run, Targets, Wanted
from simulator.backtest.taxes import Elsewhere

ZERO = Decimal(0)
PLACES = Decimal("1e-12")
LEAN = Decimal("0.25")
"""A part of a lot by which a wish leans into its trade, so that rounding leaves the planned quantity."""
SPARE = Decimal("0.005")
"""Cash beyond this share of wealth is what taxes saved: it is invested in what is held."""


@dataclass(slots=True)
class StandIn:
    """Remember what was bought in place of what, how much, and when the loss was taken."""

    original: str
    other: str
    qty: Decimal
    since: date


@dataclass(slots=True)
class Harvester:
    """Say what an account wants: on the first day what `first` says, then what is held with swaps that pay.

    `judged_by` is the account as harvest judges by it; the engine's own account only carries out. Every
    `every`-th day is a look.
    """

    account: str
    first: Wanted
    judged_by: AccountSettings
    substitutes: Mapping[str, Sequence[str]]
    elsewhere: Elsewhere
    every: int = 21
    is_on: bool = True
    invested: Decimal = Decimal("0.99")
    stand_ins: list[StandIn] = field(default_factory=list)
    harvested: float = 0.0
    swaps: int = 0
    _run: Run | None = None
    _measure: Measure | None = None
    _day: int = -1

    def follow(self, run: Run, measure: Measure) -> None:
        """Look at this run, whose scenario asks this harvester."""
        self._run, self._measure = run, measure

    def decides(self, _day: Day) -> bool:
        """Say whether the account is looked at: on the first day, then every so many days."""
        self._day += 1
        return self._day % self.every == 0

    def wanted(self, day: Day) -> Targets:
        """Return the weights wanted on a day."""
        if self._day == 0:
            return self.first(day)
        assert self._run is not None  # noqa: S101 - a run is followed from its first day on
        held = dict(self._run.world.engine.state.book.accounts[self.account].positions)
        moved = self._moved(self._view(day)) if self.is_on else {}
        book = self._run.world.engine.state.book.accounts[self.account]
        nav = book.cash + sum((qty * day.close[symbol] for symbol, qty in held.items()), ZERO)
        for symbol, qty in moved.items():
            held[symbol] = max(ZERO, held.get(symbol, ZERO) + qty)
        worth = {symbol: qty * day.close[symbol] / nav for symbol, qty in held.items()}
        grown = self._grown(book.cash / nav, sum(worth.values(), ZERO), is_moving=bool(moved))
        return {symbol: (weight * grown).quantize(PLACES) for symbol, weight in worth.items()}

    # The inside.

    def _grown(self, cash: Decimal, invested: Decimal, *, is_moving: bool) -> Decimal:
        """Return by what all weights grow so that spare cash is invested, on a day without a swap."""
        if is_moving or cash <= 1 - self.invested + SPARE or not invested:
            return Decimal(1)
        return self.invested / invested

    def _moved(self, view: View) -> dict[str, Decimal]:
        """Return what the swaps of a day change, in shares; returns first, then new losses."""
        moved: dict[str, Decimal] = {}
        locks = watch(view)
        for one in list(self.stand_ins):
            self._return(view, locks, one, moved)
        room = self._room(view)
        busy = set(moved)
        plan = harvest(view, locks, self.substitutes, room)
        for swap in plan.swaps:
            sell, buy = swap.sell.symbol, swap.buy.symbol
            if {sell, buy} & busy:
                continue
            _move(moved, view, sell, -swap.sell.qty)
            _move(moved, view, buy, swap.buy.qty)
            self.stand_ins.append(StandIn(sell, buy, swap.buy.qty, view.trade_date))
            self.harvested += swap.loss
            self.swaps += 1
        return moved

    def _return(self, view: View, locks: Locks, one: StandIn, moved: dict[str, Decimal]) -> None:
        worth, _ = swap_back(view, locks, one.original, one.other, one.since, one.qty)
        if worth <= 0 or {one.original, one.other} & set(moved):
            return
        self.stand_ins.remove(one)
        qty = min(one.qty, view.book.position(self.account, one.other))
        value = qty * view.prices[one.other]
        _move(moved, view, one.other, -qty)
        back = view.instruments[one.original].round_qty(value / view.prices[one.original])
        _move(moved, view, one.original, back)

    def _room(self, view: View) -> Room:
        assert self._measure is not None  # noqa: S101 - a run is followed from its first day on
        taxes = self._measure.taxes
        gone = taxes.carried_into(view.trade_date.year, self.account)
        outside = Room(float(self.elsewhere.short), float(self.elsewhere.long))
        return room_of(
            view.book, taxes.filed_with(self.account), view.trade_date, self.judged_by.harvest, gone, outside
        )

    def _view(self, day: Day) -> View:
        """Show harvest the account at today's close."""
        assert self._run is not None  # noqa: S101 - a run is followed from its first day on
        engine = self._run.world.engine
        return View(
            trade_date=day.on, account=self.judged_by, book=engine.state.book,
            instruments=engine.settings.instruments, prices=day.close, targets={}, others=Others.KEEP,
            regime=Regime.NORMAL, risk=engine.market.risk_on(day.on, engine.settings),
        )  # fmt: skip


def _move(moved: dict[str, Decimal], view: View, symbol: str, qty: Decimal) -> None:
    """Add a change of shares, leaning a part of a lot into it."""
    lean = view.instruments[symbol].lot_size * LEAN
    moved[symbol] = moved.get(symbol, ZERO) + qty + (lean if qty > 0 else -lean)


def carrying_out(account: AccountSettings) -> AccountSettings:
    """Return an account that trades whatever is off target: what is asked of it was judged before."""
    decision = replace(
        account.decision, policy=PolicyName.THRESHOLD, drift_band_absolute=Decimal("0.00001"),
        drift_band_relative=ZERO, invest_cash=ZERO, risk_aversion=Decimal(10**6), cooldown_days=0,
        timing=False,
    )  # fmt: skip
    return replace(account, decision=decision)
