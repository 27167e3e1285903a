"""The last gate: a `Proposal` becomes an `Approved` or a `Denial` with its reason. Pure.

Rules of this room:
1. Nothing else in the product makes an `Approved`; what is not approved here cannot be sent.
2. Every limit is checked on every order, in a fixed order, and the first one broken is the reason.
3. The transaction-cost gate holds a trade whose expected benefit does not exceed its cost; an IMMEDIATE
   action (crisis) passes it, every other limit still holds. What a policy weighed as a basket carries its
   share of the basket's benefit, so the same rule judges the whole (`decision/drafting.shared`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from gateway.domain.instrument import Instrument
from gateway.domain.order import OrdType, Side
from gateway.domain.proposal import Approved, Proposal
from gateway.domain.schedule import Style
from gateway.domain.settings import AccountSettings, Execution
from gateway.events import Denial, DenyReason
from gateway.oms.state import Price

BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Gate:
    """Gather what the checks may look at.

    `held` is what an account owns less what open orders may still sell; `busy` names the symbols
    and sides with an order still open; `is_urgent` says the action is IMMEDIATE, `is_at_market` that a
    chase has come to its market order, `is_converted` that all prices are in the account's currency.
    """

    now: datetime
    account: AccountSettings
    nav: Decimal
    instruments: Mapping[str, Instrument]
    prices: Mapping[str, Price]
    held: Mapping[str, Decimal]
    busy: frozenset[tuple[str, Side]] = frozenset()
    halt: str = ""
    is_urgent: bool = False
    is_at_market: bool = False
    is_converted: bool = False


Refusal = tuple[DenyReason, str] | None


def check(proposals: Sequence[Proposal], gate: Gate) -> tuple[list[Approved], list[Denial]]:
    """Approve or deny each proposal; the basket's own limits (count, turnover) come last."""
    approved: list[Approved] = []
    denied: list[Denial] = []
    turnover = {Side.BUY: Decimal(0), Side.SELL: Decimal(0), Side.SELL_SHORT: Decimal(0)}
    limits = gate.account.limits
    for item in proposals:
        limit_price = limit_price_of(item, gate)
        refusal = _first_refusal(item, gate, limit_price)
        if refusal is None and len(approved) >= limits.max_orders_per_request:
            refusal = (
                DenyReason.MAX_ORDERS,
                f"more than {limits.max_orders_per_request} orders in one request",
            )
        if refusal is None and turnover[item.side] + item.notional > limits.max_turnover * gate.nav:
            refusal = (
                DenyReason.MAX_TURNOVER,
                f"the request turns over more than {limits.max_turnover:.0%} of NAV",
            )
        if refusal is not None:
            denied.append(Denial(item.symbol, item.side, item.qty, *refusal))
            continue
        turnover[item.side] += item.notional
        approved.append(Approved(item, limit_price))
    return approved, denied


def limit_price_of(item: Proposal, gate: Gate) -> Decimal | None:
    """Price(44) of a limit order: the reference moved against us by the configured offset, on a tick."""
    if gate.is_at_market:
        return None
    known = gate.prices.get(item.symbol)
    reference = known.px if known is not None else item.price
    return limit_price(item, gate.account.execution, gate.instruments[item.symbol], reference)


def limit_price(
    item: Proposal, execution: Execution, instrument: Instrument, reference: Decimal
) -> Decimal | None:
    """Price(44) at a given reference; a chase never goes beyond its bound around the price at approval."""
    if execution.ord_type is OrdType.MARKET:
        return None
    sign = item.side.sign
    price = instrument.round_price(reference * (1 + sign * execution.limit_offset_bps / BPS))
    if execution.schedule.style is not Style.CHASE:
        return price
    bound = item.price * (1 + sign * execution.schedule.chase_limit_bps / BPS)
    if (price - bound) * sign <= 0:
        return price
    at_bound = instrument.round_price(bound)
    return at_bound - sign * instrument.tick_size if (at_bound - bound) * sign > 0 else at_bound


def is_fresh(price: Price | None, now: datetime, max_age_s: Decimal) -> bool:
    """Say whether a reference price may be traded on."""
    return price is not None and now - price.as_of <= timedelta(seconds=float(max_age_s))


def _first_refusal(item: Proposal, gate: Gate, limit_price: Decimal | None) -> Refusal:
    for rule in RULES:
        if (refusal := rule(item, gate, limit_price)) is not None:
            return refusal
    return None


def _halted(item: Proposal, gate: Gate, limit_price: Decimal | None) -> Refusal:
    del item, limit_price
    return (DenyReason.HALTED, gate.halt) if gate.halt else None


def _restricted(item: Proposal, gate: Gate, limit_price: Decimal | None) -> Refusal:
    del limit_price
    if item.symbol in gate.account.limits.restricted:
        return DenyReason.RESTRICTED, f"{item.symbol} is on the restricted list"
    return None


def _currency(item: Proposal, gate: Gate, limit_price: Decimal | None) -> Refusal:
    """Refuse what would be paid in a currency the book does not keep; it is still weighed and shown."""
    del limit_price
    quoted, kept = gate.instruments[item.symbol].currency, gate.account.currency
    if quoted == kept or gate.is_converted:
        return None
    text = f"{item.symbol} is quoted in {quoted} and the account keeps {kept}: orders change no money yet"
    return DenyReason.CURRENCY, f"{text}; trade it yourself, or in an account that keeps {quoted}"


def _price(item: Proposal, gate: Gate, limit_price: Decimal | None) -> Refusal:
    limits = gate.account.limits
    known = gate.prices.get(item.symbol)
    if known is None:
        return DenyReason.PRICE_MISSING, f"no reference price for {item.symbol}"
    if not is_fresh(known, gate.now, limits.price_max_age_s):
        age_s = (gate.now - known.as_of).total_seconds()
        return DenyReason.PRICE_STALE, f"price is {age_s:.0f} s old, the limit is {limits.price_max_age_s} s"
    for name, px in (("limit price", limit_price), ("price the decision was made on", item.price)):
        if px is not None and abs(px - known.px) * BPS > limits.price_collar_bps * known.px:
            text = f"{name} {px} is more than {limits.price_collar_bps} bps from reference {known.px}"
            return DenyReason.PRICE_COLLAR, text
    furthest_bps = gate.account.execution.schedule.chase_limit_bps
    if gate.is_at_market and item.side.sign * (known.px - item.price) * BPS > furthest_bps * item.price:
        text = f"reference {known.px} is more than {furthest_bps} bps beyond {item.price}: not chased further"
        return DenyReason.PRICE_COLLAR, text
    return None


def _short(item: Proposal, gate: Gate, limit_price: Decimal | None) -> Refusal:
    del limit_price
    if item.side is Side.BUY or gate.account.limits.allow_short:
        return None
    held = gate.held.get(item.symbol, Decimal(0))
    if item.side is Side.SELL_SHORT or item.qty > held:
        return DenyReason.SHORT_SALE, f"would sell {item.qty} of {held} held; short sales are off"
    return None


def _duplicate(item: Proposal, gate: Gate, limit_price: Decimal | None) -> Refusal:
    del limit_price
    if (item.symbol, item.side) in gate.busy:
        return DenyReason.DUPLICATE, f"an order to {item.side.name.lower()} {item.symbol} is still open"
    return None


def _notional(item: Proposal, gate: Gate, limit_price: Decimal | None) -> Refusal:
    del limit_price
    limits = gate.account.limits
    if item.notional > limits.max_order_notional:
        text = f"order value {item.notional:.2f} exceeds {limits.max_order_notional}"
        return DenyReason.MAX_ORDER_NOTIONAL, text
    if item.notional > limits.max_order_nav_share * gate.nav:
        share = item.notional / gate.nav if gate.nav else Decimal("Infinity")
        text = f"order is {share:.1%} of NAV, the limit is {limits.max_order_nav_share:.1%}"
        return DenyReason.MAX_ORDER_NAV_SHARE, text
    return None


def _wash_sale(item: Proposal, gate: Gate, limit_price: Decimal | None) -> Refusal:
    del gate, limit_price
    return (DenyReason.WASH_SALE, item.wash_sale) if item.wash_sale else None


def _transaction_cost(item: Proposal, gate: Gate, limit_price: Decimal | None) -> Refusal:
    del limit_price
    if gate.is_urgent or item.is_worth_it:
        return None
    text = f"expected benefit {item.benefit:.2f} does not exceed cost {item.cost:.2f}"
    return DenyReason.TRANSACTION_COST, text


RULES: tuple[Callable[[Proposal, Gate, Decimal | None], Refusal], ...] = (
    _halted,
    _restricted,
    _currency,
    _price,
    _short,
    _duplicate,
    _notional,
    _wash_sale,
    _transaction_cost,
)
