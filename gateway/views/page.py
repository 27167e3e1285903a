"""The weekly report as one HTML page that a person wants to read: no script, no outside resource.

Rules of this room:
1. Everything shown comes from `report.py`; here it is only written down. Every text is escaped.
2. Figures stand in tables with headers and captions; a plot says in words what it shows.
3. What there is none of is said in a sentence, never shown as an empty table.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from html import escape
from typing import Any

from gateway.events import Action
from gateway.views import plots
from gateway.views.parts import document, figure, table

PLOTTED = 30
SHORTEST = timedelta(hours=1)
TRADES_SHOWN = 500
NOTHING = "–"


def render(report: dict[str, Any]) -> str:
    """Return the page of a report as `make_report` gives it."""
    title = f"{report['household']}: week {report['week']}"
    accounts = report["accounts"]
    links = "".join(f'<a href="#{_id(one["account"])}">{escape(one["account"])}</a>' for one in accounts)
    body = "".join(_account(one) for one in accounts)
    head = (
        f"<h1>{escape(report['household'])}</h1>{_subtitle(report)}"
        f'<nav aria-label="Sections">{links}<a href="#alerts">Alerts and halts</a></nav>'
    )
    foot = (
        f"Made {_when(report['made_at'])} UTC from {report['events']:,} journal events. Estimates use the "
        "account's own cost model; tax is at the configured rates, before any other gains or losses. "
        "No advice."
    )
    return document(title, head, f"{body}{_alerts(report)}", foot)


def _subtitle(report: dict[str, Any]) -> str:
    state = "" if report["is_over"] else ", not over yet"
    as_of = f"; as of {_when(report['as_of'])} UTC" if report["as_of"] else ""
    first, last = report["first_day"], report["last_day"]
    week = f"{first.day} {first:%B} to {last.day} {last:%B %Y}"
    return f'<p class="soft wideline">Weekly report {report["week"]} ({week}{state}){as_of}</p>'


# --------------------------------------------------------------------------------------- one account


def _account(one: dict[str, Any]) -> str:
    name = escape(one["account"])
    notes = "".join(f"<p class=warning>{escape(note[0].upper() + note[1:])}.</p>" for note in one["notes"])
    return (
        f'<section id="{_id(one["account"])}"><h2>Account {name}</h2>{notes}{_cards(one)}{_verdict(one)}'
        f"{_plots(one)}{_weights(one)}{_recommended(one)}{_trades(one)}{_costs(one)}{_gains(one)}"
        f"{_unrealised(one)}{_locks(one)}{_harvest(one)}</section>"
    )


def _cards(one: dict[str, Any]) -> str:
    drift, costs, realised = one["drift"], one["costs"], one["realised"]
    before, change = one["nav_before"], one["change"]
    share = f" ({change / before:+.2%})" if change is not None and before else ""
    cells = [
        ("Net asset value", _money(one["nav"]), f"{one['currency']}, {_money(one['cash'])} of it cash"),
        ("Change this week", _money(change, sign=True), f"with deposits and payouts{share}"),
        (
            "Largest drift",
            NOTHING if drift is None else f"{drift['largest']:.2%}",
            "" if drift is None else f"costs about {drift['cost_a_year']:,.2f} a year",
        ),
        (
            "Trading costs",
            _money(costs["commission"] + Decimal(str(round(costs["spread"], 2)))),
            f"{len(one['trades'])} executions, {_money(costs['value'])} traded",
        ),
        (
            "Realised gains",
            _money(realised["short"] + realised["long"], sign=True),
            "not taxed here" if realised["tax"] is None else f"tax {_money(realised['tax'], sign=True)}",
        ),
    ]  # fmt: skip
    return "<dl class=cards>" + "".join(
        f"<div><dt>{title}</dt><dd>{value}<small>{small}</small></dd></div>" for title, value, small in cells
    ) + "</dl>"  # fmt: skip


def _verdict(one: dict[str, Any]) -> str:
    found = one["recommendation"]
    if found is None:
        return ""
    trades = sum(bool(name["qty"]) for name in found["names"])
    why = f"{found['action'].lower()}: {found['reason']}"
    if trades:
        what, why = f"Recommendation: {trades} trade{'s' * (trades > 1)}", f"The policy says {why}."
    elif found["action"] == Action.HOLD:
        what, why = "Recommendation: hold", f"The {found['reason']}."
    else:
        what = "Recommendation: no trade now"
        why = f"The policy would trade ({why}), but nothing of it may be sent or is worth its cost."
    cost = sum(name["cost"] for name in found["names"] if name["qty"])
    benefit = sum(name["benefit"] for name in found["names"] if name["qty"])
    worth = f" They are worth {benefit:,.2f} and cost {cost:,.2f} before tax." if trades else ""
    standing = one["standing"]
    against = (
        f"Measured against the targets of request {standing['request_id']}, {standing['since']:%d %B %Y}."
    )
    return (
        f"<p class=verdict><strong>{what}.</strong> {escape(why)}{worth}<br>"
        f"<span class=soft>{escape(against)}</span></p>"
    )


def _plots(one: dict[str, Any]) -> str:
    """Draw weights, value and drift, each only where there is something to draw."""
    key = _id(one["account"])
    found = []
    pairs = [
        plots.Pair(row["symbol"], row["weight"], row["target"])
        for row in one["weights"]
        if row["target"] is not None
    ]
    curve = one["curve"]
    values = [(point["at"], float(point["nav"])) for point in curve]
    drifts = [(point["at"], point["max_drift"]) for point in curve if point["max_drift"] is not None]
    if _is_worth_drawing(values):
        found.append(figure("Net asset value", "", plots.line(values, f"{key}-nav", "Net asset value", "")))
    if _is_worth_drawing(drifts):
        limits = [plots.Limit(name, at) for name, at in (one["limits"] or {}).items()]
        plot = plots.line(drifts, f"{key}-drift", "Largest drift of one name", "%", limits)
        found.append(figure("Largest drift of one name", "", plot))
    lines = f"<div class=plots>{''.join(found)}</div>" if found else ""
    if not pairs:
        return lines
    shown = sorted(pairs, key=lambda pair: -abs(pair.now - pair.target))[:PLOTTED]
    some = "" if len(shown) == len(pairs) else f"; the {PLOTTED} furthest off of {len(pairs)} names"
    text = f"dot: held now, bar: target, number: points over or under{some}"
    return lines + figure("Current against target weights", text, plots.weights(shown, f"{key}-weights"))


def _is_worth_drawing(points: Sequence[tuple[datetime, float]]) -> bool:
    """Say whether a curve has a course: two points of one hour have none."""
    return len(points) > 1 and points[-1][0] - points[0][0] >= SHORTEST


def _weights(one: dict[str, Any]) -> str:
    rows = [
        [
            row["symbol"], _qty(row["qty"]), _money(row["price"]), _money(row["value"]),
            _share(row["weight"]), _share(row["target"]),
            _share(row["weight"] - row["target"], sign=True) if row["target"] is not None else NOTHING,
        ]
        for row in one["weights"]
    ]  # fmt: skip
    header = ["name", "held", "price", "value", "weight", "target", "drift"]
    empty = "Nothing is held and nothing is wanted."
    return table("Positions", header, rows, "At the last known prices.", empty=empty, words={0})


def _recommended(one: dict[str, Any]) -> str:
    if one["recommendation"] is None:
        return ""
    rows = [
        [
            row["symbol"], _qty(row["qty"], sign=True), f"{row['benefit']:,.2f}", f"{row['cost']:,.2f}",
            f"{row['tax']:,.2f}", row["why"],
        ]
        for row in sorted(one["recommendation"]["names"], key=lambda row: not row["qty"])
    ]  # fmt: skip
    header = ["name", "trade", "benefit", "cost", "tax", "what and why"]
    return table(
        "What the account's policy would do now", header, rows, "Nothing of it has been sent.", words={0, 5}
    )


def _trades(one: dict[str, Any]) -> str:
    rows = [
        [
            _when(row["at"]), row["side"], row["symbol"], _qty(row["qty"]), _money(row["px"]),
            _money(row["value"]), _money(row["commission"]),
            NOTHING if row["spread"] is None else f"{row['spread']:,.2f}", _money(row["slippage"], sign=True),
            row["request_id"],
        ]
        for row in one["trades"][:TRADES_SHOWN]
    ]  # fmt: skip
    header = [
        "time (UTC)",
        "side",
        "name",
        "quantity",
        "price",
        "value",
        "commission",
        "spread",
        "slippage",
        "request",
    ]
    caption = "Spread is an estimate; slippage is against the price each trade was decided at (+ is a cost)."
    if len(one["trades"]) > TRADES_SHOWN:
        caption += f" The first {TRADES_SHOWN} of {len(one['trades'])}; the JSON has them all."
    return table(
        "Trades of the week", header, rows, caption, empty="Nothing was traded.", words={0, 1, 2, 9}, key=2
    )


def _costs(one: dict[str, Any]) -> str:
    costs = one["costs"]
    rows = [
        [row["symbol"], _money(row["value"]), _money(row["commission"]), f"{row['spread']:,.2f}"]
        for row in costs["by_name"]
    ]
    if not rows:
        return ""
    total = ["all", _money(costs["value"]), _money(costs["commission"]), f"{costs['spread']:,.2f}"]
    header = ["name", "traded", "commission", "spread (estimate)"]
    return table("Costs of the week", header, rows, "By name.", words={0}, total=total)


def _gains(one: dict[str, Any]) -> str:
    found = one["realised"]
    rows = [
        [
            row["symbol"], _qty(row["qty"]), f"{row['acquired']}", f"{row['sold']}", row["term"],
            _money(row["proceeds"]), _money(row["cost"]), _money(row["gain"], sign=True),
        ]
        for row in found["lots"]
    ]  # fmt: skip
    tax = "" if found["tax"] is None else f" Tax at the configured rates: {_money(found['tax'], sign=True)}."
    caption = (
        f"Short-term {_money(found['short'], sign=True)}, long-term {_money(found['long'], sign=True)}.{tax}"
    )
    header = ["name", "quantity", "acquired", "sold", "term", "proceeds", "cost", "gain"]
    return table(
        "Realised gains of the week", header, rows, caption, empty="Nothing was realised.", words={0, 2, 3, 4}
    )


def _unrealised(one: dict[str, Any]) -> str:
    found = one["unrealised"]
    rows = [
        [row["symbol"], f"{row['lots']}", _money(row["short"], sign=True), _money(row["long"], sign=True)]
        for row in found["by_name"]
    ]
    total = ["all", "", _money(found["short"], sign=True), _money(found["long"], sign=True)]
    header = ["name", "lots", "short-term", "long-term"]
    return table(
        "Unrealised gains", header, rows, "If everything were sold at the last known prices.",
        empty="Nothing is held.", words={0}, total=total,
    )  # fmt: skip


def _locks(one: dict[str, Any]) -> str:
    rows = [
        [", ".join(row["symbols"]), row["what"], f"{row['free_from']}", row["because"]]
        for row in one["locks"]
    ]
    header = ["name", "do not", "free again from", "because"]
    caption = "All accounts of the household count (IRC section 1091)."
    return table("Wash-sale locks", header, rows, caption, empty="No name is locked.", words={0, 1, 2, 3})


def _harvest(one: dict[str, Any]) -> str:
    """Show what stands in for what, and the losses worth taking."""
    rows = [
        [row["other"], row["original"], f"{row['free_from']}", row["because"]] for row in one["substitutions"]
    ]
    header = ["substitute", "stands in for", "at least until", "because"]
    told = table("Substitutes", header, rows, "", words={0, 1, 2, 3}) if rows else ""
    if one["harvest"] is None:
        return told
    swaps, left = one["harvest"]["swaps"], one["harvest"]["left"]
    rows = [
        [row["symbol"], row["other"], _money(row["loss"]), _money(row["net"]), row["why"]] for row in swaps
    ]
    rows += [[row["symbol"], "", "", "", row["why"]] for row in left]
    header = ["name", "substitute", "loss", "worth", "why"]
    caption = "What is left after later tax, trading and risk; `gateway harvest` takes them."
    return told + table(
        "Losses worth taking", header, rows, caption, empty="Nothing is held at a loss.", words={0, 1, 4}
    )


# ------------------------------------------------------------------------------------------ the rest


def _alerts(report: dict[str, Any]) -> str:
    alerts = [
        [_when(row["at"]), row["severity"], row["code"], row["account"] or "all", row["text"]]
        for row in report["alerts"]
    ]
    halts = [
        [
            row["account"] or "all",
            _when(row["since"]),
            _when(row["until"]) if row["until"] else "still halted",
            row["reason"],
        ]
        for row in report["halts"]
    ]
    return (
        '<section id="alerts"><h2>Alerts and halts</h2>'
        + table(
            "Alerts", ["time (UTC)", "severity", "code", "account", "text"], alerts, "From the news stream.",
            empty="No alert was raised.", words={0, 1, 2, 3, 4}, key=2,
        )
        + table(
            "Halts", ["account", "since (UTC)", "until (UTC)", "reason"], halts, "From the journal.",
            empty="Nothing was halted.", words={0, 1, 2, 3},
        )
        + "</section>"
    )  # fmt: skip


def _money(value: Decimal | None, *, sign: bool = False) -> str:
    if value is None:
        return NOTHING
    return f"{value:+,.2f}" if sign and value else f"{value:,.2f}"


def _qty(value: Decimal, *, sign: bool = False) -> str:
    if not value:
        return NOTHING if sign else "0"
    text = f"{value.normalize():,f}"
    return f"+{text}" if sign and value > 0 else text


def _share(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return NOTHING
    return f"{plots.signed(value * 100)}%" if sign else f"{value:.2%}"


def _when(at: datetime | str) -> str:
    return at[:16].replace("T", " ") if isinstance(at, str) else f"{at:%Y-%m-%d %H:%M}"


def _id(account: str) -> str:
    """Return an account's anchor: what may stand in one, the rest as its code."""
    return "account-" + "".join(one if one.isalnum() or one in "-_" else f"x{ord(one):x}" for one in account)
