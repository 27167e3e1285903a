"""An order as TWS shows it: openOrder(5) and completedOrder(101), field by field.

Rules of this room:
1. The delta-neutral type is the text None and its block is there, as the real gateway has it: 128, 130, 131,
   136 and 135 fields at 157, 160, 162, 170 and 177; a completed order has 96, 101 and 100 at 157, 170
   and 177.
2. Margins are the unset number unless the order is a what-if.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from simulator.tws.answers import Said, contract_fields, or_zero
from simulator.tws.fields import INT_MAX, UNSET_DOUBLE
from simulator.tws.frames import Value
from simulator.tws.placing import WITH_ATS, WITH_AUTO_CANCEL, WITH_PEG_BEST, WITHOUT_FA_PROFILE, Placed
from simulator.tws.tickets import Shown, Ticket

WITH_DURATION = 159
"""Clients read it from here on; 158 itself is never spoken."""
_NEUTRAL_OPEN: Said = ["None", "", 0, "", "", "", "?", False, 0, ""]
_NEUTRAL_DONE: Said = ["None", "", 0, False, 0, ""]
_PEG: Said = ["", "", "", "", ""]
NO_PARENT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Margin:
    """What an order would do: initial and maintenance margin and equity, before and after; commission."""

    before: tuple[Decimal, Decimal, Decimal]
    after: tuple[Decimal, Decimal, Decimal]
    commission: Decimal
    currency: str
    warning: str = ""

    def fields(self) -> Said:
        """Return the nine margin texts, the commission, its least and most, its currency and the warning."""
        change = [after - before for before, after in zip(self.before, self.after, strict=True)]
        return [*self.before, *change, *self.after, self.commission, UNSET_DOUBLE, UNSET_DOUBLE,
                self.currency, self.warning]  # fmt: skip


_NO_MARGIN: Said = [*[UNSET_DOUBLE] * 12, "", ""]


def open_order(version: int, ticket: Ticket, shown: Shown, margin: Margin | None = None) -> Said:
    """openOrder(5)."""
    placed, wanted, echo = ticket.placed, ticket.order, ticket.placed.echo.get
    said: Said = [5, ticket.order_id, *contract_fields(ticket.contract), placed.action, wanted.order_qty]
    said += [placed.order_type, or_zero(wanted.price), or_zero(placed.aux_price), placed.tif or "DAY",
             placed.oca_group, placed.account, placed.open_close, placed.origin, placed.order_ref,
             ticket.client_id, ticket.perm_id, placed.outside_rth, echo("hidden", 0), "0.0",
             placed.good_after_time, ""]  # fmt: skip
    said += _group(version, placed)
    said += [placed.model_code, placed.good_till_date, echo("rule_80a"), "", echo("settling_firm"),
             echo("short_slot", 0), echo("location"), echo("exempt", -1), 0, "", "", "", "", "",
             placed.display_size or INT_MAX, echo("block", 0), echo("sweep", 0), False, "",
             _oca_type(placed), False, False, "", 0 if ticket.parent is None else ticket.parent.order_id,
             echo("trigger", 0), "", 0, *_NEUTRAL_OPEN]  # fmt: skip
    said += [False, 0, "", "", "", "", "", 0, 0, 0, "", "", "", "", echo("opt_out", 0),
             echo("clearing_account"), echo("clearing_intent") or "IB", echo("not_held", 0),
             False]  # fmt: skip
    said += _algo(placed)
    said += [echo("solicited", 0), placed.what_if, shown.status]
    said += _NO_MARGIN if margin is None else margin.fields()
    said += [echo("random_size", 0), echo("random_price", 0), 0, "None", UNSET_DOUBLE, "",
             UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, 0, echo("soft_dollar"),
             echo("soft_dollar_value"), "", or_zero(placed.cash_qty), True, echo("oms", 0),
             echo("up_to_limit", 0), echo("price_mgmt", 0)]  # fmt: skip
    said += [echo("duration")] * (version >= WITH_DURATION) + [echo("ats")] * (version >= WITH_ATS)
    said += [echo("cancels_parent", 0)] * (version >= WITH_AUTO_CANCEL)
    return said + (_PEG if version >= WITH_PEG_BEST else [])


def completed_order(version: int, ticket: Ticket, completed_at: str) -> Said:
    """completedOrder(101)."""
    placed, order = ticket.placed, ticket.order
    filled: Value = order.cum_qty
    said: Said = [101, *contract_fields(ticket.contract), placed.action, 0, placed.order_type]
    said += [or_zero(order.price), or_zero(placed.aux_price), placed.tif or "DAY", placed.oca_group,
             placed.account, placed.open_close, placed.origin, placed.order_ref, ticket.perm_id,
             placed.outside_rth, False, "0.0", placed.good_after_time]  # fmt: skip
    said += _group(version, placed)
    said += [placed.model_code, placed.good_till_date, "", "", "", 0, "", -1, "", "", "", "", "",
             placed.display_size or INT_MAX, False, False, "", _oca_type(placed), 0, "", 0,
             *_NEUTRAL_DONE]  # fmt: skip
    said += [False, 0, "", "", "", 0, 0, 0, "", "", "", "", "", "IB", False, False]
    said += _algo(placed)
    said += [False, ticket.status, False, False, 0]
    said += ["", "", or_zero(placed.cash_qty), True, False, "", filled, 0, False, "", False, False, NO_PARENT,
             completed_at, _why(ticket)]  # fmt: skip
    return said + (_PEG if version >= WITH_PEG_BEST else [])


def _group(version: int, placed: Placed) -> Said:
    """faGroup, faMethod, faPercentage and, before 177, faProfile."""
    said = [placed.echo.get(name) for name in ("fa_group", "fa_method", "fa_percentage")]
    return said if version >= WITHOUT_FA_PROFILE else [*said, ""]


def _oca_type(placed: Placed) -> int:
    return placed.oca_type or 3


def _algo(placed: Placed) -> Said:
    if not placed.algo_strategy:
        return [""]
    said = [value for name, value in placed.echo.items() if name.startswith("algo ")]
    return [placed.algo_strategy, len(said) // 2, *said]


def _why(ticket: Ticket) -> str:
    if ticket.order.leaves_qty == 0 and ticket.order.ended is None:
        return f"Filled Size: {ticket.order.cum_qty:f}"
    return ticket.why or "Cancelled"
