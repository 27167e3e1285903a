"""Why an order may not come in or be changed: TWS's own checks, in code and words.

Rules of this room:
1. What fails here never becomes an order: it gets an error with its orderId and nothing else.
2. Only what can be wrong in an order's own fields is judged here; money and shares are judged in `books`.

Source of codes: the vendor's table of message codes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from simulator.orders import MAX_NUMBER, ZERO, NewOrder, OrdType, Side, TimeInForce
from simulator.tws.contracts import Catalogue, Contract
from simulator.tws.placing import Placed
from simulator.tws.tickets import Ticket
from simulator.tws.triggers import ON_CLOSE, TRIGGERED, WITH_LIMIT, waits_for

ACTIONS = {"BUY": Side.BUY, "SELL": Side.SELL, "SSHORT": Side.SELL}
ORDER_TYPES = {
    **dict.fromkeys(("MKT", "STP", "MIT", "MOC"), OrdType.MARKET),
    **dict.fromkeys(WITH_LIMIT, OrdType.LIMIT),
}  # fmt: skip
"""What an order is once nothing holds it any more."""
TIMES = {
    "": TimeInForce.DAY, "DAY": TimeInForce.DAY, "GTC": TimeInForce.GOOD_TILL_CANCEL,
    "IOC": TimeInForce.IMMEDIATE_OR_CANCEL, "FOK": TimeInForce.FILL_OR_KILL,
    "OPG": TimeInForce.IMMEDIATE_OR_CANCEL,
}  # fmt: skip
LASTING = frozenset({"", "DAY", "GTC"})
NEVER_WAIT, GOES_ON = frozenset({"IOC", "FOK"}), frozenset({"GTC", "OPG"})
LOT = Decimal("1E-4")
NOT_SERVED = 10268


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error code and its text."""

    code: int
    text: str


NO_CONTRACT = Refusal(200, "No security definition has been found for the request")
AMBIGUOUS = Refusal(200, "The contract description specified is ambiguous")
DUPLICATE = Refusal(103, "Duplicate order id")
ALREADY_FILLED = Refusal(104, "Cannot modify a filled order.")
MISMATCH = Refusal(105, "Order being modified does not match original order.")
OTHER_TYPE = Refusal(329, "Order modify failed. Cannot change to the new order type.")
OFF_TICK = Refusal(110, "The price does not conform to the minimum price variation for this contract.")
NO_SIZE = Refusal(434, "The order size cannot be zero.")
FRACTION = Refusal(
    10243, "Fractional-sized order cannot be placed via API. Please use desktop version to place this order."
)


def invalid_request(cause: str) -> Refusal:
    """Say what is wrong with a question."""
    return Refusal(321, f"Error validating request.-'b' : cause - {cause}")


BAD_ACCOUNT = invalid_request("Invalid account code")
EVERYBODY = ("", "All")
"""How a question names every account."""


def fault(
    placed: Placed, catalogue: Catalogue, accounts: Collection[str]
) -> tuple[Refusal | None, Contract | None]:
    """Judge a new order; return the contract it is about when nothing is wrong."""
    found = catalogue.find(placed.contract)
    if len(found) != 1:
        return (NO_CONTRACT if not found else AMBIGUOUS), None
    refusal = _word_fault(placed) or _account_fault(placed, accounts) or shape_fault(placed, found[0])
    return refusal, found[0] if refusal is None else None


def shape_fault(placed: Placed, contract: Contract) -> Refusal | None:
    """Judge quantity and price."""
    return _size_fault(placed.qty, contract) or _price_fault(placed, contract)


def _word_fault(placed: Placed) -> Refusal | None:
    if placed.action not in ACTIONS:
        return _invalid(f"Invalid order action {placed.action}")
    if placed.unserved:
        return Refusal(NOT_SERVED, f"The '{placed.unserved}' order attribute is not supported.")
    if placed.order_type not in ORDER_TYPES:
        return Refusal(387, "Unsupported order type for this exchange and security type.")
    if placed.tif not in TIMES:
        return Refusal(
            391, f"The time in force {placed.tif} is invalid; this venue serves DAY, GTC, IOC, FOK and OPG."
        )
    if waits_for(placed) and placed.tif in NEVER_WAIT | (
        GOES_ON if placed.order_type in ON_CLOSE else NEVER_WAIT
    ):
        return Refusal(391, f"The time in force {placed.tif} is invalid for order type {placed.order_type}.")
    return None


def _account_fault(placed: Placed, accounts: Collection[str]) -> Refusal | None:
    if not placed.account and len(accounts) != 1:
        return Refusal(435, "You must specify an account.")
    return _invalid("Invalid account code") if placed.account and placed.account not in accounts else None


def _size_fault(qty: Decimal, contract: Contract) -> Refusal | None:
    least = contract.min_size
    if qty == ZERO:
        return NO_SIZE
    if not ZERO < qty <= MAX_NUMBER:
        return _invalid("Invalid order quantity")
    if qty % contract.size_increment == ZERO and qty >= least:
        return None
    if qty % 1 != ZERO and contract.size_increment >= 1:
        return FRACTION
    return Refusal(388, f"Order size {qty:f} is smaller than the minimum required size of {least:f}.")


def _price_fault(placed: Placed, contract: Contract) -> Refusal | None:
    needs = {"limit price": placed.order_type in WITH_LIMIT, "stop price": placed.order_type in TRIGGERED}
    for name, price in (("limit price", placed.lmt_price), ("stop price", placed.aux_price)):
        if not needs[name]:
            continue
        if price is None or not ZERO < price <= MAX_NUMBER:
            return _invalid(f"Invalid {name}")
        if price % contract.step_at(price) != ZERO:
            return OFF_TICK
    return None


def change_fault(ticket: Ticket, placed: Placed) -> Refusal | None:
    """Judge a change: quantity and price may differ, DAY become GTC and back; it must be possible."""
    was = ticket.placed
    if placed.action != was.action or not ticket.contract.fits(placed.contract):
        return MISMATCH
    if placed.account and placed.account != was.account:
        return MISMATCH
    if placed.tif != was.tif and not {placed.tif, was.tif} <= LASTING:
        return MISMATCH
    if placed.order_type != was.order_type:
        return OTHER_TYPE
    if placed.unserved:
        return Refusal(NOT_SERVED, f"The '{placed.unserved}' order attribute is not supported.")
    return shape_fault(placed, ticket.contract)


def order_of(placed: Placed, contract: Contract, perm_id: int, owner: str) -> NewOrder:
    """Word an order as the core takes it: its ClOrdID(11) is the permId."""
    ord_type = ORDER_TYPES[placed.order_type]
    price = placed.lmt_price if ord_type is OrdType.LIMIT else None
    return NewOrder(
        str(perm_id), contract.listed, ACTIONS[placed.action], placed.qty, ord_type, price, TIMES[placed.tif],
        placed.account, owner=owner,
    )  # fmt: skip


def _invalid(cause: str) -> Refusal:
    return Refusal(321, f"Error validating request.-'bN' : cause - {cause}")
