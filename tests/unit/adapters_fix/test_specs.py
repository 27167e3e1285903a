"""The page and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapters.fix import codec
from gateway.domain.order import OrderSpec, OrdType, Side, TimeInForce
from gateway.events import CancelOrder, LookUpOrder, SendOrder

PAGE = Path(__file__).parents[3] / "fix_specs" / "simulator.md"
SPEC = OrderSpec(
    "A", "r", "main", "sim", "AAPL", Side.BUY, codec.Decimal(1), OrdType.LIMIT, codec.Decimal(1),
    TimeInForce.DAY, 1,
)  # fmt: skip
SENT = {
    "D": codec.new_order(SendOrder(SPEC, poss_resend=True), "FIX.4.4", "now"),
    "F": codec.cancel_request(CancelOrder(SPEC, "AC1", "O1"), "FIX.4.4", "now"),
    "H": codec.status_request(LookUpOrder(SPEC, "O1"), "FIX.4.4"),
}


@pytest.mark.parametrize("msg_type", SENT)
def test_the_page_names_exactly_the_tags_we_send(msg_type: str) -> None:
    (row,) = re.findall(rf"\({msg_type}\) \| (.*) \|", PAGE.read_text(encoding="utf-8"))
    named = {int(tag) for tag in re.findall(r"\b(\d+) [A-Z]", row)}
    sent = {int(tag) for tag in codec.split(SENT[msg_type])} - {8, 9, 10, 35}
    assert named == sent
