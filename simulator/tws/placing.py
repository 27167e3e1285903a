"""An order as clients write it: message 3, whose fields depend on the server version.

Rules of this room:
1. Every field is read in its place, also those that change nothing here: one too many or too few is an error.
2. What is read is what the client said; whether it may be is judged in `entry`.
3. What would change when an order fills, or how much of it, and is not served here is named in `unserved`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from simulator.orders import ZERO
from simulator.tws.fields import INT_MAX, Reader
from simulator.tws.frames import Value

PLACE = 3
WITH_DURATION, WITH_ATS, WITH_AUTO_CANCEL, WITH_OVERRIDE = 158, 160, 162, 166
WITH_MANUAL_TIME, WITH_PEG_BEST, WITHOUT_FA_PROFILE = 169, 170, 177
_COMBO_LEG, _NEUTRAL, _NEUTRAL_CONTRACT, _SCALE, _PEG_BENCH = 8, 8, 3, 7, 5
_CONDITIONS = {1: 6, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5}
"""How many fields an order condition of each type has, its type besides."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A contract as a client names it: the 12 fields it has wherever a client sends one."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    last_trade_date: str = ""
    strike: str = ""
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """What an order says; prices and quantity None when unset."""

    order_id: int
    contract: Asked
    action: str
    qty: Decimal
    order_type: str
    lmt_price: Decimal | None
    aux_price: Decimal | None
    tif: str
    oca_group: str = ""
    account: str = ""
    open_close: str = ""
    origin: int = 0
    order_ref: str = ""
    transmit: bool = True
    parent_id: int = 0
    display_size: int = 0
    outside_rth: bool = False
    good_after_time: str = ""
    good_till_date: str = ""
    model_code: str = ""
    oca_type: int = 0
    algo_strategy: str = ""
    what_if: bool = False
    cash_qty: Decimal | None = None
    override: str = ""
    unserved: str = ""
    echo: Mapping[str, Value] = field(default_factory=dict)
    """What changes nothing here and comes back in openOrder as the client wrote it, by its name."""

    @property
    def is_buy(self) -> bool:
        """Say whether it buys."""
        return self.action == "BUY"

    def of(self, account: str) -> Placed:
        """Return the same for an account."""
        return replace(self, account=account)


def read_asked(reader: Reader) -> Asked:
    """Read the 12 fields of a contract."""
    return Asked(reader.integer(), *reader.texts(11))


class _Walk:
    """Read one placeOrder part by part; `unserved` names the first attribute nobody here serves."""

    def __init__(self, fields: Sequence[str], version: int) -> None:
        self.reader = Reader(fields, 1)
        self.version = version
        self.unserved = ""
        self.echo: dict[str, Value] = {}

    def note(self, name: str, said: object) -> None:
        """Note an attribute that is set and not served."""
        if said and not self.unserved:
            self.unserved = name

    def texts(self, *names: str) -> None:
        """Read texts that come back as they are."""
        self.echo |= {name: self.reader.text() for name in names}

    def flags(self, *names: str) -> None:
        """Read booleans that come back as they are."""
        self.echo |= {name: self.reader.flag() for name in names}

    def numbers(self, *names: str) -> None:
        """Read whole numbers that come back as they are; unset ones do not."""
        said = {name: self.reader.integer(INT_MAX) for name in names}
        self.echo |= {name: number for name, number in said.items() if number != INT_MAX}


def read_placed(fields: Sequence[str], version: int) -> Placed:
    """Read a placeOrder message; raises `Unreadable`."""
    walk = _Walk(fields, version)
    reader = walk.reader
    order_id, contract = reader.integer(), read_asked(reader)
    reader.skip(2)
    action, qty, order_type = reader.text(), reader.decimal(), reader.text()
    lmt_price, aux_price, tif = reader.decimal(), reader.decimal(), reader.text()
    oca_group, account, open_close, origin = reader.text(), reader.text(), reader.text(), reader.integer()
    order_ref, transmit, parent_id = reader.text(), reader.flag(), reader.integer()
    walk.flags("block", "sweep")
    display_size = reader.integer()
    walk.numbers("trigger")
    outside_rth = reader.flag()
    walk.flags("hidden")
    if contract.sec_type == "BAG":
        _skip_combo(reader)
    reader.skip(1)
    walk.note("discretionaryAmt", reader.decimal())
    good_after_time, good_till_date = reader.text(), reader.text()
    walk.note("goodAfterTime", good_after_time)
    walk.texts("fa_group", "fa_method", "fa_percentage")
    reader.skip(version < WITHOUT_FA_PROFILE)
    model_code = reader.text()
    walk.numbers("short_slot")
    walk.texts("location")
    walk.numbers("exempt")
    oca_type = reader.integer()
    _read_exotic(walk)
    algo_strategy = _read_hedge_and_algo(walk)
    what_if = reader.flag()
    reader.skip(1)
    walk.flags("solicited", "random_size", "random_price")
    cash_qty = _read_tail(walk, order_type)
    override = _read_versions(walk, contract, order_type)
    return Placed(
        order_id, contract, action, ZERO if qty is None else qty, order_type, lmt_price, aux_price, tif,
        oca_group, account, open_close, origin, order_ref, transmit, parent_id, display_size, outside_rth,
        good_after_time, good_till_date, model_code, oca_type, algo_strategy, what_if, cash_qty, override,
        walk.unserved, walk.echo,
    )  # fmt: skip


def _skip_combo(reader: Reader) -> None:
    reader.skip(_COMBO_LEG * reader.count())
    reader.skip(reader.count())
    reader.skip(2 * reader.count())


def _read_exotic(walk: _Walk) -> None:
    """Read rule 80A to the scale: what a plain order leaves empty."""
    reader = walk.reader
    walk.texts("rule_80a", "settling_firm")
    walk.note("allOrNone", reader.flag())
    walk.note("minQty", reader.integer(INT_MAX) not in (0, INT_MAX))
    reader.skip(13)
    neutral = reader.text()
    walk.note("deltaNeutralOrderType", neutral not in ("", "None"))
    reader.skip(1 + _NEUTRAL if neutral else 1)
    reader.skip(4)
    walk.note("scaleInitLevelSize", reader.integer(INT_MAX) != INT_MAX)
    reader.skip(1)
    increment = reader.decimal()
    walk.note("scalePriceIncrement", increment)
    if increment is not None and increment > ZERO:
        reader.skip(_SCALE)
    reader.skip(3)


def _read_hedge_and_algo(walk: _Walk) -> str:
    reader = walk.reader
    hedge = reader.text()
    walk.note("hedgeType", hedge)
    if hedge:
        reader.skip(1)
    walk.flags("opt_out")
    walk.texts("clearing_account", "clearing_intent")
    walk.flags("not_held")
    if reader.flag():
        reader.skip(_NEUTRAL_CONTRACT)
    algo_strategy = reader.text()
    if algo_strategy:
        walk.texts(*(f"algo {at}" for at in range(2 * reader.count())))
    reader.skip(1)
    return algo_strategy


def _read_tail(walk: _Walk, order_type: str) -> Decimal | None:
    """Read what pegged, conditional and adjusted orders say; return cashQty."""
    reader = walk.reader
    if order_type == "PEG BENCH":
        reader.skip(_PEG_BENCH)
    conditions = reader.count()
    walk.note("conditions", conditions)
    for _ in range(conditions):
        reader.skip(_CONDITIONS.get(reader.integer(), 0))
    if conditions:
        reader.skip(2)
    walk.note("adjustedOrderType", reader.text() not in ("", "None"))
    reader.skip(7)
    walk.texts("soft_dollar", "soft_dollar_value")
    cash_qty = reader.decimal()
    reader.skip(4 + 1)
    walk.flags("oms", "up_to_limit")
    walk.numbers("price_mgmt")
    return cash_qty


def _read_versions(walk: _Walk, contract: Asked, order_type: str) -> str:
    """Read what later versions added; return advancedErrorOverride."""
    reader, version, override = walk.reader, walk.version, ""
    if version >= WITH_DURATION:
        walk.numbers("duration")
    if version >= WITH_ATS:
        walk.numbers("ats")
    if version >= WITH_AUTO_CANCEL:
        walk.flags("cancels_parent")
    if version >= WITH_OVERRIDE:
        override = reader.text()
    if version >= WITH_MANUAL_TIME:
        reader.skip(1)
    if version >= WITH_PEG_BEST:
        if contract.exchange == "IBKRATS":
            reader.skip(1)
        if order_type in ("PEG BEST", "PEG MID"):
            reader.skip(reader.left)
    reader.end()
    return override
