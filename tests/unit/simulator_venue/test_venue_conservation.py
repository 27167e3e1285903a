"""Whatever clients, prices and time do: money and shares are conserved, and reports add up to the books."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from venue_hand import a_venue, at, buy, change, drop, sell

from simulator.accounts import Tariff
from simulator.market import MarketSettings
from simulator.orders import ZERO, Answer, ExecType, Report
from simulator.venue import Venue

D = Decimal
OWNERS = {"C": "main", "D": "other"}
ONE = D(1)

prices = st.integers(95, 105).map(str)
quantities = st.integers(1, 300).map(str)
names = st.integers(0, 12).map(str)
owners = st.sampled_from(sorted(OWNERS))


@st.composite
def steps(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    kind = draw(st.sampled_from(["buy", "sell", "drop", "change", "price", "halt", "resume", "wait", "hand"]))
    return kind, (
        draw(owners),
        draw(names),
        draw(quantities),
        draw(prices),
        draw(st.sampled_from("013")),
    )


def carry_out(venue: Venue, kind: str, words: tuple[str, ...], ms: int) -> list[Answer]:
    owner, name, qty, price, tif = words
    now, account = at(ms), OWNERS[owner]
    said: list[Answer] = []
    if kind in ("buy", "sell"):
        make = buy if kind == "buy" else sell
        limit = None if int(qty) % 3 == 0 else price
        said = venue.submit(make(name, qty, limit, owner=owner, account=account, time_in_force=tif), now)
    elif kind == "drop":
        said = venue.cancel(drop(f"x{ms}", name, owner=owner), now)
    elif kind == "change":
        said = venue.replace(change(f"y{ms}", name, qty, price, owner=owner), now)
    elif kind == "price":
        said = venue.set_price("AAPL", D(price), now)
    elif kind in ("halt", "resume"):
        said = venue.halt("AAPL", now) if kind == "halt" else venue.resume("AAPL", now)
    elif kind == "hand":
        said = venue.advance(now)
        order = next((one for one in venue.orders if one.leaves_qty), None)
        said += [] if order is None else venue.fill(order.cl_ord_id, ONE, now, owner=order.owner)
    else:
        said = venue.advance(now)
    return said


@settings(max_examples=250, deadline=None)
@given(
    script=st.lists(st.tuples(steps(), st.integers(0, 400)), max_size=40),
    delay=st.sampled_from([0, 100]),
    displayed=st.sampled_from([0, 60]),
    partials=st.integers(1, 4),
    pending=st.sampled_from([None, 0, 150]),
    seed=st.integers(1, 5),
)
def test_cash_and_positions_conserve(
    script: list[tuple[tuple[str, tuple[str, ...]], int]],
    delay: int,
    displayed: int,
    partials: int,
    pending: int | None,
    seed: int,
) -> None:
    def play() -> tuple[Venue, list[Answer]]:
        shape = MarketSettings(
            seed=seed, displayed=displayed, half_spread_bps=D(10), walk_bps=5.0 * (seed == 5)
        )
        venue = a_venue(
            market=shape, tariff=Tariff(D("0.005"), D(1), D(2)), fill_delay_ms=delay, partials=partials,
            pending_ms=pending, seed=seed,
        )  # fmt: skip
        said: list[Answer] = []
        ms = 0
        for (kind, words), pause in script:
            ms += pause
            said += carry_out(venue, kind, words, ms)
        return venue, said + venue.advance(at(ms + 2_000))

    venue, said = play()
    check_books(venue, said)
    check_reports(venue, [one for one in said if isinstance(one, Report)])
    again = play()[1]
    assert again == said


def check_books(venue: Venue, said: list[Answer]) -> None:
    """Cash and positions are where they began plus every fill that was reported, commission included."""
    cash: dict[str, Decimal] = defaultdict(Decimal)
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for one in said:
        if isinstance(one, Report) and one.exec_type is ExecType.TRADE:
            assert one.last_qty is not None
            assert one.last_px is not None
            assert one.commission is not None
            sign = 1 if one.side == "1" else -1
            cash[one.account] -= sign * one.last_qty * one.last_px + one.commission
            held[one.account, one.symbol] += sign * one.last_qty
    for account in venue.accounts.every():
        assert account.cash == account.opening_cash + cash[account.name]
        for symbol in ("AAPL", "IBM"):
            before = account.opening_positions.get(symbol, ZERO)
            assert account.positions.get(symbol, ZERO) == before + held[account.name, symbol]


def check_reports(venue: Venue, reports: list[Report]) -> None:
    """Each report adds up, each order never fills beyond itself, no ExecID(17) is used twice."""
    ids = [one.exec_id for one in reports if one.exec_type is not ExecType.ORDER_STATUS]
    assert len(set(ids)) == len(ids)
    for one in reports:
        assert one.leaves_qty == 0 or one.cum_qty + one.leaves_qty == one.order_qty
        assert one.cum_qty <= one.order_qty
        if one.price is not None and one.last_px is not None:
            assert one.last_px <= one.price if one.side == "1" else one.last_px >= one.price
    for order in venue.orders:
        fills = order.fills
        assert order.cum_qty == sum((fill.last_qty for fill in fills), ZERO) <= order.order_qty
        assert order.value == sum((fill.last_qty * fill.last_px for fill in fills), ZERO)
        assert order.commission == sum((fill.commission for fill in fills), ZERO)
        assert order.leaves_qty >= 0
    assert venue.open_count == sum(bool(order.leaves_qty) for order in venue.orders)
