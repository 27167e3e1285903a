"""The messages TWS sends: ids, versions and fields in order. Nothing here decides anything.

Rules of this room:
1. Every function returns the fields of one message for one server version; counts are measured, not guessed.
2. Numbers leave as digits and a point. What is unset is the number that says so, or empty, as TWS has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from simulator.orders import ZERO
from simulator.tws.contracts import SMART, Contract
from simulator.tws.fields import UNSET_DOUBLE
from simulator.tws.frames import Value
from simulator.tws.tickets import Execution, Shown, Ticket

WITHOUT_VERSION_FIELD, WITH_REJECT_JSON, WITH_ISSUER, WITH_PENDING_PRICE = 164, 166, 176, 178
SIZES_SINCE = 163
ORDER_TYPES = (
    "ACTIVETIM,AD,ADJUST,ALERT,ALLOC,DAY,FOK,GTC,IOC,LIT,LMT,LOC,MIT,MKT,MOC,OCA,OPENCLOSE,OPG,STP,STPLMT,"
    "WHATIF"
)
Said = list[Value]


def next_valid_id(order_id: int) -> Said:
    """nextValidId(9)."""
    return [9, 1, order_id]


def managed_accounts(names: Sequence[str]) -> Said:
    """managedAccounts(15)."""
    return [15, 1, ",".join(names)]


def error(version: int, req_id: int, code: int, text: str) -> Said:
    """Write an error, message 4; from 166 on it has room for the reason of a rejection."""
    said: Said = [4, 2, req_id, code, text]
    return [*said, ""] if version >= WITH_REJECT_JSON else said


def contract_fields(contract: Contract, exchange: str = SMART) -> Said:
    """Return the 11 fields a contract has wherever TWS sends one."""
    return [
        contract.con_id, contract.symbol, contract.sec_type, "", "0.0", "?", "", exchange, contract.currency,
        contract.symbol, contract.trading_class,
    ]  # fmt: skip


def order_status(ticket: Ticket, shown: Shown, why_held: str = "") -> Said:
    """orderStatus(3)."""
    parent_id = 0 if ticket.parent is None else ticket.parent.order_id
    return [
        3, ticket.order_id, shown.status, shown.filled, shown.remaining, shown.avg_px, ticket.perm_id,
        parent_id, shown.last_px, ticket.client_id, why_held, "0.0",
    ]  # fmt: skip


def exec_details(version: int, execution: Execution, exec_id: str, req_id: int, at: str) -> Said:
    """execDetails(11): 31 fields, 32 from 178 on."""
    ticket, venue = execution.ticket, execution.ticket.contract.primary_exchange
    said: Said = [
        11, req_id, ticket.order_id, *contract_fields(ticket.contract, venue), exec_id, at,
        ticket.placed.account, venue, "BOT" if ticket.order.is_buy else "SLD", execution.qty, execution.px,
        ticket.perm_id, ticket.client_id, 0, execution.cum_qty, execution.avg_px,
        ticket.placed.order_ref, "", "", ticket.placed.model_code, 2,
    ]  # fmt: skip
    return [*said, False] if version >= WITH_PENDING_PRICE else said


def commission_report(execution: Execution, exec_id: str) -> Said:
    """commissionReport(59)."""
    realized = UNSET_DOUBLE if execution.realized is None else execution.realized
    return [
        59, 1, exec_id, execution.commission, execution.ticket.contract.currency, realized, UNSET_DOUBLE, "",
    ]  # fmt: skip


def position(account: str, contract: Contract, held: Decimal, cost: Decimal) -> Said:
    """Write what an account holds, message 61."""
    return [61, 3, account, *contract_fields(contract, contract.primary_exchange), held, cost]


def account_value(tag: str, value: Value, currency: str, account: str) -> Said:
    """updateAccountValue(6)."""
    return [6, 2, tag, value, currency, account]


def portfolio(
    account: str, contract: Contract, held: Decimal, price: Decimal, cost: Decimal, realized: Decimal
) -> Said:
    """updatePortfolio(7)."""
    value, gain = held * price, (price - cost) * held
    return [
        7, 8, *contract_fields(contract, contract.primary_exchange), held, price, value, cost, gain, realized,
        account,
    ]  # fmt: skip


def contract_details(version: int, req_id: int, contract: Contract, hours: str) -> Said:
    """contractData(10)."""
    exchanges = f"{SMART},{contract.primary_exchange}"
    rules = ",".join(str(contract.rule_id) for _ in exchanges.split(","))
    said: Said = [10] if version >= WITHOUT_VERSION_FIELD else [10, 8]
    said += [
        req_id, contract.symbol, contract.sec_type, "", "0", "", SMART, contract.currency, contract.symbol,
        contract.trading_class, contract.trading_class, contract.con_id, contract.min_tick,
    ]  # fmt: skip
    if version < WITHOUT_VERSION_FIELD:
        said.append(100)
    said += [
        "", ORDER_TYPES, exchanges, 1, 0, contract.name,
        contract.primary_exchange, "", "", "", "", "US/Eastern", hours, hours, "", 0, 0, 1, "", "", rules, "",
        contract.stock_type,
    ]  # fmt: skip
    if version == SIZES_SINCE:
        said.append(contract.size_increment)
    elif version >= WITHOUT_VERSION_FIELD:
        said += [contract.min_size, contract.size_increment, contract.suggested_size_increment]
    return said


def symbol_samples(version: int, req_id: int, found: Sequence[Contract]) -> Said:
    """symbolSamples(79): no kinds of derivatives; from 176 on a description and an issuer."""
    said: Said = [79, req_id, len(found)]
    for one in found:
        said += [one.con_id, one.symbol, one.sec_type, one.primary_exchange, one.currency, 0]
        if version >= WITH_ISSUER:
            said += [one.name, ""]
    return said


def market_rule(rule_id: int, steps: Sequence[tuple[Decimal, Decimal]]) -> Said:
    """marketRule(93)."""
    return [93, rule_id, len(steps), *(number for step in steps for number in step)]


def tick_price(req_id: int, kind: int, price: Decimal, size: Decimal) -> Said:
    """tickPrice(1)."""
    return [1, 6, req_id, kind, price, size, 0]


def tick_size(req_id: int, kind: int, size: Decimal) -> Said:
    """tickSize(2)."""
    return [2, 6, req_id, kind, size]


def tick_params(req_id: int, contract: Contract) -> Said:
    """tickReqParams(81)."""
    return [81, req_id, contract.min_tick, "9c0001", 3]


def data_type(req_id: int, kind: int) -> Said:
    """marketDataType(58)."""
    return [58, 1, req_id, kind]


def summary(req_id: int, account: str, tag: str, value: Value, currency: str) -> Said:
    """accountSummary(63)."""
    return [63, 1, req_id, account, tag, value, currency]


def multi_value(req_id: int, account: str, model: str, tag: str, value: Value, currency: str) -> Said:
    """accountUpdateMulti(73)."""
    return [73, 1, req_id, account, model, tag, value, currency]


def current_time(now: datetime) -> Said:
    """currentTime(49)."""
    return [49, 1, int(now.timestamp())]


OPEN_ORDER_END, POSITION_END, COMPLETED_END = [53, 1], [62, 1], [102]


def end(message_id: int, about: Value) -> Said:
    """Return the End of an answer: 52 contracts, 54 account, 55 executions, 57 snapshot, 64 summary..."""
    return [message_id, 1, about]


def when(at: datetime, zone: str) -> str:
    """Write a time as executions have it."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%Y%m%d %H:%M:%S} {zone}"


def or_zero(number: Decimal | None) -> Value:
    """Write an unset price as TWS echoes it."""
    return "0.0" if number is None or number == ZERO else number
