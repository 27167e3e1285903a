"""Drop copies: what a venue's second, read-only session shows, compared with what we were told. Pure.

Rules of this room:
1. Nothing is booked here. An execution that both sides know alike is forgotten; any difference is said once.
2. What only one side knows waits for the other until its timer; nothing of ours is missed while the copy's
   session is down, or before it was up for the first time.
3. Executions are the same by ExecID(17). An order booked by totals has none of its own: CumQty(14) decides.
"""

from __future__ import annotations

from gateway.domain.life import TAKES_BACK
from gateway.domain.order import Order, Report, Step
from gateway.domain.settings import Settings
from gateway.events import CopyLinked, ExecutionCopied
from gateway.oms.booking import advance_link
from gateway.oms.state import NOTHING, Applied, Copies, Copy, State

TIMER = "copy"


def timer_key(name: str, exec_id: str) -> str:
    """Name the timer of one execution that only one side knows."""
    return f"{TIMER}:{name}:{exec_id}"


def take(state: State, event: CopyLinked | ExecutionCopied, settings: Settings) -> Applied:
    """Take what a drop copy's session says."""
    if isinstance(event, CopyLinked):
        return take_linked(state, event)
    return take_copy(state, event, settings)


def take_linked(state: State, event: CopyLinked) -> Applied:
    """Note that a drop copy came or went."""
    copies = state.copies.setdefault(event.link, Copies(event.of))
    copies.of = event.of
    copies.is_up = event.is_up
    return NOTHING


def take_copy(state: State, event: ExecutionCopied, settings: Settings) -> Applied:
    """Compare one copied execution with what we know."""
    if not advance_link(state, event.link, event.link_seq):
        return NOTHING
    copies = state.copies.setdefault(event.link, Copies(event.of))
    report = event.report
    theirs = Copy(
        report.cl_ord_id, report.symbol, report.side, report.last_qty, report.last_px, report.cum_qty,
        report.exec_type in TAKES_BACK,
    )  # fmt: skip
    if (ours := copies.awaited.pop(report.exec_id, None)) is not None:
        return _compared(state, event.link, report.exec_id, ours, theirs, settings)
    order = _order(state, copies.of, report)
    if order is None or not _is_known(order, report.exec_id, theirs):
        copies.unknown[report.exec_id] = theirs
        return NOTHING
    standing = order.executions.get(report.exec_id)
    if standing is None:
        return NOTHING
    ours = Copy(
        order.spec.cl_ord_id, order.spec.symbol, order.spec.side, standing.qty, standing.px, order.cum_qty,
        bool(standing.was),
    )  # fmt: skip
    return _compared(state, event.link, report.exec_id, ours, theirs, settings)


def note_own(state: State, link: str, order: Order, report: Report, change: Step, settings: Settings) -> str:
    """Remember an execution of ours until its copy comes; return a difference from one that came before."""
    if change.is_repeat or not (change.fill_qty or change.undoes) or order.is_by_totals:
        return ""
    is_bust = not change.fill_qty
    ours = Copy(
        order.spec.cl_ord_id, order.spec.symbol, order.spec.side, change.fill_qty, change.fill_px,
        order.cum_qty, is_bust or bool(change.undoes),
    )  # fmt: skip
    found = ""
    for name, copies in state.copies.items():
        if copies.of != link or name not in settings.drop_copies:
            continue
        theirs = copies.unknown.pop(report.exec_id, None)
        if theirs is None:
            copies.awaited[report.exec_id] = ours
        else:
            applied = _compared(state, name, report.exec_id, ours, theirs, settings)
            found = applied.difference or found
    return found


def take_timer(state: State, rest: str, settings: Settings) -> Applied:
    """Give up waiting for the other side; `rest` is what follows the timer's kind."""
    name, _, exec_id = rest.partition(":")
    copies = state.copies.get(name)
    if copies is None:
        return NOTHING
    theirs = copies.unknown.pop(exec_id, None)
    if theirs is not None:
        order = state.orders.get(theirs.cl_ord_id)
        if order is not None and _is_known(order, exec_id, theirs):
            return NOTHING
        return _differs(
            state, name, theirs, f"{theirs.words(exec_id)} is in the drop copy; we were never told", settings
        )
    if copies.is_up and (ours := copies.awaited.pop(exec_id, None)) is not None:
        return _differs(
            state, name, ours, f"{ours.words(exec_id)} is booked; the drop copy never showed it", settings
        )
    return NOTHING


def waiting(state: State, name: str) -> list[str]:
    """Return the ExecIDs(17) that one side of a drop copy has still to show."""
    copies = state.copies[name]
    return [*copies.unknown, *(copies.awaited if copies.is_up else ())]


# ------------------------------------------------------------------------------------------- the inside


def _order(state: State, link: str, report: Report) -> Order | None:
    """Return the order a copied report is about, ours or one we never sent."""
    ours = state.orders.get(report.cl_ord_id) or state.orders.get(report.orig_cl_ord_id)
    return ours or state.strangers.get(f"{link}:{report.order_id or report.cl_ord_id}")


def _is_known(order: Order, exec_id: str, theirs: Copy) -> bool:
    """Say whether we have an execution already, by its ExecID(17) or, where there is none, by the total."""
    return exec_id in order.exec_ids or (order.is_by_totals and order.cum_qty >= theirs.cum_qty)


def _compared(state: State, name: str, exec_id: str, ours: Copy, theirs: Copy, settings: Settings) -> Applied:
    """Say where two views of one execution differ; a bust has neither quantity nor price."""
    same_what = ours.symbol == theirs.symbol and (theirs.side is None or ours.side is theirs.side)
    is_bust = ours.takes_back and not ours.qty
    same_qty = is_bust or theirs.qty in (None, ours.qty)
    same_px = is_bust or theirs.px in (None, ours.px)
    if same_what and same_qty and same_px and ours.takes_back == theirs.takes_back:
        return NOTHING
    text = f"{ours.words(exec_id)} is booked; the drop copy says {theirs.words(exec_id)}"
    return _differs(state, name, ours, text, settings)


def _differs(state: State, name: str, one: Copy, text: str, settings: Settings) -> Applied:
    """Say a difference, and halt the account where that is wanted."""
    order = state.orders.get(one.cl_ord_id)
    wanted = settings.drop_copies.get(name)
    said = f"{name}: {text}"
    if wanted is not None and wanted.halts:
        if order is not None:
            state.halt(order.spec.account, said)
        else:
            for account in settings.accounts.values():
                if account.link == wanted.of:
                    state.halt(account.name, said)
    return Applied(order, difference=said)
