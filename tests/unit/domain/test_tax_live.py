"""The tax ledger of the live book: worked out from what it realised and holds, whatever way it came there."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.book import Account, Book, Fill
from gateway.domain.instrument import Instrument
from gateway.domain.lots import LotMethod, TaxRates
from gateway.domain.order import Side
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.live import ledger_of

DAY = date(2023, 3, 1)
KNOWN = {
    "X": Instrument("X", identical_group="g"),
    "Y": Instrument("Y", identical_group="g"),
    "Z": Instrument("Z"),
}


def book() -> Book:
    return Book({"main": Account("main", Decimal(0)), "ira": Account("ira", Decimal(0), taxable=False)})


def fill(
    side: Side,
    qty: int,
    px: int,
    days: int,
    *,
    of: str = "main",
    symbol: str = "X",
    order: str = "",
    number: int = 0,
) -> Fill:
    on = DAY + timedelta(days=days)
    return Fill(
        of, symbol, side, Decimal(qty), Decimal(px), Decimal(1), f"e{number}", on, order or f"o{number}"
    )


def applied(*fills: Fill) -> Book:
    found = book()
    for one in fills:
        found.apply(one)
    return found


def seen(ledger: Ledger) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    return (
        [(one.account, one.symbol, one.qty, one.gain, one.disallowed, one.permanent) for one in ledger.lines],
        [(one.lot_id, one.qty, one.basis, one.since) for one in ledger.open_lots()],
    )


def test_a_loss_goes_into_the_lot_that_replaced_it_and_is_gone_in_the_ira() -> None:
    found = applied(
        fill(Side.BUY, 10, 50, -400, number=1),
        fill(Side.SELL, 10, 40, 0, number=2),
        fill(Side.BUY, 4, 41, 5, symbol="Y", of="ira", number=3),
        fill(Side.BUY, 4, 41, 6, symbol="Y", number=4),
    )
    lines, lots = seen(ledger_of(found, KNOWN))
    assert lines == [("main", "X", 10, -102, Decimal("81.6"), Decimal("40.8"))]
    assert lots == [
        ("ira:o3:e3", 4, 165, DAY + timedelta(days=5)),
        ("main:o4:e4", 4, Decimal("205.8"), DAY + timedelta(days=6 - 400)),
    ]
    assert sum((gain.gain for gain in found.realised), Decimal(0)) == -102, "the book's gains stay economic"


def test_only_the_symbols_asked_for() -> None:
    found = applied(fill(Side.BUY, 10, 50, 0, number=1), fill(Side.BUY, 10, 50, 0, symbol="Z", number=2))
    assert [lot[0] for lot in seen(ledger_of(found, KNOWN, symbols=["Z"]))[1]] == ["main:o2:e2"]


def test_fills_of_one_order_are_one_purchase() -> None:
    fills = [fill(Side.BUY, 10, 50, 0, order="A", number=1), fill(Side.BUY, 10, 50, 0, order="A", number=2)]
    sale = fill(Side.SELL, 10, 40, 3, number=3)
    assert seen(ledger_of(applied(*fills, sale), KNOWN))[0][0][4] == 0
    other = fill(Side.BUY, 10, 50, 0, order="B", number=2)
    assert seen(ledger_of(applied(fills[0], other, sale), KNOWN))[0][0][4] == 102


def test_a_short_sale_is_short_term_and_washed_by_another() -> None:
    found = applied(
        fill(Side.SELL_SHORT, 10, 50, -500, number=1),
        fill(Side.BUY, 10, 60, 0, number=2),
        fill(Side.SELL_SHORT, 10, 58, 9, number=3),
    )
    ledger = ledger_of(found, KNOWN)
    (line,) = ledger.lines
    assert (line.gain, line.disallowed, line.is_long, line.kind) == (-102, 102, False, "short")
    assert [(lot.basis, lot.is_short) for lot in ledger.open_lots()] == [(477, True)]
    (gain,) = found.realised
    assert (gain.is_short, gain.is_long_term, gain.opened_by, gain.closed_by) == (True, False, "o1", "o2")


def test_a_bust_and_a_correction_give_the_ledger_that_would_stand() -> None:
    fills = [
        fill(Side.BUY, 10, 50, -400, number=1),
        fill(Side.SELL, 10, 40, 0, number=2),
        fill(Side.BUY, 10, 41, 5, number=3),
        fill(Side.SELL, 6, 30, 40, number=4),
    ]
    whole = applied(*fills)
    assert whole.amend("main", "o3:e3", fill(Side.BUY, 7, 41, 5, number=3))
    assert seen(ledger_of(whole, KNOWN)) == seen(
        ledger_of(applied(*fills[:2], fill(Side.BUY, 7, 41, 5, number=3), fills[3]), KNOWN)
    )
    whole = applied(*fills[:3])
    assert whole.amend("main", "o3:e3", None)
    assert seen(ledger_of(whole, KNOWN)) == seen(ledger_of(applied(*fills[:2]), KNOWN))
    assert seen(ledger_of(whole, KNOWN))[0][0][4] == 0


def test_a_split_scales_what_was_sold_before_it() -> None:
    found = applied(
        fill(Side.BUY, 20, 50, -400, number=1), fill(Side.SELL, 10, 40, 0, number=2),
        fill(Side.BUY, 10, 50, -400, of="ira", number=5), fill(Side.BUY, 5, 50, -300, of="ira", number=6),
    )  # fmt: skip
    found.split("main", "X", Decimal(20), DAY + timedelta(days=2))
    found.apply(fill(Side.BUY, 10, 20, 5, number=3))
    lines, lots = seen(ledger_of(found, KNOWN))
    assert lines[0][2:5] == (20, Decimal("-101.5"), Decimal("50.75")), "10 new shares replace half of 20"
    assert (Decimal(10), Decimal("251.75")) in [lot[1:3] for lot in lots]
    found.split("ira", "X", Decimal(30), DAY - timedelta(days=20))
    assert seen(ledger_of(found, KNOWN))[0] == lines, "another account's split is its own"


def test_the_books_lot_method_may_be_least_tax() -> None:
    rates = TaxRates(Decimal("0.37"), Decimal("0.2"))
    costs = {}
    for method in (LotMethod.HIFO, LotMethod.MIN_TAX):
        found = Book({"main": Account("main", Decimal(0), method, rates=rates)})
        found.apply(fill(Side.BUY, 1, 60, -500, number=1))
        found.apply(fill(Side.BUY, 1, 65, -50, number=2))
        costs[method] = found.apply(fill(Side.SELL, 1, 80, 0, number=3))[0].cost
    assert costs == {LotMethod.HIFO: 66, LotMethod.MIN_TAX: 61}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["main", "ira"]), st.sampled_from("XYZ"), st.sampled_from([Side.BUY, Side.SELL]),
            st.integers(1, 20), st.integers(20, 80), st.integers(0, 9),
        ),
        max_size=30,
    ),
)  # fmt: skip
def test_book_and_ledger_agree_on_what_was_earned_and_what_is_held(
    steps: list[tuple[str, str, Side, int, int, int]],
) -> None:
    found, days = book(), 0
    for number, (of, symbol, side, qty, px, later) in enumerate(steps):
        days += later
        found.apply(fill(side, qty, px, days, of=of, symbol=symbol, number=number))
    ledger = ledger_of(found, KNOWN)
    tiny = Decimal("1e-15")
    earned = sum((gain.gain for gain in found.realised), Decimal(0))
    assert abs(sum((line.economic for line in ledger.lines), Decimal(0)) - earned) < tiny
    for name, account in found.accounts.items():
        for symbol in "XYZ":
            long, short = (ledger.holding(name, symbol, is_short=side).qty for side in (False, True))
            assert long - short == account.positions.get(symbol, 0)
    allowed = sum((line.allowed - line.permanent for line in ledger.lines if line.is_taxed), Decimal(0))
    deferred = sum(
        (-lot.deferred if lot.is_short else lot.deferred for lot in ledger.open_lots()), Decimal(0)
    )
    taxed = sum((gain.gain for gain in found.realised if gain.account == "main"), Decimal(0))
    assert abs(allowed - deferred - taxed) < tiny


def test_a_return_of_capital_lowers_adjusted_basis_after_what_was_sold_before_it() -> None:
    found = applied(
        fill(Side.BUY, 10, 50, -400, number=1),
        fill(Side.SELL, 4, 40, 0, number=2),
        fill(Side.BUY, 4, 41, 5, number=3),
    )
    assert found.give_back("main", "X", Decimal(20), DAY + timedelta(days=10)) == ""
    lines, lots = seen(ledger_of(found, KNOWN))
    assert lines == [("main", "X", 4, Decimal("-41.4"), Decimal("41.4"), 0)], "what it cost before"
    assert lots == [
        ("main:o1:e1", 6, Decimal("300.6") - 12, DAY - timedelta(days=400)),
        ("main:o3:e3", 4, 165 + Decimal("41.4") - 8, DAY + timedelta(days=5 - 400)),
    ]


def test_what_a_spin_off_brings_is_no_purchase_and_takes_its_cost_along() -> None:
    found = applied(fill(Side.BUY, 10, 50, -10, symbol="Z", number=1), fill(Side.BUY, 10, 60, -400, number=2))
    assert found.spin_off("main", "Z", "Y", Decimal(5), Decimal("0.2"), DAY) == ""
    found.apply(fill(Side.SELL, 10, 40, 2, number=3))
    lines, lots = seen(ledger_of(found, KNOWN))
    assert seen(ledger_of(found, KNOWN, symbols=["X"])) == (lines, []), "what Z cost is nothing to X"
    assert lines == [("main", "X", 10, -202, 0, 0)], (
        "Y is identical to X and ten days old, but was not bought"
    )
    assert lots == [
        ("main:o1:e1", 10, Decimal("400.8"), DAY - timedelta(days=10)),
        ("main:o1:e1/Y", 5, Decimal("100.2"), DAY - timedelta(days=10)),
    ]


def test_basis_is_taken_off_the_parts_of_a_lot_alike() -> None:
    """A part has replaced, the rest has not: each share gives the same, the last part what is left."""
    found = applied(
        fill(Side.BUY, 3, 50, -400, number=1),
        fill(Side.SELL, 3, 40, 0, number=2),
        fill(Side.BUY, 10, 41, 5, number=3),
    )
    assert found.give_back("main", "X", Decimal(10), DAY + timedelta(days=9)) == ""
    ledger = ledger_of(found, KNOWN)
    assert [(lot.qty, lot.basis) for lot in ledger.open_lots()] == [
        (3, Decimal("123.3") + 32 - 3), (7, Decimal("287.7") - 7),
    ]  # fmt: skip
