"""TWS's error codes as data: one row a code, what it means and what follows for an order or the connection.

Rules of this room:
1. A code that is not here ends nothing: the order is asked about, and a person is told.
2. Most codes about an order the venue has are about something else: a change, a cancel, a setting. So what
   refuses a new order only makes us ask about one that was acknowledged.
3. Sources: the vendor's message-code page, and the public trackers of the client libraries for what the page
   leaves open (10349 above all, which the libraries read as a cancel).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Action(Enum):
    """What a code asks of us."""

    REFUSED = auto()
    """A new order never lived; of one that was acknowledged the original lives on: ask."""
    BARRED = auto()
    """As REFUSED, and the contract is left alone for a while."""
    WHOLE_SHARES = auto()
    """As REFUSED, because the quantity was a fraction: whole shares may go."""
    DUPLICATE_ID = auto()
    """The order id was used before: not accepted; a higher id may be, once nobody has the order."""
    NOT_CHANGED = auto()
    """A change was refused, and we change nothing: a new order's id was used before; an old order lives."""
    ASK = auto()
    """It may live or not: ask open orders, completed orders and executions."""
    CANCELLED = auto()
    """Cancelled, by us or not; what filled before may still come."""
    CANCEL_REFUSED = auto()
    """The cancel was not carried out: ask how the order stands."""
    HELD = auto()
    """It waits at the broker and is not over."""
    NOTE = auto()
    """Nothing follows; it is logged."""
    PRICES = auto()
    """Prices are delayed, missing, or somebody else's session gets them."""
    QUESTION = auto()
    """A question of ours failed; about an order, as ASK."""
    TOO_FAST = auto()
    """Too many messages: halve the pace, expect to be dropped."""
    CUT_OFF = auto()
    """TWS has lost IBKR: stop sending, go on listening, tell once."""
    RESTORED = auto()
    """TWS has IBKR again: reconcile fully, then send."""
    ID_IN_USE = auto()
    """Somebody else holds the client id: wait, then the spare one."""
    RECONNECT = auto()
    """The socket is worth nothing any more."""
    FARM_BROKEN = auto()
    """A data service is away; orders may still work."""
    FARM_OK = auto()
    """A data service works."""


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one code: its meaning, what follows, and what a person can do about it."""

    code: int
    action: Action
    meaning: str
    remedy: str = ""


A = Action
_PRECAUTION = "tick 'Bypass Order Precautions for API Orders' in TWS, or lower max_order_notional"
_GOES_ON = "sending goes on by itself; if it lasts, look at the network and the login of TWS"
_FARM = "orders go on, prices or contracts may be missing; if it lasts, restart TWS"
_IN_USE = (
    "end the other program, or write another client_id; under the spare one, orders of before can be "
    "cancelled in TWS only"
)
_INVALID = {
    106: "the order cannot be transmitted", 107: "the order is incomplete", 109: "the price is out of range",
    111: "time in force and order type do not go together",
    113: "an order at the close must be good for the day", 116: "the exchange takes no orders",
    132: "a clearing account is needed", 133: "submitting the new order failed",
    134: "the modification failed", 151: "a user name is needed", 152: "the order may not be hidden",
    153: "an exchange for physical must be a limit order",
    154: "orders cannot be transmitted for a halted security", 155: "a user name and an account are needed",
    156: "such an order goes to one exchange only",
    157: "an order is either iceberg or discretionary", 158: "an offset is missing",
    159: "a percentage is not between 0 and 100", 160: "the size is zero",
    164: "there is no market data to check the price by", 167: "the time of a VWAP order is past",
    168: "the discretionary amount is not on the contract's tick",
}  # fmt: skip
_HISTORY = {
    162: "the historical data service says something", 165: "the historical data service was asked",
    166: "historical data of an expired contract",
}  # fmt: skip
_ROWS = (
    Row(100, A.TOO_FAST, "more messages a second than TWS allows", "lower messages_per_s"),
    Row(103, A.DUPLICATE_ID, "the order id was used before"),
    Row(104, A.NOT_CHANGED, "a filled order cannot be changed"),
    Row(105, A.NOT_CHANGED, "the change does not match the order it is about"),
    *(Row(code, A.REFUSED, meaning) for code, meaning in _INVALID.items()),
    *(Row(code, A.QUESTION, meaning) for code, meaning in _HISTORY.items()),
    Row(131, A.NOTE, "sweep-to-fill and display size are ignored"),
    Row(135, A.CANCEL_REFUSED, "no order has this id"),
    Row(136, A.CANCEL_REFUSED, "this order cannot be cancelled"),
    Row(137, A.CANCEL_REFUSED, "it is too late to cancel a VWAP order"),
    Row(110, A.REFUSED, "the price is not on the contract's tick", "check the instrument's tick_size"),
    Row(161, A.CANCEL_REFUSED, "the order cannot be cancelled as it stands"),
    Row(163, A.ASK, "the price is too far from the market for a precaution of TWS", _PRECAUTION),
    Row(200, A.BARRED, "no contract fits, or several do", "write the contract's con_id or primary_exchange"),
    Row(201, A.REFUSED, "the order was rejected"),
    Row(202, A.CANCELLED, "the order was cancelled"),
    Row(203, A.BARRED, "the security is not available to this account", "see the account's permissions"),
    Row(320, A.QUESTION, "TWS could not read the message"),
    Row(321, A.REFUSED, "TWS found the message invalid", "if it says Read-Only, untick Read-Only API in TWS"),
    Row(322, A.QUESTION, "TWS could not carry the message out, or has too many of its kind"),
    Row(326, A.ID_IN_USE, "the client id is in use", _IN_USE),
    Row(329, A.NOT_CHANGED, "the change was refused; the original order lives"),
    Row(354, A.PRICES, "no market data subscription", "subscribe, or allow delayed = true"),
    Row(382, A.ASK, "the size is above a precaution of TWS", _PRECAUTION),
    Row(383, A.ASK, "the size is above a limit set in TWS", _PRECAUTION),
    Row(399, A.NOTE, "TWS says something about the order"),
    Row(404, A.HELD, "the shares for a short sale are still being located"),
    Row(434, A.REFUSED, "the size is zero"),
    Row(435, A.REFUSED, "the account must be named", "write the account's code in accounts"),
    Row(451, A.ASK, "the value is above a precaution of TWS", _PRECAUTION),
    Row(460, A.BARRED, "the account may not trade this", "see the account's trading permissions"),
    Row(502, A.RECONNECT, "TWS cannot be reached", "start it and enable socket clients"),
    Row(504, A.RECONNECT, "not connected"),
    Row(507, A.RECONNECT, "the socket was closed", "see that no other program uses the client id"),
    Row(1100, A.CUT_OFF, "TWS has lost its connection to IBKR", _GOES_ON),
    Row(1101, A.RESTORED, "TWS has IBKR again; subscriptions are lost"),
    Row(1102, A.RESTORED, "TWS has IBKR again; subscriptions are kept"),
    Row(1300, A.RECONNECT, "TWS listens on another port now"),
    Row(2100, A.NOTE, "account data goes to another client"),
    Row(2103, A.FARM_BROKEN, "a market data service is away", _FARM),
    Row(2104, A.FARM_OK, "a market data service works"),
    Row(2105, A.FARM_BROKEN, "a historical data service is away", _FARM),
    Row(2106, A.FARM_OK, "a historical data service works"),
    Row(2107, A.NOTE, "a historical data service is idle"),
    Row(2108, A.NOTE, "a market data service is idle"),
    Row(2109, A.NOTE, "the order's outside-of-hours attribute is ignored"),
    Row(2110, A.CUT_OFF, "TWS has lost its server and will connect again", _GOES_ON),
    Row(2119, A.NOTE, "a market data service is being connected"),
    Row(2148, A.NOTE, "an attribute of the order is ignored"),
    Row(2157, A.FARM_BROKEN, "the security definitions are away", _FARM),
    Row(2158, A.FARM_OK, "the security definitions work"),
    Row(2161, A.NOTE, "TWS explains the order's price"),
    Row(2168, A.NOTE, "an attribute of the order will be ignored"),
    Row(2169, A.NOTE, "an attribute of the order will be required"),
    Row(2174, A.NOTE, "a time was sent without its zone"),
    Row(10147, A.CANCEL_REFUSED, "the order to cancel is not known"),
    Row(10148, A.CANCEL_REFUSED, "the order cannot be cancelled in its state"),
    Row(10149, A.CANCEL_REFUSED, "the order was made elsewhere", "cancel it where it was made"),
    Row(10167, A.PRICES, "prices are delayed", "allow delayed = true"),
    Row(10168, A.PRICES, "no market data subscription, and delayed prices are off", "allow delayed = true"),
    Row(10197, A.PRICES, "another session gets the market data", "log the other session out"),
    Row(10243, A.WHOLE_SHARES, "fractions cannot be traded over this interface", "set fractional = false"),
    Row(10268, A.REFUSED, "an attribute of the order is not supported"),
    Row(10274, A.REFUSED, "an attribute of the order is not supported"),
    Row(10311, A.ASK, "the order was routed directly, which a precaution of TWS holds", _PRECAUTION),
    Row(10329, A.ASK, "a preset of TWS restricts the order", "see the order presets of TWS"),
    Row(10349, A.NOTE, "a preset of TWS has set the time in force; the order lives"),
)
REFUSALS = frozenset({A.REFUSED, A.BARRED, A.WHOLE_SHARES, A.DUPLICATE_ID, A.NOT_CHANGED})
"""What says that a new order was not taken."""
ALERTED = frozenset({A.TOO_FAST, A.FARM_BROKEN, A.ID_IN_USE})
"""What a person is told of, though it is about no order and the link may stay up."""
SOCKET_RESET = 1300
DELAYED = 10167
TABLE = {row.code: row for row in _ROWS}
UNKNOWN = Row(0, Action.ASK, "a code nobody here knows", "report it")


def row_of(code: int) -> Row:
    """Return a code's row; a code nobody knows ends nothing."""
    return TABLE.get(code, UNKNOWN)


def ends_question(code: int) -> bool:
    """Say whether an error with a question's number is its end, and not a remark on its way."""
    return code != DELAYED and row_of(code).action not in (Action.NOTE, Action.HELD)


def words(code: int, text: str) -> str:
    """Say what TWS said, with our remedy where there is one."""
    row = row_of(code)
    said = " ".join(text.split())[:300] or row.meaning
    return f"{code}: {said}" + (f" ({row.remedy})" if row.remedy else "")
