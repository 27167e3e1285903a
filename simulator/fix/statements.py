"""What a venue states of accounts and positions: AccountInfo(U2) and InstrumentPositionInfo(U3).

Rules of this room:
1. A statement changes nothing and answers no order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from simulator.fix.answers import number
from simulator.fix.message import Message

if TYPE_CHECKING:
    from simulator.accounts import Account, Accounts

_CURRENCY, _PRICE, _SYMBOL = 15, 44, 55
_NAME, _LEVERAGE, _MARGIN, _EQUITY, _AMOUNT = 7004, 7005, 7006, 7007, 7008


def everything(accounts: Accounts) -> list[Message]:
    """State every account and each of its positions."""
    found = []
    for account in accounts.every():
        cash = number(account.cash)
        pairs = (
            (_CURRENCY, "USD"),
            (_NAME, account.name),
            (_LEVERAGE, "1"),
            (_MARGIN, cash),
            (_EQUITY, cash),
        )
        found.append(Message("U2", pairs))
        found += [_position(account, symbol) for symbol, held in sorted(account.positions.items()) if held]
    return found


def position(accounts: Accounts, name: str, symbol: str) -> Message:
    """State one position, 0 included."""
    account = accounts.find(name)
    assert account is not None, name  # noqa: S101 - its order has just filled
    return _position(account, symbol)


def _position(account: Account, symbol: str) -> Message:
    held = account.positions.get(symbol, Decimal(0))
    return Message(
        "U3", ((_PRICE, "1"), (_SYMBOL, symbol), (_NAME, account.name), (_AMOUNT, number(held)))
    )  # fmt: skip
