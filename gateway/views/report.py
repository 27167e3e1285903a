"""The weekly report as data: every figure of the page and of the JSON comes from here.

Rules of this room:
1. Figures are made by the functions that decide: `survey`, `propose`, `watch`, the one cost model.
2. Money and quantities are Decimals (text in JSON); weights, drift and estimates are floats.
3. What cannot be known is None, never 0, and the reader is told why in `notes`.
The shape is described in this room's README.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from gateway.decision.costs import half_spread
from gateway.decision.drift import survey
from gateway.decision.explain import detailed, sentence
from gateway.decision.market import UNKNOWN, Market
from gateway.decision.policy import Plan, propose
from gateway.decision.view import View
from gateway.decision.wash_sale import Watch, watch
from gateway.domain.lots import RealisedGain, is_long_term
from gateway.domain.order import Side
from gateway.domain.settings import AccountSettings, Settings
from gateway.oms.booking import trade_date
from gateway.views.losses import losses, stand_ins
from gateway.views.notices import Notice
from gateway.views.week import Past, Point, Trade, last_prices, view_of

SCHEMA = 1
ZERO = Decimal(0)


def make_report(
    past: Past, settings: Settings, notices: Sequence[Notice], made_at: datetime, account: str = "",
    market: Market = UNKNOWN,
) -> dict[str, Any]:  # fmt: skip
    """Return the whole report of a household's week, or of one account of it; risk is what `market` knows."""
    names = [name for name in past.state.book.accounts if account in ("", name)]
    week = past.week
    return {
        "schema": SCHEMA,
        "household": settings.household,
        "week": week.name,
        "first_day": week.monday,
        "last_day": week.sunday,
        "begins": week.begins,
        "ends": week.ends,
        "as_of": past.state.now,
        "made_at": made_at,
        "is_over": past.is_over or made_at >= week.ends,
        "events": past.events,
        "accounts": [_account(past, settings, name, market) for name in names],
        "alerts": [_notice(one) for one in notices if not account or one.account in ("", account)],
        "halts": [
            {"account": one.account, "since": one.since, "until": one.until, "reason": one.reason}
            for one in past.halts
            if not account or one.account in ("", account)
        ],
    }


def _notice(one: Notice) -> dict[str, str]:
    return {
        "at": one.at, "severity": one.severity, "code": one.code, "account": one.account, "text": one.text,
    }  # fmt: skip


def _account(past: Past, settings: Settings, name: str, market: Market) -> dict[str, Any]:
    """Return one account's part."""
    held = past.state.book.accounts[name]
    known = settings.accounts.get(name)
    standing = past.state.standing.get(name)
    view = view_of(past.state, settings, name, standing, market) if standing is not None else None
    curve = past.curves.get(name, [])
    opening = past.opening.get(name) or (curve[0] if curve else None)
    trades = past.trades(name)
    return {
        "account": name,
        "currency": known.currency if known is not None else "",
        "is_taxable": held.taxable,
        "cash": held.cash,
        "nav": curve[-1].nav if curve else None,
        "nav_before": opening.nav if opening is not None else None,
        "change": curve[-1].nav - opening.nav if curve and opening is not None else None,
        "standing": None if standing is None else {
            "request_id": standing.request_id, "since": standing.since, "others": standing.others,
            "cancelled_by": standing.cancelled_by,
        },
        "limits": None if known is None else {
            "warning": float(known.monitoring.warning_drift),
            "critical": float(known.monitoring.critical_drift),
        },
        **_positions(past, settings, name, view),
        "curve": [_point(one) for one in ([opening] if opening and opening not in curve else []) + curve],
        "checks": [
            {"at": one.at, "level": one.level, "max_drift": one.max_drift, "text": one.text}
            for one in past.checks
            if one.account == name
        ],
        "trades": [_trade(one, settings) for one in trades],
        "costs": _costs(trades, settings),
        **_taxes(past, settings, name, known),
        "locks": _locks(view) if view is not None else [],
        "substitutions": stand_ins(past.state, name),
        "harvest": losses(past.state, settings, name, market),
        "notes": list(_notes(past, settings, name, view)),
    }  # fmt: skip


def _point(one: Point) -> dict[str, Any]:
    return {"at": one.at, "nav": one.nav, "drift": one.drift, "max_drift": one.max_drift}


def _notes(past: Past, settings: Settings, name: str, view: View | None) -> Iterable[str]:
    """Say what the report cannot show, and why."""
    if name not in settings.accounts:
        yield "the configuration no longer knows this account"
    if past.state.standing.get(name) is None:
        yield "no targets stand for this account yet: drift and recommendations need a request"
    elif view is None:
        yield "a holding has no price, or the configuration no longer knows a name of it"


def _positions(past: Past, settings: Settings, name: str, view: View | None) -> dict[str, Any]:
    """Return current against target weights, the drift with its cost, and what the policy would do."""
    held = past.state.book.accounts[name].positions
    prices = last_prices(past.state, settings, name)
    if view is None:
        weights = [_weight(symbol, qty, prices.get(symbol)) for symbol, qty in sorted(held.items())]
        return {"weights": weights, "drift": None, "recommendation": None}
    plan, found = propose(view), survey(view)
    decision = settings.accounts[name].decision
    error = found.tracking_error(found.gap)
    return {
        "weights": [
            _weight(one.symbol, held.get(one.symbol, ZERO), prices.get(one.symbol))
            | {"weight": one.weight_before, "target": one.weight_target}
            for one in plan.names
        ],
        "drift": {
            "sum": found.drift,
            "largest": found.max_drift,
            "tracking_error": error,
            "cost_a_year": 0.5 * float(decision.risk_aversion) * error**2 * float(found.nav),
        },
        "recommendation": _recommendation(view, plan),
    }


def _weight(symbol: str, qty: Decimal, price: Decimal | None) -> dict[str, Any]:
    value = None if price is None else qty * price
    return {
        "symbol": symbol, "qty": qty, "price": price, "value": value, "weight": None, "target": None,
    }  # fmt: skip


def _recommendation(view: View, plan: Plan) -> dict[str, Any]:
    """Return what the account's policy would do at the last known prices, with its reason for each name."""
    proposals = {item.symbol: item for item in plan.proposals}
    names = detailed(view, plan)
    return {
        "action": plan.action,
        "reason": plan.reason,
        "tracking_error_left": plan.tracking_error_left,
        "names": [
            {
                "symbol": one.symbol,
                "qty": ZERO if one.note.startswith("not sent") else one.qty,
                "benefit": one.benefit,
                "cost": one.cost,
                "tax": sum(lot.tax for lot in one.lots),
                "why": sentence(one, None if one.note.startswith("not sent") else proposals.get(one.symbol)),
            }
            for one in names
        ],
    }


def _trade(one: Trade, settings: Settings) -> dict[str, Any]:
    """Return one execution; `slippage` is what its price cost against the price it was decided at."""
    spec = one.order
    slippage = None if one.decided_px is None else (one.px - one.decided_px) * one.qty * spec.side.sign
    return {
        "at": one.at, "symbol": spec.symbol, "side": "buy" if spec.side is Side.BUY else "sell",
        "qty": one.qty, "px": one.px, "value": one.qty * one.px, "commission": one.commission,
        "spread": _spread(one, settings), "slippage": slippage, "request_id": spec.request_id,
        "cl_ord_id": spec.cl_ord_id,
    }  # fmt: skip


def _spread(one: Trade, settings: Settings) -> float | None:
    """Estimate what crossing half the spread cost, None for a name no longer configured."""
    instrument = settings.instruments.get(one.order.symbol)
    return None if instrument is None else half_spread(instrument, float(one.qty * one.px))


def _costs(trades: Sequence[Trade], settings: Settings) -> dict[str, Any]:
    """Add up what the week's trades cost, by name and in all."""
    by_name: dict[str, dict[str, Any]] = {}
    for one in trades:
        row = by_name.setdefault(
            one.order.symbol, {"symbol": one.order.symbol, "value": ZERO, "commission": ZERO, "spread": 0.0}
        )
        row["value"] += one.qty * one.px
        row["commission"] += one.commission
        row["spread"] += _spread(one, settings) or 0.0
    rows = sorted(by_name.values(), key=lambda row: row["symbol"])
    return {
        "value": sum((row["value"] for row in rows), ZERO),
        "commission": sum((row["commission"] for row in rows), ZERO),
        "spread": sum(row["spread"] for row in rows),
        "by_name": rows,
    }


def _taxes(past: Past, settings: Settings, name: str, known: AccountSettings | None) -> dict[str, Any]:
    """Return what was realised this week with its tax, and what is not realised yet."""
    gains = [
        gain
        for gain in past.state.book.realised
        if gain.account == name and past.week.monday <= gain.sold <= past.week.sunday
    ]
    short = sum((gain.gain for gain in gains if not gain.is_long_term), ZERO)
    long = sum((gain.gain for gain in gains if gain.is_long_term), ZERO)
    is_taxed = past.state.book.accounts[name].taxable and known is not None
    rates = known.costs if known is not None else None
    tax = short * rates.short_term_rate + long * rates.long_term_rate if is_taxed and rates else None
    return {
        "realised": {
            "short": short, "long": long, "tax": tax, "lots": [_gain(gain) for gain in gains],
        },
        "unrealised": _unrealised(past, settings, name),
    }  # fmt: skip


def _gain(gain: RealisedGain) -> dict[str, Any]:
    return {
        "symbol": gain.symbol, "qty": gain.qty, "acquired": gain.acquired, "sold": gain.sold,
        "term": "long" if gain.is_long_term else "short", "proceeds": gain.proceeds, "cost": gain.cost,
        "gain": gain.gain,
    }  # fmt: skip


def _unrealised(past: Past, settings: Settings, name: str) -> dict[str, Any]:
    """Return what selling everything at the last known prices would realise, by term and name."""
    prices, now = last_prices(past.state, settings, name), past.state.now
    today = trade_date(now, settings) if now is not None else past.week.monday
    rows: list[dict[str, Any]] = []
    for symbol, lots in sorted(past.state.book.accounts[name].lots.items()):
        if symbol not in prices:
            continue
        row: dict[str, Any] = {"symbol": symbol, "short": ZERO, "long": ZERO, "lots": len(lots)}
        for lot in lots:
            term = "long" if lot.qty > 0 and is_long_term(lot.acquired, today) else "short"
            row[term] += lot.qty * prices[symbol] - lot.cost
        rows.append(row)
    return {
        "short": sum((row["short"] for row in rows), ZERO),
        "long": sum((row["long"] for row in rows), ZERO),
        "by_name": rows,
    }


def _locks(view: View) -> list[dict[str, Any]]:
    """Return what the wash-sale rule forbids now, and from which day it is free again."""
    known = watch(view)
    found = [
        _lock(
            known,
            group,
            "buy",
            trade.on,
            f"{trade.symbol} was sold at a loss on {trade.on} in {trade.account}",
        )
        for group, trade in known.losses.items()
    ]
    for group, trades in known.purchases.items():
        last = max(trades, key=lambda trade: trade.on)
        because = f"{last.symbol} was bought on {last.on} in {last.account}"
        if any(_is_at_a_loss(view, symbol) for symbol in _members(view, group)):
            found.append(_lock(known, group, "sell at a loss", last.on, because))
    free = [one for one in found if one["free_from"] > view.trade_date]
    return sorted(free, key=lambda one: (one["free_from"], one["symbols"]))


def _lock(known: Watch, group: str, what: str, on: date, because: str) -> dict[str, Any]:
    return {
        "symbols": _members(known.view, group), "what": what,
        "free_from": on + timedelta(days=known.days + 1), "because": because,
    }  # fmt: skip


def _members(view: View, group: str) -> list[str]:
    return sorted(symbol for symbol, one in view.instruments.items() if one.group == group)


def _is_at_a_loss(view: View, symbol: str) -> bool:
    account, price = view.book.accounts[view.account.name], view.prices.get(symbol)
    lots = account.lots.get(symbol, ())
    return account.taxable and price is not None and any(lot.qty * price < lot.cost for lot in lots)
