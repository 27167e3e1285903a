"""Plans: approved proposals become waves of orders with names nobody else can give. Pure.

Rules of this room:
1. Sells are the first wave. Buys are planned when the sells are final, from cash that is there.
2. A buy in money is of what was approved, quantity times reference price, down to a whole cent.
3. ClOrdID(11) is derived from household, request, symbol and wave: the same request twice gives the
   same names, so a venue or a venue's simulator can refuse the second.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from hashlib import sha256

from gateway.domain.instrument import Instrument
from gateway.domain.order import OrderSpec, OrdType, Side
from gateway.domain.proposal import Approved
from gateway.domain.settings import AccountSettings

CL_ORD_ID_LENGTH = 16
CENT = Decimal("0.01")


def cl_ord_id(household: str, request_id: str, account: str, symbol: str, wave: int) -> str:
    """Derive ClOrdID(11): 16 characters of A-Z and 2-7, 80 bits of SHA-256 over who asked for what."""
    text = "\x1f".join((household, request_id, account, symbol, str(wave)))
    return b32encode(sha256(text.encode()).digest()).decode()[:CL_ORD_ID_LENGTH]


def cancel_id(order_id: str, attempt: int) -> str:
    """Derive the ClOrdID(11) of a cancel request from its order's own."""
    return f"{order_id}C{attempt}"


def next_wave(approved: Sequence[Approved]) -> list[Approved]:
    """Choose what goes next: all sells while there are any, then all buys."""
    sells = [item for item in approved if item.proposal.side is not Side.BUY]
    return sells or list(approved)


def are_buys(wave: Sequence[Approved]) -> bool:
    """Say whether a wave buys; one of nothing does neither."""
    return bool(wave) and all(item.proposal.side is Side.BUY for item in wave)


def order_spec(
    item: Approved,
    household: str,
    account: AccountSettings,
    request_id: str,
    wave: int,
    instrument: Instrument,
) -> OrderSpec:
    """Turn one approval into what will be sent."""
    proposal = item.proposal
    return OrderSpec(
        cl_ord_id=cl_ord_id(household, request_id, account.name, proposal.symbol, wave),
        request_id=request_id,
        account=account.name,
        link=account.link,
        symbol=proposal.symbol,
        side=proposal.side,
        order_qty=proposal.qty,
        ord_type=OrdType.MARKET if item.limit_price is None else OrdType.LIMIT,
        price=item.limit_price,
        time_in_force=account.execution.time_in_force,
        wave=wave,
        currency=instrument.currency,
        cash_order_qty=_cash_of(item, account, instrument),
    )


def _cash_of(item: Approved, account: AccountSettings, instrument: Instrument) -> Decimal | None:
    """Return CashOrderQty(152) of what is bought in money, None for everything else."""
    proposal = item.proposal
    is_in_cash = account.execution.cash_orders and instrument.is_fractional and proposal.side is Side.BUY
    return proposal.notional.quantize(CENT, ROUND_DOWN) if is_in_cash else None
