"""From what is known of an order to the reports the gateway gets. Pure.

Rules of this room:
1. A changed quantity first, or its executions would over-fill; then executions, each once, in the order they
   came; then how the order stands. What TWS counts and what was told execution by execution must agree, or
   the executions are asked for before anything is said.
2. A correction names the execution it replaces. Where the first word of that execution is not known here (a
   new process), it is said once more as it stands now: whoever knows it takes no notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from adapters.ibkr.known import Deal, Known, Life
from adapters.ibkr.outcomes import About, Ask, Notice, Outcome, Owed, Told
from adapters.ibkr.said import CommissionSaid
from adapters.ibkr.settings import Terms
from adapters.ibkr.wire import execution_names
from gateway.domain.order import ZERO, ExecType, OrdStatus, Report

FIRST = "01"


def is_answered(found: Known, about: About) -> bool:
    """Say whether what a question is about has come by itself."""
    match about:
        case About.ALL:
            return False
        case About.FEE:
            return not found.lacks_fee
        case About.END:
            return found.life is Life.OVER
        case About.COUNT:
            return found.filled <= found.dealt


def costs(found: Known, deal: Deal, message: CommissionSaid, terms: Mapping[str, Terms]) -> list[Outcome]:
    """Take what an execution cost; say where that is not in the currency it is booked in."""
    deal.commission = message.commission
    booked = terms[found.symbol].currency if found.symbol in terms else ""
    if not message.commission or not booked or message.currency in ("", booked):
        return []
    text = f"{found.symbol}: commissions come in {message.currency} and are booked as {booked}"
    return [Notice("warning", f"{text}: correct the cash")]


def tell_deals(found: Known, now_s: float, wait_s: float) -> list[Outcome]:
    """Tell the executions whose commission is known, or that have waited long enough; ask for it before."""
    outcomes = tell_qty(found)
    for deal in found.deals.values():
        if deal.commission is None and not deal.is_asked_for and now_s - deal.since >= wait_s / 2:
            deal.is_asked_for = True
            outcomes += [Ask(found.ref, f"no commission of {deal.exec_id}", About.FEE)]
        if not deal.is_told and (deal.commission is not None or now_s - deal.since >= wait_s):
            outcomes += _tell_deal(found, deal)
    return outcomes


def tell_qty(found: Known) -> list[Outcome]:
    """Tell that an order's quantity is not what the gateway takes it to be."""
    if found.is_stranger or found.life is not Life.LIVE or found.qty in (Decimal(0), found.stated):
        return []
    found.stated = found.qty
    status = OrdStatus.PARTIALLY_FILLED if found.told_qty else OrdStatus.NEW
    return [Told(_report(found, ExecType.RESTATED, status))]


def _tell_deal(found: Known, deal: Deal) -> list[Outcome]:
    outcomes: list[Outcome] = []
    if not deal.told_as and deal.version > 1:
        base, _ = execution_names(deal.exec_id)
        deal.told_as = f"{base}.{FIRST}"
        if deal.qty:  # of a bust there is nothing to say first: who never heard of it has nothing to undo
            outcomes += [_execution(found, deal, deal.told_as, "")]
            deal.told_qty = deal.qty
    if deal.told_as != deal.exec_id:
        outcomes += [_execution(found, deal, deal.exec_id, deal.told_as)]
        is_late = deal.is_owed and deal.commission is not None
    else:
        is_late = True
    deal.told_as, deal.told_qty, deal.told_commission = deal.exec_id, deal.qty, deal.commission or ZERO
    if is_late:  # only its commission is new; a process before this one may have told the rest
        outcomes += [
            _execution(found, deal, f"{deal.exec_id}/fee", deal.exec_id),
            Owed(deal.exec_id, is_owed=False),
        ]
    elif deal.commission is None:
        outcomes += [Owed(deal.exec_id, is_owed=True)]
    return outcomes


def _execution(found: Known, deal: Deal, exec_id: str, replaces: str) -> Outcome:
    """Write one execution, or the correction of the one it replaces."""
    if not replaces:
        exec_type = ExecType.TRADE
    else:
        exec_type = ExecType.TRADE_CORRECT if deal.qty else ExecType.TRADE_CANCEL
    found.told_qty += deal.qty - deal.told_qty
    is_whole = bool(found.qty) and found.told_qty >= found.qty
    status = OrdStatus.FILLED if is_whole else OrdStatus.PARTIALLY_FILLED
    if found.life is Life.OVER and not is_whole:
        status = found.reported()
    return Told(
        _report(
            found, exec_type, status, exec_id=exec_id, exec_ref_id=replaces, last_qty=deal.qty or None,
            last_px=deal.px if deal.qty else None, commission=deal.commission or ZERO, deal=deal,
        )
    )  # fmt: skip


def tell_status(found: Known) -> list[Outcome]:
    """Tell how an order stands, where that is news and nothing about it is open."""
    if found.life in (Life.SENT, Life.GONE) or found.is_held or found.is_stranger:
        return []
    missing = found.filled - found.dealt
    if missing > ZERO and found.checked != found.filled:
        return [
            Ask(found.ref, f"TWS counts {found.filled} filled, its executions {found.dealt}", About.COUNT)
        ]
    status = found.reported()
    cum_qty = max(found.told_qty, found.filled) if missing > ZERO else found.told_qty
    if status is OrdStatus.PENDING_NEW and not found.is_asked_for and not found.perm_id:
        return []
    if found.told == (status, cum_qty):
        return []
    found.told, found.is_asked_for = (status, cum_qty), False
    exec_type = ExecType.REJECTED if status is OrdStatus.REJECTED else ExecType.ORDER_STATUS
    return [Told(_report(found, exec_type, status, cum_qty=cum_qty))]


def _report(
    found: Known, exec_type: ExecType, ord_status: OrdStatus, *, exec_id: str = "", exec_ref_id: str = "",
    last_qty: Decimal | None = None, last_px: Decimal | None = None, commission: Decimal = ZERO,
    cum_qty: Decimal | None = None, deal: Deal | None = None,
) -> Report:  # fmt: skip
    cum = found.told_qty if cum_qty is None else cum_qty
    return Report(
        cl_ord_id=found.ref, exec_id=exec_id, exec_type=exec_type, ord_status=ord_status, cum_qty=cum,
        leaves_qty=found.qty - cum if found.qty else None, last_qty=last_qty, last_px=last_px,
        avg_px=None, commission=commission, order_id=str(found.perm_id) if found.perm_id else "",
        symbol=found.symbol, side=found.side, text=found.refusal,
        transact_time=deal.at if deal is not None else None,
        order_qty=_order_qty(found, exec_type, ord_status, cum) or None,
        exec_ref_id=exec_ref_id, account=found.account,
    )  # fmt: skip


def _order_qty(found: Known, exec_type: ExecType, ord_status: OrdStatus, cum: Decimal) -> Decimal:
    """OrderQty(38): what has filled where that is all of it, and never less than that."""
    if exec_type.is_trade:
        return max(found.qty, cum)
    return cum if ord_status is OrdStatus.FILLED else found.qty
