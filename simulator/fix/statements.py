"""What a venue states besides orders: news (U1), accounts (U2), positions (U3), overnight (U4), users (U6).

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

_ACCOUNT, _CURRENCY, _PRICE, _SYMBOL, _TEXT = 1, 15, 44, 55, 58
_USERNAME, _USERS = 553, 7010
_PRIORITY, _NAME, _LEVERAGE, _MARGIN, _EQUITY, _AMOUNT = 7003, 7004, 7005, 7006, 7007, 7008
_ACTIVATION_REQUEST, _ACCOUNT_INFO_REQUEST = "U5", "U7"
QUESTIONS = (_ACTIVATION_REQUEST, _ACCOUNT_INFO_REQUEST)
HIGHEST_PRIORITY = 3
"""NotifPriority(7003): 0 info, 1 warning, 2 error, 3 alert."""


def answer(question: Message, accounts: Accounts, user: str) -> list[Message]:
    """Answer one of `QUESTIONS` that `user` asks."""
    if question.msg_type == _ACTIVATION_REQUEST:
        return [_activation(accounts, user, question.get(_ACCOUNT) or "")]
    return _everything(accounts)


def _everything(accounts: Accounts) -> list[Message]:
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


def notification(account: str, priority: int, text: str) -> Message:
    """Tell people something."""
    return Message("U1", ((_TEXT, text), (_PRIORITY, str(priority)), (_NAME, account)))


def overnight(accounts: Accounts) -> list[Message]:
    """State every position that is carried over the end of a day."""
    return [
        Message("U4", ((_ACCOUNT, account.name), (_SYMBOL, symbol), (_AMOUNT, number(held))))
        for account in accounts.every()
        for symbol, held in sorted(account.positions.items())
        if held
    ]


def _activation(accounts: Accounts, user: str, asked: str) -> Message:
    """Name the user of a session beside every account, or beside the one asked about if we have it."""
    named = [one.name for one in accounts.every() if asked in ("", one.name)]
    entries = [pair for name in named for pair in ((_USERNAME, user), (_ACCOUNT, name))]
    return Message("U6", ((_USERS, str(len(named))), *entries))


def _position(account: Account, symbol: str) -> Message:
    held = account.positions.get(symbol, Decimal(0))
    return Message(
        "U3", ((_PRICE, "1"), (_SYMBOL, symbol), (_NAME, account.name), (_AMOUNT, number(held)))
    )  # fmt: skip
