"""A small world for the engine's tests: one household, a venue that does as it is told, virtual time."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from gateway.domain.instrument import Instrument
from gateway.domain.order import ExecType, Order, OrderSpec, OrdStatus, Report, Side
from gateway.domain.request import PolicyName
from gateway.domain.settings import AccountSettings, Costs, Decision, Execution, Limits, Settings
from gateway.engine import Engine
from gateway.events import (
    AccountOpened,
    CancelOrder,
    CancelRejected,
    Event,
    GatewayStarted,
    LotOpened,
    OrdersPlanned,
    OrderUnknown,
    PricesUpdated,
    ReportReceived,
    SendOrder,
    TargetsSubmitted,
)
from gateway.oms.state import Request, State
from gateway.runtime.wire import decode_state, encode_state
from simulator.inprocess import InProcess, Line, Numbered, Wish

T0 = datetime(2024, 3, 12, 15, 0, tzinfo=UTC)
ZERO = Decimal(0)
LINK = "sim"
CENT_SHARE = Decimal("1E-6")
"""What averaging may cost where a venue gives totals only."""
Step = tuple[float, str] | tuple[float, str, int] | tuple[float, str, int, str]


def dec(value: object) -> Decimal:
    return Decimal(str(value))


# ---------------------------------------------------------------------------------------- the venue


@dataclass(slots=True)
class VenueOrder:
    spec: OrderSpec
    status: OrdStatus = OrdStatus.PENDING_NEW
    cum_qty: Decimal = ZERO
    value: Decimal = ZERO
    fills: list[tuple[str, Decimal, Decimal, Decimal]] = field(default_factory=list)
    accepted: int = 1


def _is_execution(event: Numbered) -> bool:
    return isinstance(event, ReportReceived) and event.report.exec_type.is_trade


class Obedient:
    """Do with each order what `plans` says for its symbol: a list of (after seconds, what, quantity, price).

    Words: ack, fill, reject, cancel, expire, done. A quantity of 0 means all that is left; without a price a
    fill is at the limit. `deaf` counts messages for a symbol that never reach the venue, `loses` those whose
    answer never reaches us (executions always do), `dumb` symbols get no answer to look-ups,
    `refuses_cancels` symbols no cancel.
    """

    def __init__(self, cash: Mapping[str, Decimal], positions: Mapping[str, Mapping[str, Decimal]]) -> None:
        self.cash = dict(cash)
        self.positions = {name: dict(held) for name, held in positions.items()}
        self.orders: dict[str, VenueOrder] = {}
        self.plans: dict[str, list[Step]] = {}
        self.default: list[Step] = [(0, "ack"), (0, "fill")]
        self.deaf: Counter[str] = Counter()
        self.loses: Counter[str] = Counter()
        self.dumb: set[str] = set()
        self.refuses_cancels: set[str] = set()
        self.refuses_duplicates = True
        self.heeds_poss_resend = True
        self.commission = Decimal("1.00")
        self._due: list[tuple[datetime, int, Callable[[], list[Numbered]]]] = []
        self._ids = count(1)
        self._now = T0

    def take(self, wish: Wish, now: datetime) -> Sequence[Numbered]:
        self._now = now
        spec = wish.order
        if self.deaf[spec.symbol] > 0:
            self.deaf[spec.symbol] -= 1
            return []
        if isinstance(wish, SendOrder):
            answers = self._enter(wish)
        elif isinstance(wish, CancelOrder):
            answers = self._cancel(wish)
        else:
            answers = self._status(spec)
        if answers and self.loses[spec.symbol] > 0 and not any(map(_is_execution, answers)):
            self.loses[spec.symbol] -= 1
            return []
        return answers

    def advance(self, now: datetime) -> Sequence[Numbered]:
        answers: list[Numbered] = []
        while self._due and self._due[0][0] <= now:
            due, _, act = heapq.heappop(self._due)
            self._now = due
            answers += act()
        self._now = now
        return answers

    def next_due(self) -> datetime | None:
        return self._due[0][0] if self._due else None

    def has(self, cl_ord_id: str) -> bool:
        return cl_ord_id in self.orders

    def _enter(self, wish: SendOrder) -> list[Numbered]:
        spec = wish.order
        known = self.orders.get(spec.cl_ord_id)
        if known is not None and (self.refuses_duplicates or (wish.poss_resend and self.heeds_poss_resend)):
            return [self._report(known, ExecType.ORDER_STATUS)]
        if known is not None:
            known.accepted += 1
            return []
        order = self.orders[spec.cl_ord_id] = VenueOrder(spec)
        answers: list[Numbered] = []
        for step in self.plans.get(spec.symbol, self.default):
            after_s, word = step[0], step[1]
            qty = dec(step[2]) if len(step) > 2 else ZERO
            px = Decimal(step[3]) if len(step) > 3 else None
            if after_s == 0:
                answers += self._do(order, word, qty, px)
            else:
                self._later(order, after_s, word, qty, px)
        return answers

    def _later(self, order: VenueOrder, after_s: float, word: str, qty: Decimal, px: Decimal | None) -> None:
        due = self._now + timedelta(seconds=after_s)
        heapq.heappush(self._due, (due, next(self._ids), lambda: self._do(order, word, qty, px)))

    def _do(self, order: VenueOrder, word: str, qty: Decimal, px: Decimal | None) -> list[Numbered]:
        if order.status.is_final:
            return []
        if word == "fill":
            left = order.spec.order_qty - order.cum_qty
            return self.fill(order, min(qty or left, left), px)
        order.status = {
            "ack": OrdStatus.NEW, "reject": OrdStatus.REJECTED, "cancel": OrdStatus.CANCELED,
            "expire": OrdStatus.EXPIRED, "done": OrdStatus.DONE_FOR_DAY,
        }[word]  # fmt: skip
        return [self._report(order, ExecType(order.status.value))]

    def fill(self, order: VenueOrder, qty: Decimal, px: Decimal | None = None) -> list[Numbered]:
        spec = order.spec
        px = px if px is not None else spec.price or PRICES.get(spec.symbol, Decimal(100))
        order.cum_qty += qty
        order.value += qty * px
        whole = order.cum_qty == spec.order_qty
        order.status = OrdStatus.FILLED if whole else OrdStatus.PARTIALLY_FILLED
        fee = ZERO if order.fills else self.commission
        self.cash[spec.account] -= spec.side.sign * qty * px + fee
        held = self.positions[spec.account]
        held[spec.symbol] = held.get(spec.symbol, ZERO) + spec.side.sign * qty
        event = self._report(order, ExecType.TRADE, qty, px, fee)
        order.fills.append((event.report.exec_id, qty, px, fee))
        return [event]

    def _cancel(self, wish: CancelOrder) -> list[Numbered]:
        order = self.orders.get(wish.order.cl_ord_id)
        if order is None or order.status.is_final or wish.order.symbol in self.refuses_cancels:
            status = order.status if order is not None else None
            return [
                CancelRejected(self._now, "", 0, wish.cancel_id, wish.order.cl_ord_id, status, "too late")
            ]
        order.status = OrdStatus.CANCELED
        return [self._report(order, ExecType.CANCELED)]

    def _status(self, spec: OrderSpec) -> list[Numbered]:
        if spec.symbol in self.dumb:
            return []
        order = self.orders.get(spec.cl_ord_id)
        if order is None:
            return [OrderUnknown(self._now, "", 0, spec.cl_ord_id)]
        return [self._report(order, ExecType.ORDER_STATUS)]

    def _report(
        self, order: VenueOrder, kind: ExecType, qty: Decimal | None = None, px: Decimal | None = None,
        fee: Decimal = ZERO,
    ) -> ReportReceived:  # fmt: skip
        spec = order.spec
        exec_id = "0" if kind is ExecType.ORDER_STATUS else f"E{next(self._ids)}"
        leaves = ZERO if order.status.is_final else spec.order_qty - order.cum_qty
        report = Report(
            spec.cl_ord_id, exec_id, kind, order.status, order.cum_qty, leaves, qty, px,
            order.value / order.cum_qty if order.cum_qty else ZERO,
            commission=fee, order_id=f"V{spec.cl_ord_id[:4]}", symbol=spec.symbol, side=spec.side,
            transact_time=self._now,
        )  # fmt: skip
        return ReportReceived(self._now, "", 0, report)


# ------------------------------------------------------------------------------------ the invariants


class Watch:
    """Check after every event what must always hold, and keep a second engine that only replays."""

    def __init__(self, settings: Settings, *, money: bool = True) -> None:
        self.settings = settings
        self.money = money
        self.shadow = Engine(settings)
        self.planned: set[str] = set()

    def __call__(self, engine: Engine, event: Event) -> None:
        self.shadow.replay(event)
        state = engine.state
        assert self.shadow.state == state, f"replay differs after {type(event).__name__}"
        if isinstance(event, OrdersPlanned):
            self.planned |= {spec.cl_ord_id for spec in event.orders}
        check_state(state, money=self.money)
        assert set(state.orders) <= self.planned, "an order without a durable plan"

    def restart(self, journal: Sequence[Event], *, snapshot_at: int = 0) -> State:
        """Replay a dead gateway's journal, its first part through a snapshot, as a successor will."""
        first = Engine(self.settings)
        for event in journal[:snapshot_at]:
            first.replay(event)
        restored = decode_state(encode_state(first.state), State)
        assert restored == first.state
        assert list(restored.orders) == list(first.state.orders)
        self.shadow = Engine(self.settings, decode_state(encode_state(first.state), State))
        for event in journal[snapshot_at:]:
            self.shadow.replay(event)
        self.planned = {
            spec.cl_ord_id for event in journal if isinstance(event, OrdersPlanned) for spec in event.orders
        }
        return restored


def check_state(state: State, *, money: bool = True) -> None:
    state.book.check()
    for account in state.book.accounts.values():
        assert not money or account.cash >= 0, f"{account.name} owes {account.cash}"
        assert not money or all(qty > 0 for qty in account.positions.values()), account.positions
    for order in state.orders.values():
        cash = order.spec.cash_order_qty
        assert ZERO <= order.cum_qty <= (order.spec.order_qty if cash is None else order.order_qty)
        assert cash is None or order.notional <= cash
        assert len(set(order.exec_ids)) == len(order.exec_ids)
    owner: dict[str, Request] = {}
    for request in state.requests.values():
        assert list(request.open_orders) == [
            name for name in request.open_orders if not state.orders[name].is_final
        ]
        owner |= dict.fromkeys(request.orders, request)
    for name, order in state.orders.items():
        assert (name in owner[name].open_orders) == (not order.is_final), (name, order.ord_status)


# ----------------------------------------------------------------------------------------- the world

PRICES = {name: dec(px) for name, px in {"AAA": 100, "BBB": 50, "CCC": 20, "DDD": 10, "EEE": 200}.items()}
EXECUTION = Execution(
    limit_offset_bps=dec(50), cash_buffer=dec("0.01"), wave_timeout_s=dec(30), price_wait_s=dec(10),
    lookup_wait_s=dec("0.5"), resend_max_age_s=dec(300),
)  # fmt: skip
LIMITS = Limits(
    max_order_notional=dec(1_000_000),
    max_order_nav_share=dec(1),
    max_turnover=dec(2),
    price_max_age_s=dec(60),
)
COSTS = Costs(commission_per_share=ZERO, commission_minimum=dec("1.00"))


def settings_of(
    *,
    limits: Limits = LIMITS,
    execution: Execution = EXECUTION,
    costs: Costs = COSTS,
    decision: Decision | None = None,
    accounts: Sequence[str] = ("main",),
    groups: Mapping[str, str] | None = None,
    symbols: Sequence[str] = tuple(PRICES),
    link_of: Mapping[str, str] | None = None,
) -> Settings:
    return Settings(
        "H",
        {
            name: AccountSettings(
                name, (link_of or {}).get(name, LINK), limits=limits, execution=execution, costs=costs,
                decision=decision or Decision(policy=PolicyName.TRIGGERS),
            )
            for name in accounts
        },
        {
            symbol: Instrument(symbol, half_spread_bps=dec(1), identical_group=(groups or {}).get(symbol, ""))
            for symbol in symbols
        },
    )  # fmt: skip


class World:
    """One gateway, one venue, one clock; the methods are what the outside can do."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        cash: int | str = 1_000,
        held: Mapping[str, int] | None = None,
        cost: Mapping[str, int | str] | None = None,
        acquired: str = "2020-01-02",
        prices: Mapping[str, Decimal] | None = None,
        money: bool = True,
        batch: int = 512,
        latency_s: float = 0,
        point: Callable[[], None] = lambda: None,
        starts: bool = True,
        can_look_up: bool = True,
        replays: bool = True,
    ) -> None:
        self.settings = settings or settings_of()
        self.prices = dict(PRICES if prices is None else prices)
        held = {"AAA": 50, "BBB": 80} if held is None else held
        cost = cost or {}
        lots = tuple(
            LotOpened(symbol, acquired, dec(qty), dec(cost.get(symbol, dec(qty) * self.prices[symbol] / 2)))
            for symbol, qty in held.items()
        )
        opened = [
            AccountOpened(T0, name, dec(cash), lots, lot_method=account.lot_method)
            for name, account in self.settings.accounts.items()
        ]
        owned = {symbol: dec(qty) for symbol, qty in held.items()}
        self.venue = Obedient(
            {name: dec(cash) for name in self.settings.accounts},
            dict.fromkeys(self.settings.accounts, owned),
        )
        self.watch = Watch(self.settings, money=money)
        self.line = Line(LINK, self.venue, timedelta(seconds=latency_s), can_look_up, replays)
        self.game = InProcess(
            self.settings, {LINK: self.line}, T0, opened, batch=batch, point=point, check=self.watch
        )
        if starts:
            self.game.start()
            self.price()
            self.run(0)

    # ------------------------------------------------------------------------------------- to act

    def run(self, for_s: float | None = None) -> None:
        self.game.run(for_s)

    def price(self, **changed: object) -> None:
        self.prices |= {symbol: dec(px) for symbol, px in changed.items()}
        self.game.feed(PricesUpdated(self.game.now, self.game.now, dict(self.prices)))

    def targets(
        self, request_id: str = "R1", account: str = "main", *, life_s: float = 3600, **words: object
    ) -> TargetsSubmitted:
        weights = words.pop("weights", {})
        assert isinstance(weights, dict)
        now = self.game.now
        event = TargetsSubmitted(
            now, request_id, account, {name: dec(w) for name, w in weights.items()}, now,
            now + timedelta(seconds=life_s), **words,  # type: ignore[arg-type]
        )  # fmt: skip
        self.game.feed(event)
        return event

    def rebalance(self, request_id: str = "R1", **words: object) -> Request:
        """Submit targets and run until nothing is due."""
        self.targets(request_id, **words)  # type: ignore[arg-type]
        self.run()
        return self.request(request_id)

    def tell(self, about: str, kind: ExecType, **words: object) -> ReportReceived:
        """Let the venue's end say something about a symbol's newest order, true or not."""
        order = self.order(about)
        defaults: dict[str, object] = {
            "ord_status": order.ord_status, "cum_qty": order.cum_qty, "exec_id": f"T{len(self.line.record)}",
        }  # fmt: skip
        fields = {**defaults, **words}
        report = Report(order.spec.cl_ord_id, exec_type=kind, **fields)  # type: ignore[arg-type]
        event = ReportReceived(self.game.now, "", 0, report)
        self.say(event)
        return event

    def say(self, event: Numbered) -> None:
        """Put any event on the link's record."""
        self.line.record.append(replace(event, link=LINK, link_seq=len(self.line.record) + 1))

    def restart(self, after_s: float = 0, *, snapshot_at: int = 0) -> None:
        """Kill the gateway and start its successor."""
        now = self.game.now + timedelta(seconds=after_s)
        self.game = self.game.successor(now)
        restored = self.watch.restart(self.game.journal, snapshot_at=snapshot_at)
        self.game.start(restored, snapshot_at)

    # ----------------------------------------------------------------------------------- to look at

    @property
    def state(self) -> State:
        return self.game.engine.state

    @property
    def cash(self) -> Decimal:
        return self.state.book.accounts["main"].cash

    @property
    def positions(self) -> dict[str, Decimal]:
        return self.state.book.accounts["main"].positions

    def request(self, request_id: str = "R1") -> Request:
        return self.state.requests[request_id]

    def order(self, symbol: str) -> Order:
        return [order for order in self.state.orders.values() if order.spec.symbol == symbol][-1]

    def status(self, symbol: str) -> OrdStatus:
        return self.order(symbol).ord_status

    def of_kind(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.game.journal if isinstance(event, kind)]

    def sent_symbols(self) -> list[str]:
        return [wish.order.symbol for wish in self.game.sent()]

    def denials(self, request_id: str = "R1") -> dict[str, str]:
        return {denial.symbol: denial.reason.value for denial in self.request(request_id).denied}

    def agrees(self) -> None:
        """Assert that our book is the venue's own, and that no order was accepted twice."""
        for name, account in self.state.book.accounts.items():
            assert abs(account.cash - self.venue.cash[name]) <= CENT_SHARE
            theirs = {symbol: qty for symbol, qty in self.venue.positions[name].items() if qty}
            assert account.positions == theirs
        for cl_ord_id, theirs_order in self.venue.orders.items():
            assert theirs_order.accepted == 1, f"{cl_ord_id} was accepted twice"
            if cl_ord_id not in self.state.orders:  # a week after its end we need not know it
                assert theirs_order.status.is_final
                assert self.state.forgot is not None
                continue
            ours = self.state.orders[cl_ord_id]
            assert ours.cum_qty == theirs_order.cum_qty
            fills = theirs_order.fills
            assert abs(ours.notional - sum((qty * px for _, qty, px, _ in fills), ZERO)) <= CENT_SHARE
            assert ours.spec == theirs_order.spec

    def is_deterministic(self) -> None:
        """Assert that processing the journal anew asks for the very records the journal holds."""
        assert_same_records(self.settings, self.game.journal)


def assert_same_records(settings: Settings, journal: Sequence[Event]) -> None:
    engine = Engine(settings)
    expected: list[Event] = []
    for event in journal:
        if isinstance(event, GatewayStarted):
            expected = []
            engine = Engine(settings, engine.state)
        if event in expected:
            expected.remove(event)
        else:
            assert not type(event).__name__.startswith(
                ("RequestD", "RequestF", "Orders", "OrderR", "OrderA")
            ), f"the journal holds a {type(event).__name__} that processing it does not ask for"
        for effect in engine.process(event):
            if type(effect).__name__ == "Record":
                expected.append(effect.event)  # type: ignore[union-attr]
    assert not expected, "processing asks for records the journal does not hold"


def assert_side(world: World, symbol: str, side: Side) -> None:
    assert world.order(symbol).spec.side is side
