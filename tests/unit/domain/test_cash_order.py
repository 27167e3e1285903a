"""An order of money (CashOrderQty(152)): its quantity is what its fills say, its bound is its money."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.life import after_refusal, step
from gateway.domain.order import ExecType, Order, OrderSpec, OrdStatus, OrdType, Report, Side, TimeInForce

AT = datetime(2024, 3, 12, 15, 0, tzinfo=UTC)
S, E = OrdStatus, ExecType


def order(cash: str | None = "1000.00", qty: str = "10") -> Order:
    spec = OrderSpec(
        "C1", "R1", "main", "sim", "AAA", Side.BUY, Decimal(qty), OrdType.MARKET, None, TimeInForce.DAY, 1,
        cash_order_qty=None if cash is None else Decimal(cash),
    )  # fmt: skip
    return Order(spec, AT, S.NEW)


def told(
    one: Order, kind: ExecType, status: OrdStatus, cum: str, exec_id: str = "", *, qty: str | None = None,
    px: str | None = None, ref: str = "", order_qty: str | None = None,
) -> str:  # fmt: skip
    """Let a venue report, and return why the report is not believed."""
    report = Report(
        "C1", exec_id, kind, status, Decimal(cum), last_qty=None if qty is None else Decimal(qty),
        last_px=None if px is None else Decimal(px), exec_ref_id=ref,
        order_qty=None if order_qty is None else Decimal(order_qty),
    )  # fmt: skip
    change = step(one, report)
    if not change.illegal:
        one.take(report, change, AT)
    return change.illegal


@pytest.mark.parametrize(("qty", "px"), [("8", "125"), ("10", "100"), ("12.5", "80")])
def test_it_is_whole_when_the_venue_says_so_whatever_it_bought(qty: str, px: str) -> None:
    one = order()
    assert (one.leaves_qty, one.leaves_cash) == (10, 1000)
    assert not told(one, E.TRADE, S.FILLED, qty, "A", qty=qty, px=px)
    assert (one.ord_status, one.order_qty, one.cum_qty) == (S.FILLED, Decimal(qty), Decimal(qty))
    assert (one.is_final, one.leaves_qty, one.leaves_cash) == (True, 0, 0)


def test_a_part_is_not_all_even_where_it_is_more_than_was_expected() -> None:
    one = order()
    assert not told(one, E.TRADE, S.PARTIALLY_FILLED, "11", "A", qty="11", px="80")
    assert (one.ord_status, one.order_qty, one.leaves_qty) == (S.PARTIALLY_FILLED, 11, 0)
    assert one.leaves_cash == 120
    assert after_refusal(one, None) is S.PARTIALLY_FILLED
    assert not told(one, E.PENDING_CANCEL, S.PENDING_CANCEL, "11")
    assert after_refusal(one, None) is S.PARTIALLY_FILLED, "nobody has said yet that this was all"
    assert not told(one, E.CANCELED, S.CANCELED, "11")
    assert (one.ord_status, one.leaves_cash, one.cum_qty) == (S.CANCELED, 0, 11)
    assert not told(one, E.TRADE, S.CANCELED, "12", "B", qty="1", px="80"), "a fill after the end is booked"
    assert (one.ord_status, one.cum_qty) == (S.CANCELED, 12)


def test_what_the_venue_shows_as_its_quantity_is_no_change_of_it() -> None:
    one = order()
    assert not told(one, E.ORDER_STATUS, S.NEW, "0", order_qty="9.99")
    assert one.order_qty == 10


def test_it_does_not_end_before_its_executions_are_here() -> None:
    one = order()
    assert not told(one, E.TRADE, S.FILLED, "12.5", "B", qty="2.5", px="80")
    assert (one.ord_status, one.leaves_qty) == (S.PARTIALLY_FILLED, Decimal("7.5"))
    assert not told(one, E.TRADE, S.PARTIALLY_FILLED, "10", "A", qty="10", px="80")
    assert (one.ord_status, one.order_qty) == (S.PARTIALLY_FILLED, Decimal("12.5")), (
        "a look-up has the last word"
    )
    assert not told(one, E.ORDER_STATUS, S.FILLED, "12.5")
    assert (one.ord_status, one.order_qty) == (S.FILLED, Decimal("12.5"))
    assert not told(one, E.ORDER_STATUS, S.FILLED, "12.5"), "said twice"


def test_it_may_cost_its_money_a_cent_and_what_averages_round_off_and_no_more() -> None:
    assert not told(order(), E.TRADE, S.FILLED, "10", "A", qty="10", px="100.1")
    words = told(order(), E.TRADE, S.FILLED, "10", "A", qty="10", px="100.102")
    assert words == "over-fill: 1001.020 spent of CashOrderQty(152) 1000.00"


def test_a_bust_lets_it_work_again_and_a_correction_moves_its_quantity() -> None:
    one = order()
    assert not told(one, E.TRADE, S.PARTIALLY_FILLED, "5", "A", qty="5", px="100")
    assert not told(one, E.TRADE, S.FILLED, "11", "B", qty="6", px="80")
    assert one.order_qty == 11
    assert not told(one, E.TRADE_CORRECT, S.FILLED, "11.25", "C", qty="6.25", px="80", ref="B")
    assert (one.ord_status, one.order_qty, one.leaves_qty) == (S.FILLED, Decimal("11.25"), 0)
    assert not told(one, E.TRADE_CANCEL, S.PARTIALLY_FILLED, "5", "D", ref="C")
    assert (one.ord_status, one.cum_qty, one.leaves_cash) == (S.PARTIALLY_FILLED, 5, 500)
    assert "TRADE_CORRECT to 11" in told(
        one, E.TRADE_CORRECT, S.PARTIALLY_FILLED, "11", "F", qty="11", px="100", ref="A"
    )
    assert not told(one, E.TRADE, S.FILLED, "13", "G", qty="8", px="62.5")
    assert (one.ord_status, one.order_qty) == (S.FILLED, 13)


def test_an_order_of_a_quantity_has_no_money_to_spend() -> None:
    assert order(cash=None).leaves_cash is None


PRICES = st.decimals(min_value="0.5", max_value="5000", places=4)


@given(
    cash=st.decimals(min_value="1", max_value="100000", places=2), expected_at=PRICES,
    parts=st.lists(st.tuples(st.integers(1, 99), PRICES), max_size=5), last_px=PRICES, data=st.data(),
)  # fmt: skip
def test_however_its_money_is_spent_the_order_ends_right(
    cash: Decimal,
    expected_at: Decimal,
    parts: list[tuple[int, Decimal]],
    last_px: Decimal,
    data: st.DataObject,
) -> None:
    """Let a venue spend the money in parts at any prices, each report once or twice, statuses between."""
    nano = Decimal("1E-9")
    one = order(str(cash), str((cash / expected_at).quantize(nano) or nano))
    left, cum, reports = cash, Decimal(0), []
    for share, px in [*parts, (100, last_px)]:
        qty = (left * share / 100 / px).quantize(nano, ROUND_DOWN)
        if not qty:
            continue
        left, cum = left - qty * px, cum + qty
        reports.append((cum, qty, px))
    for number, (total, qty, px) in enumerate(reports, start=1):
        status = S.FILLED if number == len(reports) else S.PARTIALLY_FILLED
        for _ in range(data.draw(st.integers(1, 2))):
            assert not told(one, E.TRADE, status, str(total), f"E{number}", qty=str(qty), px=str(px))
        if data.draw(st.booleans()):
            assert not told(one, E.ORDER_STATUS, status, str(total))
        assert 0 <= one.cum_qty <= one.order_qty
        assert one.is_final == (number == len(reports))
    assert (one.cum_qty, one.order_qty, one.leaves_qty) == (cum, cum, 0)
    assert cash - one.notional == left >= 0
