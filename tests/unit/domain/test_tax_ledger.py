"""The tax ledger: what must hold of any record, and beside it a ledger that thinks one share at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.lots import LotMethod, TaxRates
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.lots import Line
from gateway.domain.tax.play import Misplaced, run
from gateway.domain.tax.record import (
    CapitalReturn,
    Deed,
    Ending,
    Entry,
    OptionEnd,
    SpinOff,
    Split,
    Trade,
    Transfer,
)
from gateway.domain.tax.rules import (
    CENT,
    AccountKind,
    Holder,
    Options,
    Rules,
    Security,
    SecurityKind,
    SubLots,
)
from gateway.domain.tax.year import Carried, carry, tax, years

calm = settings(deadline=None, max_examples=50)
START = date(2023, 1, 2)
HOLDERS = [
    Holder("a"),
    Holder("b", AccountKind.SPOUSE, "spouse", LotMethod.HIFO),
    Holder("c", AccountKind.CORPORATION, "corp", LotMethod.LIFO),
    Holder("d", method=LotMethod.MIN_TAX),
    Holder("i", AccountKind.IRA),
]
SECURITIES = [
    Security("X", "G"), Security("Y", "G"), Security("Z"),
    Security("XC", "", SecurityKind.CALL, "X", Decimal(10), Decimal(50)),
    Security("XP", "", SecurityKind.PUT, "X", Decimal(10), Decimal(50)),
]  # fmt: skip
RULES = st.builds(
    Rules, older_lots_count=st.booleans(), sold_lots_count=st.booleans(), same_order_counts=st.booleans(),
    sub_lots=st.sampled_from(SubLots), groups_count=st.booleans(), options=st.sampled_from(Options),
    short_puts_count=st.booleans(), splits_scale=st.booleans(), covers_count=st.booleans(),
    long_sales_count=st.booleans(), corporation_defers=st.booleans(), cent=st.sampled_from([CENT, None]),
)  # fmt: skip
STEP = st.tuples(
    st.integers(0, 12), st.sampled_from("aaabcdi"), st.sampled_from(["X", "X", "X", "Y", "Z", "XC", "XP"]),
    st.sampled_from(["buy", "buy", "sell", "sell", "short", "cover", "reinvest", "vest", "end", "move"]),
    st.integers(1, 30), st.integers(2000, 8000), st.sampled_from(["", "", "o1", "o2"]),
)  # fmt: skip


def record(steps: list[tuple[int, str, str, str, int, int, str]]) -> list[Entry]:
    """Make steps into entries that can happen: what is not there is not closed, but what else is open."""
    held: Counter[tuple[str, str, bool]] = Counter()
    entries: list[Entry] = []
    on = START
    for days, account, symbol, what, size, cents, order in steps:
        on += timedelta(days=days)
        is_short = what in ("short", "cover")
        place = (account, symbol, is_short)
        if what in ("sell", "cover"):
            open_ones = [one for one, qty in held.items() if qty and one[2] is is_short]
            if not held[place] and open_ones:
                place = open_ones[size % len(open_ones)]
            if qty := min(size, held[place]):
                held[place] -= qty
                entries.append(trade(on, place[0], what, place[1], qty, cents, order))
        elif what == "end":
            is_one_sided = not held[account, symbol, True]  # else the side that ends would have to be said
            if symbol in ("XC", "XP") and is_one_sided and (qty := min(size, held[account, symbol, False])):
                held[account, symbol, False] -= qty
                entries.append(OptionEnd(on, account, symbol, Ending.EXPIRED, Decimal(qty)))
        elif what == "move":
            if account == "a" and (qty := min(size, held["a", symbol, False])):
                held["a", symbol, False] -= qty
                held["b", symbol, False] += qty
                entries.append(Transfer(on, "a", "b", symbol, Decimal(qty)))
        elif not (is_short and held[account, symbol, False]):
            held[place] += size
            entries.append(trade(on, account, what, symbol, size, cents, order))
    return entries


def trade(
    on: date, account: str, what: str, symbol: str, qty: int, cents: int, order: str = "", lot: str = ""
) -> Trade:
    amount = Decimal(qty * cents) / 100
    return Trade(on, account, Deed(what), symbol, Decimal(qty), amount, Decimal("0.37"), order, lot)


records = st.lists(STEP, min_size=15, max_size=40).map(record)
trades_only = st.lists(STEP.filter(lambda step: step[3] not in ("move", "end")), max_size=40).map(record)


def open_deferred(ledger: Ledger) -> Decimal:
    return sum((-one.deferred if one.is_short else one.deferred for one in ledger.open_lots()), Decimal(0))


# ---------------------------------------------------------------------------------- what must always hold


@calm
@given(records, RULES)
def test_every_cent_of_a_loss_is_allowed_deferred_or_lost(entries: list[Entry], rules: Rules) -> None:
    ledger = run(entries, rules, HOLDERS, SECURITIES)
    taxed = [line for line in ledger.lines if line.is_taxed]
    allowed, permanent, economic = (
        sum((getattr(line, name) for line in taxed), Decimal(0))
        for name in ("allowed", "permanent", "economic")
    )
    difference = allowed - permanent - open_deferred(ledger) - economic
    assert difference == 0 if rules.cent else abs(difference) < Decimal("1e-15")
    by_kind: Counter[str] = Counter()
    for year in years(ledger.lines, ledger.holders):
        by_kind["permanent"] += year.permanent
        by_kind["allowed"] += year.short_term + year.long_term
    assert abs(by_kind["permanent"] - permanent) < Decimal("1e-15")
    assert abs(by_kind["allowed"] - allowed) < Decimal("1e-15")


@calm
@given(records, RULES)
def test_economic_gain_is_what_came_in_less_what_went_out(entries: list[Entry], rules: Rules) -> None:
    """All accounts together, for a move between two takes its lots along; options end for nothing here."""
    ledger = run(entries, rules, HOLDERS, SECURITIES)
    cash = Decimal(0)
    for entry in entries:
        if isinstance(entry, Trade):
            sign = -1 if entry.deed in (Deed.BUY, Deed.COVER, Deed.REINVEST, Deed.VEST) else 1
            cash += sign * entry.amount - entry.fee
    open_cost = sum(
        (
            -(one.basis - one.deferred) if one.is_short else one.basis - one.deferred
            for one in ledger.open_lots()
        ),
        Decimal(0),
    )
    economic = sum((line.economic for line in ledger.lines), Decimal(0))
    assert abs(cash + open_cost - economic) < Decimal("1e-15")


@calm
@given(records, RULES)
def test_no_share_replaces_twice_and_no_loss_is_disallowed_twice(entries: list[Entry], rules: Rules) -> None:
    numbered = [
        replace(one, lot_id=f"L{place}") if isinstance(one, Trade) and one.deed.opens else one
        for place, one in enumerate(entries)
    ]
    ledger = run(numbered, rules, HOLDERS, SECURITIES)
    bought = {one.lot_id: one for one in numbered if isinstance(one, Trade) and one.deed.opens}
    used: Counter[str] = Counter()
    units = {one.symbol: one.multiplier for one in SECURITIES}
    for line in ledger.lines:
        assert 0 <= line.permanent <= line.disallowed <= max(Decimal(0), -line.gain)
        assert line.disallowed == sum((match.amount for match in line.matches), Decimal(0))
        shares = Decimal(0)
        for match in line.matches:
            assert abs((match.acquired - line.on).days) <= 30
            assert match.lot_id != line.lot_id or rules.covers_count
            if match.lot_id in bought and not rules.covers_count:
                used[match.lot_id] += match.qty
                shares += match.qty * units[bought[match.lot_id].symbol]
        assert shares <= line.qty * units[line.symbol] + Decimal("1e-15")
    for lot_id, qty in used.items():
        assert qty <= bought[lot_id].qty + Decimal("1e-15")


@calm
@given(records)
def test_an_ira_has_no_losses_and_takes_no_basis(entries: list[Entry]) -> None:
    ledger = run(entries, None, HOLDERS, SECURITIES)
    assert all(not line.disallowed and not line.allowed for line in ledger.lines if line.account == "i")
    assert all(
        not lot.deferred for lot in ledger.open_lots() if lot.holding and lot.holding.holder.name == "i"
    )


@calm
@given(records, RULES)
def test_positions_are_the_sum_of_their_lots(entries: list[Entry], rules: Rules) -> None:
    ledger = run(entries, rules, HOLDERS, SECURITIES)
    for holding in ledger.holdings.values():
        assert holding.qty == sum((lot.qty for lot in holding.lots), Decimal(0))
        assert all(lot.holding is holding and lot.qty > 0 for lot in holding.lots)


@calm
@given(trades_only, st.integers(2, 7))
def test_a_split_of_everything_changes_no_money(entries: list[Entry], ratio: int) -> None:
    """In the units after it, before or after: a split on the first day and one on the last agree."""
    stocks = [one for one in entries if isinstance(one, Trade) and one.symbol in "XYZ"]
    if not stocks:
        return
    after = run([*stocks, *(Split(stocks[-1].on, name, Decimal(ratio)) for name in "XYZ")], None, HOLDERS)
    scaled = run([replace(one, qty=one.qty * ratio) for one in stocks], None, HOLDERS)
    assert [(one.qty, one.basis, one.since) for one in after.open_lots()] == [
        (one.qty, one.basis, one.since) for one in scaled.open_lots()
    ]
    assert [line.disallowed for line in after.lines] == [line.disallowed for line in scaled.lines]


# -------------------------------------------------------------------------------- one share at a time


@dataclass(eq=False)
class Share:
    """One share with its own money."""

    account: str
    acquired: date
    since: date
    basis: Decimal
    order: object
    number: int
    is_used: bool = False
    is_held: bool = True


@dataclass(eq=False)
class Lost:
    """The loss on one share, waiting."""

    share: Share
    on: date
    amount: Decimal
    sale: int
    permanent: Decimal = Decimal(0)
    disallowed: Decimal = Decimal(0)


@dataclass
class SharewiseLedger:
    """A ledger for one stock, fifo, that moves one share after the other and searches them all."""

    shares: list[Share] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)

    def play(self, entries: list[Trade]) -> None:
        for place, entry in enumerate(entries):
            unit = entry.amount / entry.qty
            if entry.deed is Deed.BUY:
                for _ in range(int(entry.qty)):
                    share = Share(entry.account, entry.on, entry.on, unit, entry.order_id or place, place)
                    self.shares.append(share)
                    for loss in self.lost:
                        if self.wash(loss, share):
                            break
            else:
                held = [one for one in self.shares if one.is_held and one.account == entry.account]
                held.sort(key=lambda one: (one.acquired, one.number, not one.is_used))
                sold = held[: int(entry.qty)]
                for share in sold:
                    share.is_held = False
                for share in sorted(sold, key=lambda one: (one.acquired, one.number)):
                    if unit < share.basis and entry.account != "i":
                        loss = Lost(share, entry.on, share.basis - unit, place)
                        self.lost.append(loss)
                        found = sorted(self.shares, key=lambda one: one.number)
                        next((one for one in found if one.is_held and self.wash(loss, one)), None)

    def wash(self, loss: Lost, share: Share) -> bool:
        is_free = not share.is_used and not loss.disallowed and share.order != loss.share.order
        if not is_free or abs((share.acquired - loss.on).days) > 30:
            return False
        share.is_used = True
        loss.disallowed = loss.amount
        if share.account == "i":
            loss.permanent = loss.amount
        else:
            share.basis += loss.amount
            share.since -= loss.on - loss.share.since
        return True


SIMPLE = st.tuples(
    st.integers(0, 15), st.sampled_from("aai"), st.sampled_from(["buy", "sell"]), st.integers(1, 9),
    st.integers(2000, 8000),
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(st.lists(SIMPLE, max_size=30))
def test_blocks_of_shares_agree_with_one_share_at_a_time(steps: list[tuple[int, str, str, int, int]]) -> None:
    entries = record(
        [(days, account, "X", what, qty, cents, "") for days, account, what, qty, cents in steps]
    )
    trades = [replace(one, fee=Decimal(0)) for one in entries if isinstance(one, Trade)]
    slow = SharewiseLedger()
    slow.play(trades)
    fast = run(trades, Rules(cent=None), [Holder("a"), Holder("i", AccountKind.IRA)])
    tiny = Decimal("1e-12")
    for name in ("disallowed", "permanent"):
        expected = sum((getattr(one, name) for one in slow.lost), Decimal(0))
        assert abs(sum((getattr(line, name) for line in fast.lines), Decimal(0)) - expected) < tiny
    shares = sorted(
        (one.account, one.since, round(one.basis, 9)) for one in slow.shares if one.is_held for _ in (1,)
    )
    lots = sorted(
        (one.holding.holder.name, one.since, round(one.unit_basis, 9))
        for one in fast.open_lots() if one.holding is not None
        for _ in range(int(one.qty))
    )  # fmt: skip
    assert lots == shares


# ------------------------------------------------------------------------ order within a day, and errors


@calm
@given(trades_only)
def test_what_is_not_identical_may_change_places_within_a_day(entries: list[Entry]) -> None:
    stocks = [one for one in entries if isinstance(one, Trade) and one.symbol in ("X", "Z")]

    def seen(order: list[Trade]) -> list[tuple[object, ...]]:
        lines = run(order, None, HOLDERS).lines
        return sorted((one.on, one.symbol, one.account, one.qty, one.gain, one.disallowed) for one in lines)

    assert seen(sorted(stocks, key=lambda one: (one.on, one.symbol))) == seen(stocks)


def test_a_purchase_and_a_loss_of_one_day_may_come_in_either_order() -> None:
    old = trade(START, "a", "buy", "X", 10, 5000, lot="old")
    day = START + timedelta(days=60)
    sale = replace(trade(day, "a", "sell", "X", 10, 4000), lots=(("old", None),))
    buys = [trade(day, "a", "buy", "X", 4, 4100, lot="p"), trade(day, "b", "buy", "X", 3, 4200, lot="q")]
    found = set()
    for order in permutations([sale, *buys]):
        ledger = run([old, *order], None, HOLDERS)
        found.add(
            (ledger.lines[0].disallowed, *(lot.basis for lot in ledger.open_lots() if lot.lot_id == "p"))
        )
    assert len(found) == 1


def misplaced(*entries: Entry, holders: list[Holder] | None = None) -> str:
    with pytest.raises(Misplaced) as caught:
        run(entries, None, holders or HOLDERS, SECURITIES)
    assert caught.value.place == len(entries) - 1
    return str(caught.value)


def test_what_cannot_have_happened_is_refused() -> None:
    buy, short = trade(START, "a", "buy", "X", 10, 5000), trade(START, "a", "short", "X", 10, 5000)
    sell = trade(START, "a", "sell", "X", 5, 5000)
    assert misplaced(buy, trade(START, "a", "sell", "X", 11, 5000)) == (
        "qty: closes 11 of 10 X held in a on 2023-01-02"
    )
    assert "11 of 10 X sold short in a" in misplaced(short, trade(START, "a", "cover", "X", 11, 5000))
    assert "lots: the lots named leave 5 of 5" in misplaced(buy, replace(sell, lots=(("no", None),)))
    assert "lots: X:1 has 10 of the 12" in misplaced(
        buy,
        trade(START, "a", "buy", "X", 9, 1),
        replace(trade(START, "a", "sell", "X", 15, 1), lots=(("X:1", Decimal(12)),)),
    )
    assert "the lots named leave 2 of 5" in misplaced(buy, replace(sell, lots=(("X:1", Decimal(3)),)))
    assert "to: i is taxed otherwise than a" in misplaced(buy, Transfer(START, "a", "i", "X", Decimal(1)))
    assert "qty: moves 11 of 10 X" in misplaced(buy, Transfer(START, "a", "b", "X", Decimal(11)))
    assert "a spin-off on X sold short" in misplaced(
        short, SpinOff(START, "X", "N", Decimal(1), Decimal("0.1"))
    )
    assert "return of capital on X" in misplaced(short, CapitalReturn(START, "X", Decimal(1)))
    assert "2 accounts hold X" in misplaced(
        buy, trade(START, "b", "buy", "X", 1, 1), CapitalReturn(START, "X", Decimal(1))
    )
    assert "X has no underlying" in misplaced(buy, OptionEnd(START, "a", "X", Ending.EXERCISED, Decimal(1)))
    assert "ends 2 of 0 XC" in misplaced(buy, OptionEnd(START, "a", "XC", Ending.ASSIGNED, Decimal(2)))


def test_a_record_may_be_read_up_to_a_day() -> None:
    later = START + timedelta(days=5)
    entries = [trade(later, "a", "sell", "X", 10, 5000), trade(START, "a", "buy", "X", 10, 5000)]
    assert len(run(entries).lines) == 1
    assert run(entries, through=START).lines == []


def test_an_account_may_be_named_where_a_split_is_its_own() -> None:
    buys = [trade(START, name, "buy", "X", 10, 5000) for name in "ab"]
    ledger = run([*buys, Split(START, "X", Decimal(1), Decimal(3), "a")])
    assert [lot.qty for lot in ledger.open_lots()] == [Decimal("3.333333333"), 10]


def test_one_contract_of_several_lots_is_exercised_oldest_first() -> None:
    calls = [replace(trade(START, "a", "buy", "XC", 1, cents), fee=Decimal(0)) for cents in (100, 300)]
    end = OptionEnd(START + timedelta(days=9), "a", "XC", Ending.EXERCISED, Decimal("1.5"), Decimal(3))
    ledger = run([*calls, end], None, HOLDERS, SECURITIES)
    lots = {lot.security.symbol: [] for lot in ledger.open_lots()}
    for lot in ledger.open_lots():
        lots[lot.security.symbol].append((lot.qty, lot.basis))
    assert lots == {
        "XC": [(Decimal("0.5"), Decimal("1.50"))],
        "X": [(10, Decimal("503.00")), (5, Decimal("252.50"))],
    }


def test_a_lot_named_in_part_is_closed_adjusted_part_first() -> None:
    steps = [("buy", 0, 4, "A"), ("sell", 60, 4, ""), ("buy", 65, 10, "B")]
    made = [
        trade(START + timedelta(days=days), "a", what, "X", qty, 5000 if lot == "A" else 4000, lot=lot)
        for what, days, qty, lot in steps
    ]
    sale = replace(trade(START + timedelta(days=200), "a", "sell", "X", 4, 4000), lots=(("B", Decimal(4)),))
    ledger = run([*made, sale])
    assert [line.deferred > 0 for line in ledger.lines] == [False, True]
    assert [(lot.qty, lot.deferred) for lot in ledger.open_lots()] == [(6, 0)]


def test_a_lot_may_move_in_several_parts_and_all_of_them_replace() -> None:
    day = START + timedelta(days=60)
    old, new = (
        trade(START, "a", "buy", "X", 10, 5000, lot="old"),
        trade(day, "a", "buy", "X", 10, 4000, lot="new"),
    )
    moves = [Transfer(day, "a", "b", "X", Decimal(qty), (("new", None),)) for qty in (3, 2)]
    sale = replace(trade(day, "a", "sell", "X", 10, 4000), lots=(("old", None),))
    ledger = run([old, new, *moves, sale], None, HOLDERS)
    assert ledger.lines[0].disallowed == -ledger.lines[0].gain
    assert all(lot.is_used for lot in ledger.open_lots())
    assert sum((lot.qty for lot in ledger.open_lots()), Decimal(0)) == 10


def test_what_was_sold_before_it_ripened_is_not_closed_again() -> None:
    made = [trade(START + timedelta(days=count), "d", "buy", "X", 1, 5000 - count) for count in range(3)]
    sales = [trade(START + timedelta(days=days), "d", "sell", "X", 1, 6000) for days in (40, 380, 390)]
    ledger = run([*made, *sales], None, HOLDERS)
    assert [line.bought for line in ledger.lines] == [one.on for one in made]
    assert [line.is_long for line in ledger.lines] == [False, True, True]


def test_two_partial_sales_may_both_be_replaced_by_what_was_sold_of_one_purchase() -> None:
    """To the letter (`sold_lots_count`): both pieces sold of B stand in for A, and B's own order does not."""
    days = [START + timedelta(days=count) for count in (0, 60, 61, 62, 63)]
    entries = [
        trade(days[0], "a", "buy", "X", 10, 5000, lot="A"),
        trade(days[1], "a", "buy", "X", 10, 4000, lot="B"),
        *(replace(trade(on, "a", "sell", "X", 5, 4100), lots=(("B", None),)) for on in days[2:4]),
        trade(days[4], "a", "sell", "X", 10, 4000),
    ]  # fmt: skip
    ledger = run(entries, Rules(sold_lots_count=True))
    assert [match.lot_id for match in ledger.lines[2].matches] == ["B", "B"]
    assert ledger.lines[2].allowed == 0


def test_a_split_of_one_twin_leaves_what_waits_of_the_other() -> None:
    days = [START + timedelta(days=count) for count in (0, 60, 61, 62)]
    entries = [
        trade(days[0], "a", "buy", "Y", 10, 5000), trade(days[1], "a", "sell", "Y", 10, 4000),
        Split(days[2], "X", Decimal(2)), trade(days[3], "a", "buy", "X", 5, 4000),
    ]  # fmt: skip
    assert run(entries, None, HOLDERS, SECURITIES).lines[0].disallowed == Decimal("50.37")


def test_a_later_fill_of_the_order_that_was_sold_is_no_replacement() -> None:
    days = [START + timedelta(days=count) for count in (0, 2, 4, 5)]
    entries = [
        trade(days[0], "a", "buy", "X", 10, 5000, "slow"), trade(days[1], "a", "sell", "X", 10, 4000),
        trade(days[2], "a", "buy", "X", 10, 5000, "slow"), trade(days[3], "a", "buy", "X", 4, 5000, "other"),
    ]  # fmt: skip
    (line,) = run(entries).lines
    assert [match.qty for match in line.matches] == [4]


def test_least_tax_closes_the_short_sale_that_brought_least() -> None:
    """Closed at 30: 20 lost on the one that brought 10 a unit, 10 gained on the other."""
    shorts = [trade(START, "d", "short", "X", 1, cents) for cents in (4000, 1000)]
    ledger = run([*shorts, trade(START + timedelta(days=900), "d", "cover", "X", 1, 3000)], None, HOLDERS)
    assert ledger.lines[0].proceeds == Decimal("9.63")
    assert not ledger.lines[0].is_long


def test_shares_sold_before_may_replace_in_parts() -> None:
    days = [START + timedelta(days=count) for count in (0, 60, 61, 62, 63)]
    entries = [
        trade(days[0], "a", "buy", "X", 5, 5000, lot="A"),
        trade(days[1], "a", "buy", "X", 5, 4000, lot="B"),
        replace(trade(days[2], "a", "sell", "X", 5, 4100), lots=(("B", None),)),
        trade(days[3], "a", "sell", "X", 3, 4000),
        trade(days[4], "a", "sell", "X", 2, 4000),
    ]
    lines = run(entries, Rules(sold_lots_count=True)).lines
    assert [[match.qty for match in line.matches] for line in lines] == [[], [3], [2]]
    assert lines[0].deferred == lines[1].disallowed + lines[2].disallowed > 0


def test_an_order_may_sell_on_two_days() -> None:
    buy = [trade(START, "a", "buy", "X", 10, 5000), trade(START, "a", "buy", "X", 10, 5100)]
    days = [START + timedelta(days=count) for count in (3, 4)]
    sales = [trade(on, "a", "sell", "X", 10, 4000, "s") for on in days]
    lines = run([*buy, *sales]).lines
    assert [line.disallowed > 0 for line in lines] == [True, False]


# -------------------------------------------------------------------------------------------- the year

money = st.decimals(-20_000, 20_000, places=2)


@calm
@given(money, money)
def test_a_years_loss_is_deducted_or_carried_and_no_more(short: Decimal, long: Decimal) -> None:
    net = short + long
    deducted = min(Decimal(3000), max(Decimal(0), -net))
    left = carry(short, long, deducted)
    assert left.short_term >= 0 <= left.long_term
    assert left.short_term + left.long_term == max(Decimal(0), -net) - deducted
    assert left.long_term <= max(Decimal(0), -long)
    assert left.short_term <= max(Decimal(0), -short)


@pytest.mark.parametrize(
    ("short", "long", "due"),
    [
        (100, 100, 60),
        (100, -40, 24),
        (-40, 100, 12),
        (-100, -100, -80),
        (-100, 100, 0),
        (50, -50, 0),
        (0, 10, 2),
    ],
)
def test_tax_is_due_on_what_is_left_of_each_term(short: int, long: int, due: int) -> None:
    deducted = max(Decimal(0), Decimal(-short - long))
    rates = TaxRates(Decimal("0.4"), Decimal("0.2"))
    assert tax(Decimal(short), Decimal(long), deducted, rates) == due


def test_without_lines_there_are_no_years() -> None:
    assert years([], {}) == []
    line = Line(
        START,
        "a",
        "X",
        Decimal(1),
        START,
        START,
        Decimal(5),
        Decimal(9),
        is_long=True,
        is_taxed=True,
        lot_id="",
    )
    (year,) = years([line], {"a": Holder("a")}, carried={"household": Carried(Decimal(1), Decimal(2))})
    assert (year.net, year.deducted, year.carried_out, year.tax) == (-7, 7, Carried(), Decimal("-2.59"))
