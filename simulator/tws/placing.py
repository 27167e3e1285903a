"""An order as clients write it: message 3, whose fields depend on the server version.

Rules of this room:
1. Every field is read in its place, also those that change nothing here: one too many or too few is an error.
2. What is read is what the client said; whether it may be is judged in `entry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from simulator.orders import ZERO
from simulator.tws.fields import Reader

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


def read_placed(fields: Sequence[str], version: int) -> Placed:
    """Read a placeOrder message; raises `Unreadable`."""
    reader = Reader(fields, 1)
    order_id, contract = reader.integer(), read_asked(reader)
    reader.skip(2)
    action, qty, order_type = reader.text(), reader.decimal(), reader.text()
    lmt_price, aux_price, tif = reader.decimal(), reader.decimal(), reader.text()
    oca_group, account, open_close, origin = reader.text(), reader.text(), reader.text(), reader.integer()
    order_ref, transmit, parent_id = reader.text(), reader.flag(), reader.integer()
    reader.skip(2)
    display_size = reader.integer()
    reader.skip(1)
    outside_rth = reader.flag()
    reader.skip(1)
    if contract.sec_type == "BAG":
        _skip_combo(reader)
    reader.skip(2)
    good_after_time, good_till_date = reader.text(), reader.text()
    reader.skip(3 if version >= WITHOUT_FA_PROFILE else 4)
    model_code = reader.text()
    reader.skip(3)
    oca_type = reader.integer()
    _skip_exotic(reader)
    algo_strategy = _skip_hedge_and_algo(reader)
    what_if = reader.flag()
    reader.skip(4)
    cash_qty = _read_tail(reader, order_type)
    override = _read_versions(reader, version, contract, order_type)
    return Placed(
        order_id, contract, action, ZERO if qty is None else qty, order_type, lmt_price, aux_price, tif,
        oca_group, account, open_close, origin, order_ref, transmit, parent_id, display_size, outside_rth,
        good_after_time, good_till_date, model_code, oca_type, algo_strategy, what_if, cash_qty, override,
    )  # fmt: skip


def _skip_combo(reader: Reader) -> None:
    reader.skip(_COMBO_LEG * reader.count())
    reader.skip(reader.count())
    reader.skip(2 * reader.count())


def _skip_exotic(reader: Reader) -> None:
    """Pass rule 80A to the scale: what a plain order leaves empty."""
    reader.skip(17)
    if reader.text():
        reader.skip(1 + _NEUTRAL)
    else:
        reader.skip(1)
    reader.skip(4 + 2)
    increment = reader.decimal()
    if increment is not None and increment > ZERO:
        reader.skip(_SCALE)
    reader.skip(3)


def _skip_hedge_and_algo(reader: Reader) -> str:
    if reader.text():
        reader.skip(1)
    reader.skip(4)
    if reader.flag():
        reader.skip(_NEUTRAL_CONTRACT)
    algo_strategy = reader.text()
    if algo_strategy:
        reader.skip(2 * reader.count())
    reader.skip(1)
    return algo_strategy


def _read_tail(reader: Reader, order_type: str) -> Decimal | None:
    """Pass what pegged, conditional and adjusted orders say; return cashQty."""
    if order_type == "PEG BENCH":
        reader.skip(_PEG_BENCH)
    conditions = reader.count()
    for _ in range(conditions):
        reader.skip(_CONDITIONS.get(reader.integer(), 0))
    if conditions:
        reader.skip(2)
    reader.skip(10)
    cash_qty = reader.decimal()
    reader.skip(4 + 4)
    return cash_qty


def _read_versions(reader: Reader, version: int, contract: Asked, order_type: str) -> str:
    """Read what later versions added; return advancedErrorOverride."""
    override = ""
    reader.skip((version >= WITH_DURATION) + (version >= WITH_ATS) + (version >= WITH_AUTO_CANCEL))
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
