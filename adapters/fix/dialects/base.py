"""What may differ from venue to venue: the table, its configuration keys, and a table with its keys settled.

Rules of this room:
1. A `Dialect` is one venue's table of differences; it is data, with two small functions where data is
   not enough: what to say of an order, and which symbol of ours a report names.
2. A `Key` is something a user sets in `[links.NAME.venue]`. An open key stands for a fact that could
   not be established: its default is our best reading, and it is not certified until the user says so
   in `certified = [...]` of the same section.
3. A mistake is a `DialectError`: one sentence that names the key and what may be written.
4. A venue's name stands in this folder, in `fix_specs/` and in `config/`; nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from gateway.domain.order import OrderSpec

Value = str | bool | int | Decimal | dict[str, str]
Entries = tuple[tuple[tuple[str, str], ...], ...]
"""The entries of a repeating group: tag and value pairs, the group's first tag first."""

Field = str | Entries
Fields = Mapping[str, str]
EACH_LOGON, EACH_WEEK, AS_CONFIGURED = "logon", "week", "link"
CERTIFIED = "certified"
CASH_ORDER_QTY = "152"


class DialectError(ValueError):
    """A venue's settings cannot be used; the text names the key and what to write."""


class Unsendable(Exception):
    """A value may not go on the wire; the text says which tag and why."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting of a venue.

    `is_open` says that its true value is not known, only assumed; `is_required` that no order can
    be sent before it is written.
    """

    name: str
    default: Value
    about: str
    is_open: bool = False
    choices: tuple[str, ...] = ()
    is_required: bool = False

    def read(self, given: Any) -> Value:
        """Return a value as written by a user in the key's own type; raises `DialectError`."""
        try:
            value = _READERS[type(self.default)](given)
        except (TypeError, ValueError, InvalidOperation):
            kind = _KINDS[type(self.default)]
            raise DialectError(f"{self.name}: write {kind}: {self.about}") from None
        if self.choices and value not in self.choices:
            raise DialectError(f"{self.name}: write one of {', '.join(self.choices)}")
        return value


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError
    return given


def _switch(given: Any) -> bool:
    words = {"true": True, "false": False, True: True, False: False}
    found = words.get(given.lower() if isinstance(given, str) else given)
    if found is None:
        raise ValueError
    return found


def _whole(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, (str, int)) or int(given) < 0:
        raise ValueError
    return int(given)


def _number(given: Any) -> Decimal:
    number = Decimal(str(given))
    if isinstance(given, bool) or not number.is_finite() or number < 0:
        raise ValueError
    return number


def _table(given: Any) -> dict[str, str]:
    if not isinstance(given, dict) or not all(isinstance(one, str) for one in given.values()):
        raise TypeError
    return dict(given)


_READERS: dict[type, Callable[[Any], Value]] = {
    str: _text, bool: _switch, int: _whole, Decimal: _number, dict: _table,
}  # fmt: skip
_KINDS: dict[type, str] = {
    str: "a text", bool: "true or false", int: "a whole number", Decimal: "a number",
    dict: "a table of texts",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dialect:
    """One venue's differences.

    `sends` holds, per MsgType(35), the tags of the body we build; `reads` those we look at. `reset`
    says when both sides begin at number 1 (ResetSeqNumFlag(141)): at each logon, at the first logon of
    a week, or as the link is configured. `groups` are repeating groups on the wire: the counting tag,
    the first tag of an entry, its other tags; `received_groups` those of the venue's messages that the
    standard does not have, by MsgType(35). `heartbeat_s`, `most_resets` (how often 141=Y may be tried),
    `connects_per_minute` and `orders_per_s` are 0 where the venue leaves them free. `replays` says whether
    executions that happened while we were away come again after logon. `ord_types` are the venue's words
    for ours, empty where FIX's own are used. `header` gives what an order, its cancel and its replacement
    say in the header; `fault` says what of a user's settings cannot work together.
    With `is_tolerant`, a report may lack LastQty(32) and LastPx(31), and OrderID(37) names its order
    when ClOrdID(11) does not. `system_cancel_tag` marks, on OrdStatus(39)=4, a cancel that was not ours.
    `cost_tags` state, in money, what an execution costs besides Commission(12).
    """

    name: str
    title: str
    begin_strings: tuple[str, ...]
    sends: Mapping[str, tuple[str, ...]]
    reads: Mapping[str, tuple[str, ...]]
    values: Callable[[OrderSpec, Venue], dict[str, Field | None]]
    symbol_of: Callable[[Fields, Venue], str]
    keys: tuple[Key, ...] = ()
    header: Callable[[OrderSpec, Venue], dict[str, str]] = lambda _spec, _venue: {}
    fault: Callable[[Venue], str] = lambda _venue: ""
    fixed: Mapping[str, str] = field(default_factory=dict)
    ord_types: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[tuple[int, ...], ...] = ()
    received_groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    credentials: Literal["optional", "required", "never"] = "optional"
    reset: Literal["logon", "week", "link"] = "link"
    heartbeat_s: int = 0
    most_resets: int = 0
    connects_per_minute: int = 0
    orders_per_s: float = 0.0
    look_up: Literal["H", "AF", ""] = "H"
    asks_account: bool = False
    replays: bool = True
    is_tolerant: bool = True
    system_cancel_tag: str = ""
    cost_tags: tuple[str, ...] = ()
    fx_only: bool = False

    @property
    def takes_cash(self) -> bool:
        """Say whether an order may be of an amount of money, CashOrderQty(152)."""
        return CASH_ORDER_QTY in self.sends["D"]


@dataclass(frozen=True, slots=True)
class Venue:
    """A dialect with its keys settled for one link."""

    dialect: Dialect
    settings: Mapping[str, Value] = field(default_factory=dict)
    certified: frozenset[str] = frozenset()

    def text(self, key: str) -> str:
        """Return a key's text, empty when the dialect has no such key."""
        value = self.settings.get(key, "")
        return value if isinstance(value, str) else ""

    def is_on(self, key: str, *, otherwise: bool = False) -> bool:
        """Return a switch, or `otherwise` when the dialect has no such key."""
        return bool(self.settings.get(key, otherwise))

    def number(self, key: str) -> Decimal:
        """Return a number, 0 when the dialect has no such key."""
        value = self.settings.get(key, 0)
        return Decimal(value) if isinstance(value, (int, Decimal)) else Decimal(0)

    def table(self, key: str) -> dict[str, str]:
        """Return a table, empty when the dialect has no such key."""
        value = self.settings.get(key, {})
        return value if isinstance(value, dict) else {}

    @property
    def begin_string(self) -> str:
        """BeginString(8): the configured generation, or the dialect's own."""
        return self.text("begin_string") or self.dialect.begin_strings[0]

    @property
    def look_up(self) -> str:
        """Return the MsgType(35) that asks for an order, empty when the venue has none."""
        return "H" if self.text("order_status") == "H" else self.dialect.look_up

    @property
    def unwritten(self) -> tuple[str, ...]:
        """Name the keys without which no order can be sent and which nobody has written."""
        return tuple(key.name for key in self.dialect.keys if key.is_required and not self.settings[key.name])

    @property
    def uncertified(self) -> tuple[str, ...]:
        """Name the open keys that nobody has certified with the venue yet."""
        open_keys = (key.name for key in self.dialect.keys if key.is_open)
        return tuple(name for name in open_keys if name not in self.certified)


def settle(dialect: Dialect, given: Mapping[str, Any]) -> Venue:
    """Check what a user wrote in `[links.NAME.venue]`; raises `DialectError`."""
    known = {key.name: key for key in dialect.keys}
    for name in given:
        if name not in known and name != CERTIFIED:
            names = ", ".join(sorted([*known, CERTIFIED])) if known else "none"
            raise DialectError(f"{name}: the {dialect.name} dialect has no such key; known: {names}")
    settings = {name: key.read(given.get(name, key.default)) for name, key in known.items()}
    venue = Venue(dialect, settings, _certified(dialect, given.get(CERTIFIED, [])))
    theirs = list(venue.table("symbols").values())
    if len(theirs) != len(set(theirs)):
        raise DialectError("symbols: two of our symbols have the same name at the venue")
    if any(not (tag.isascii() and tag.isdigit()) for tag in venue.table("extra_tags")):
        raise DialectError("extra_tags: write tag numbers and their values")
    if problem := dialect.fault(venue):
        raise DialectError(problem)
    return venue


def _certified(dialect: Dialect, given: Any) -> frozenset[str]:
    names = given.split(",") if isinstance(given, str) else given
    open_keys = {key.name for key in dialect.keys if key.is_open}
    if not isinstance(names, (list, tuple)) or not {*names} <= open_keys:
        known = ", ".join(sorted(open_keys)) or "none"
        raise DialectError(f"{CERTIFIED}: write a list of open keys: {known}")
    return frozenset(names)


COMMON_KEYS = (
    Key("accounts", {}, "our account name to the venue's; a name not listed is sent as it is"),
    Key("symbols", {}, "our symbol to the venue's, where the two differ"),
    Key("durations", {}, 'TimeInForce(59) values allowed per order type, e.g. LIMIT = "01"', is_open=True),
    Key("quantity_step", Decimal(0), "OrderQty(38) must be a multiple of it; 0 checks nothing", is_open=True),
    Key("orders_per_s", Decimal(0), "the venue's own limit; 0 leaves the link's", is_open=True),
    Key(
        "poss_resend",
        default=True,
        about="the venue answers PossResend(97)=Y with the first order",
        is_open=True,
    ),
    Key(
        "cl_ord_id_window",
        "session",
        "how long a ClOrdID(11) may not come again; ours never do",
        is_open=True,
    ),
    Key("clock_tolerance_s", 120, "how far SendingTime(52) may be off; for the record", is_open=True),
    Key("maintenance", "", "when nobody may be logged on, e.g. 21:00-21:30 or Sat 22:00-02:00", is_open=True),
    Key("maintenance_zone", "UTC", "the time zone of maintenance"),
    Key(
        "maintenance_resets",
        default=False,
        about="numbers begin again at 1 behind the maintenance window",
        is_open=True,
    ),
    Key("reject_texts", {}, "OrdRejReason(103) to a text for people", is_open=True),
)


FILL_EXEC_TYPES = Key("fill_exec_types", "F12", "ExecType(150) values that are executions", is_open=True)
"""Of every venue whose own words on it could not be read."""


def keys_with(*own: Key) -> tuple[Key, ...]:
    """Return the common keys, each replaced by the dialect's own of that name, and the rest of its own."""
    names = {key.name for key in own}
    return (*own, *(key for key in COMMON_KEYS if key.name not in names))


def account_of(spec: OrderSpec, venue: Venue) -> str:
    """Return the venue's name of the order's account."""
    return venue.table("accounts").get(spec.account, spec.account)


def our_account(theirs: str, venue: Venue) -> str:
    """Return our name of a venue's account."""
    for ours, name in venue.table("accounts").items():
        if name == theirs:
            return ours
    return theirs


def symbol_at(spec: OrderSpec, venue: Venue) -> str:
    """Return the venue's name of the order's symbol."""
    return venue.table("symbols").get(spec.symbol, spec.symbol)


def our_symbol(theirs: str, venue: Venue) -> str:
    """Return our name of a venue's symbol."""
    for ours, name in venue.table("symbols").items():
        if name == theirs:
            return ours
    return theirs


def is_pair(symbol: str) -> bool:
    """Say whether a symbol is a currency pair, as in EUR/USD."""
    base, slash, quote = symbol.partition("/")
    return bool(slash) and all(len(one) == 3 and one.isascii() and one.isupper() for one in (base, quote))  # noqa: PLR2004
