"""What a client asks of the venue: FIX messages read as the venue's own requests.

Rules of this room:
1. The session has judged the format of every field already; nothing here judges it a second time.
2. A field the venue needs and FIX does not require is read as a value the venue refuses (a quantity of 0).
3. `ECHOED` fields are the client's own words about the instrument: every report carries them back.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from simulator.fix.formats import read_time
from simulator.orders import ZERO, CancelOrder, NewOrder, OrdType, ReplaceOrder, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.fix.message import Pair

ECHOED = (15, 22, 48, 120, 167, 207)
"""Currency, SecurityIDSource, SecurityID, SettlCurrency, SecurityType, SecurityExchange."""

_ECHOED = frozenset(ECHOED)


def new_order(
    owner: str, body: Sequence[Pair], *, poss_resend: bool, echo_also: Sequence[Pair] = ()
) -> NewOrder:
    """Read NewOrderSingle(D); `echo_also` is what the venue carries back besides `ECHOED`."""
    fields = first_values(body)
    get = fields.get
    price, expires, cash = get(44), get(126), get(152)
    echo: tuple[Pair, ...] = ()
    if not _ECHOED.isdisjoint(fields):
        echo = tuple([(tag, fields[tag]) for tag in ECHOED if tag in fields])
    return NewOrder(
        fields[11],
        get(55, ""),
        fields[54],
        _quantity(get(38)),
        fields[40],
        Decimal(price) if price is not None else None,
        get(59, TimeInForce.DAY),
        get(1, ""),
        read_time(expires) if expires is not None else None,
        owner,
        poss_resend,
        (*echo, *echo_also),
        Decimal(cash) if cash is not None and get(38) is None else None,
    )


def closing(body: Sequence[Pair], held: Decimal) -> Sequence[Pair]:
    """Read an order of type Z as the market order that brings a position of `held` to zero."""
    kept = [(tag, value) for tag, value in body if tag not in (38, 40, 44, 54)]
    side = Side.SELL if held > ZERO else Side.BUY
    return (*kept, (38, str(abs(held))), (40, OrdType.MARKET), (54, side))


def cancel(owner: str, body: Sequence[Pair], *, poss_resend: bool, echo: Sequence[Pair] = ()) -> CancelOrder:
    """Read OrderCancelRequest(F); `echo` is what its reject carries back."""
    fields = first_values(body)
    return CancelOrder(fields[11], fields[41], owner, fields.get(1, ""), poss_resend, tuple(echo))


def replace(
    owner: str, body: Sequence[Pair], *, poss_resend: bool, echo: Sequence[Pair] = ()
) -> ReplaceOrder:
    """Read OrderCancelReplaceRequest(G); `echo` is what its reject carries back."""
    fields = first_values(body)
    get = fields.get
    price = get(44)
    return ReplaceOrder(
        fields[11], fields[41], _quantity(get(38)), Decimal(price) if price is not None else None,
        get(55), get(54), get(40), owner, get(1, ""), poss_resend, tuple(echo),
    )  # fmt: skip


def first_values(body: Sequence[Pair]) -> dict[int, str]:
    """Return the first value of every tag."""
    return dict(reversed(body))


def _quantity(text: str | None) -> Decimal:
    return Decimal(text) if text is not None else ZERO
