"""The composition root: it puts the rooms together; `links.py` makes the adapters.

Rules of this room:
1. Starting is recovering: lease, journal, snapshot, replay, then brokers, then intake. A crash is not
   a special case.
2. Everything runs in one asyncio process; whatever ends ends all of it, in order.
3. Nothing here decides anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

from adapters.base import Broker, Source
from gateway.config import GatewayConfig
from gateway.effects import Alert
from gateway.engine import Engine
from gateway.errors import StoreBehind, StoreUnavailable, StoreUnsafe
from gateway.events import AccountOpened, Event, GatewayStarted
from gateway.links import make_brokers, make_drop_copies, make_quotes
from gateway.oms.booking import trade_date
from gateway.oms.copies import waiting
from gateway.oms.state import State
from gateway.runtime import embedded
from gateway.runtime.agenda import SETTLE_S, Agenda, Report
from gateway.runtime.archive import Archive
from gateway.runtime.clock import Clock, SimulatedClock, SystemClock
from gateway.runtime.connect import journal_client, reader_client, view_client
from gateway.runtime.doors import Doors
from gateway.runtime.keys import Keys
from gateway.runtime.knowledge import keep_market, make_market
from gateway.runtime.lease import Lease
from gateway.runtime.loop import Inbox, Item, Loop, Timers
from gateway.runtime.present import Presenter
from gateway.runtime.readmodels import ReadModels
from gateway.runtime.remembered import RedisRemembered
from gateway.runtime.router import Router
from gateway.runtime.starting import check_known, unless
from gateway.runtime.store import Journal
from gateway.runtime.streams import Intake
from gateway.runtime.weekly import write_report
from gateway.runtime.wire import decode_state, encode_state
from gateway.views.alerts import Alerts, make_alerts

SNAPSHOT_EVERY = 20_000
ARCHIVE_EVERY_S = 60.0
LEASE_WAIT_S = 12.0
SIMULATED_SETTLE_S = 2.0
SHOWN_EVERY_S = 0.05
"""Read models and news lag this far behind: each write of theirs costs the journal a turn at the disk."""

log = logging.getLogger(__name__)


def make_clock(config: GatewayConfig) -> Clock:
    """Return the real clock, or the simulated one when the configuration replays a market day."""
    start = config.clock.simulated_start
    if start is None:
        return SystemClock()
    return SimulatedClock(start, config.state_folder / "clock.json")


async def redis_url(config: GatewayConfig) -> tuple[str, embedded.EmbeddedServer | None]:
    """Return the URL of the user's Redis, or start (or join) the embedded one."""
    if url := config.redis.url.get_secret_value():
        return url, None
    server = await embedded.ensure(config.state_folder)
    return server.url, server


async def restore(journal: Journal, engine: Engine) -> int:
    """Begin from the last snapshot, if there is one; return the journal entry it was taken at."""
    snapshot = await journal.load_snapshot()
    if snapshot is None:
        return 0
    seq, data = snapshot
    engine.restore(decode_state(data, State))
    return seq


async def catch_up(journal: Journal, engine: Engine, presenter: Presenter, seq: int) -> int:
    """Replay everything behind `seq`, and show again what a predecessor may have died before showing."""
    async for number, event in journal.read(seq):
        engine.replay(event)
        presenter.note(event)
        seq = number
    return await journal.open(at_least=seq)


@dataclass(slots=True)
class Gateway:
    """Hold the running parts of one gateway process."""

    config: GatewayConfig
    engine: Engine
    loop: Loop
    journal: Journal
    lease: Lease
    intake: Intake
    brokers: dict[str, Broker]
    watched: Mapping[str, Source]
    presenter: Presenter
    models: ReadModels
    clock: Clock
    server: embedded.EmbeddedServer | None
    digest: str
    agenda: Agenda
    alerts: Alerts | None

    async def first_events(self) -> None:
        """Journal that we started and open accounts the journal does not know yet."""
        now = self.clock.now()
        events: list[Event] = [
            GatewayStarted(now, self.lease.epoch, self.digest, version("rebalance-gateway"))
        ]
        for name, account in self.config.accounts.items():
            if name not in self.engine.state.book.accounts:
                events.append(
                    AccountOpened(
                        now, name, account.opening_cash, self.config.opening_lots(name),
                        account.lot_method, account.taxable,
                        account.costs.short_term_rate, account.costs.long_term_rate,
                    )
                )  # fmt: skip
        await self.loop.turn([Item(event) for event in events])

    async def save(self) -> None:
        """Write a snapshot of the state as of the last committed event, once all before it is shown.

        What is shown is not in the snapshot: a successor shows again only what came after it.
        """
        self.presenter.close()
        if await self.models.flush():
            await self.journal.save_snapshot(self.journal.seq, encode_state(self.engine.state))


async def serve(
    config: GatewayConfig, stop: asyncio.Event, on_ready: Callable[[Gateway], None] = lambda _gateway: None
) -> None:
    """Run one gateway until `stop` is set, be it before it has started; raises what ended it otherwise."""
    embedded.make_state_folder(config.state_folder)
    async with contextlib.AsyncExitStack() as kept:
        gateway = await unless(stop, kept.enter_async_context(_assembled(config)))
        if gateway is None:
            return
        doors = Doors(
            gateway.engine.settings, gateway.engine.state, gateway.clock, config.signing.keys,
            must_be_signed=config.signing.required,
        )  # fmt: skip
        sources: dict[str, Source] = {**gateway.brokers, **gateway.watched}
        for name, source in sources.items():
            link = gateway.engine.state.links.get(name)
            await source.start(link.seq if link is not None else 0)
        parts: dict[str, Awaitable[None]] = {
            "lease": gateway.lease.keep(),
            "read models": gateway.models.run(),
            "loop": _looping(gateway),
            "agenda": gateway.agenda.run(),
            "intake": doors.intake(gateway.intake, gateway.loop.inbox),
            **{name: doors.source(source, gateway.loop.inbox) for name, source in sources.items()},
        }
        if config.journal.keep_events:
            parts["archive"] = _archiving(gateway)
        if gateway.alerts is not None:
            parts["alerts"] = gateway.alerts.run()
        if gateway.server is not None:
            parts["embedded Redis"] = gateway.server.keep_alive()
        if config.risk.history:
            parts["price history"] = keep_market(config, gateway.engine, gateway.clock)
        on_ready(gateway)
        await _supervise(gateway, parts, stop)


async def _looping(gateway: Gateway) -> None:
    """Run the loop, with a snapshot now and then."""
    snapshot_at = SNAPSHOT_EVERY
    while True:
        await gateway.loop.turn(await gateway.loop.inbox.take())
        if gateway.loop.committed >= snapshot_at:
            snapshot_at = gateway.loop.committed + SNAPSHOT_EVERY
            await gateway.save()


async def _archiving(gateway: Gateway) -> None:
    """Let old journal entries leave Redis for the archive's files, now and then; a full disk is told once."""
    told = ""
    while True:
        await asyncio.sleep(ARCHIVE_EVERY_S)
        try:
            left = await gateway.journal.archive_old(gateway.config.journal.keep_events)
        except (StoreBehind, StoreUnavailable) as problem:
            if str(problem) != told:
                gateway.presenter.alert(Alert("warning", "NotArchived", str(problem)))
            told = str(problem)
        else:
            told = ""
            if left:
                log.info("%d journal entries left Redis for the archive", left)


async def _supervise(gateway: Gateway, parts: dict[str, Awaitable[None]], stop: asyncio.Event) -> None:
    """Run all parts until one ends or `stop` is set, then stop the rest in order."""
    tasks = {name: asyncio.ensure_future(part) for name, part in parts.items()}
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([*tasks.values(), stopping], return_when=asyncio.FIRST_COMPLETED)
    failed = [task for task in tasks.values() if task.done() and task.exception() is not None]
    stopping.cancel()
    if failed:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        failed[0].result()
        return
    log.info("stopping: intake first, then the brokers, then what the journal still owes")
    tasks["intake"].cancel()
    await asyncio.gather(tasks["intake"], return_exceptions=True)
    if gateway.loop.router is not None:
        gateway.loop.router.close()
    for name, source in {**gateway.watched, **gateway.brokers}.items():
        await source.stop()
        await asyncio.gather(tasks[name], return_exceptions=True)
    await _drained(gateway, tasks["loop"])
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    await gateway.save()


async def _drained(gateway: Gateway, loop_task: asyncio.Future[None], timeout_s: float = 5.0) -> None:
    """Let the loop finish what is in the inbox, then stop it between two turns."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await gateway.loop.inbox.idle.wait()
    loop_task.cancel()
    await asyncio.gather(loop_task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _assembled(config: GatewayConfig) -> AsyncIterator[Gateway]:
    """Acquire the lease, recover the state, put the parts together; undo all of it at the end."""
    clock = make_clock(config)
    market = await asyncio.to_thread(make_market, config, clock)
    keys = Keys(config.household)
    url, server = await redis_url(config)
    client, reader, views, news = (
        journal_client(url),
        reader_client(url),
        view_client(url),
        reader_client(url),
    )
    lease = Lease(client, keys, clock)
    try:
        alerts = make_alerts(news, keys, config.alerts, config.state_folder, clock.monotonic)
        await lease.acquire(wait_s=LEASE_WAIT_S)
        archive = Archive(config.archive_folder())
        journal = Journal(client, keys, lease.epoch, lease.owner, archive=archive)
        await _check_safety(journal, config)
        engine = Engine(config.settings(), market=market)
        seq = await restore(journal, engine)
        models = ReadModels(views, keys, lease.epoch, every_s=SHOWN_EVERY_S)
        inbox = Inbox()
        timers = Timers(clock, inbox)
        brokers = make_brokers(config, clock, partial(RedisRemembered, client, keys))
        presenter = Presenter(engine.state, models, keys, lambda: status(gateway), engine.settings)
        check_known(engine.state, config)
        await catch_up(journal, engine, presenter, seq)
        check_known(engine.state, config)
        loop = Loop(engine, journal, inbox, timers, presenter)
        loop.router = Router(brokers, clock, lease.may_act, lambda events: inbox.push(map(Item, events)))
        intake = Intake(reader, views, keys, clock, on_rejected=partial(_rejected, presenter))
        gateway = Gateway(
            config, engine, loop, journal, lease, intake, brokers,
            {**make_quotes(config, clock), **make_drop_copies(config, clock)},
            presenter, models, clock, server, config.digest(),
            _agenda(config, engine, clock, inbox, presenter), alerts,
        )  # fmt: skip
        await gateway.first_events()
        yield gateway
        timers.close()
        presenter.close()
        await models.flush()
        await intake.settle()
        await lease.release()
    finally:
        for one in (client, reader, views, news):
            await one.aclose()
        if server is not None:
            await asyncio.to_thread(server.stop)


def _agenda(
    config: GatewayConfig, engine: Engine, clock: Clock, inbox: Inbox, presenter: Presenter
) -> Agenda:
    """Return what asks for looks and reports; simulators are up at once, so it need not wait for them."""
    settle_s = SETTLE_S if config.clock.simulated_start is None else SIMULATED_SETTLE_S
    return Agenda(
        engine.settings, lambda: engine.state, clock, inbox, config.state_folder, presenter.alert,
        report=_reporter(config), settle_s=settle_s,
    )  # fmt: skip


def _reporter(config: GatewayConfig) -> Report | None:
    """Return what writes the week's report; None when nobody wants it, or no file says how to make it."""
    if not config.report.weekly or not config.file.name:
        return None
    return partial(write_report, config.file, config.reports_folder())


async def _check_safety(journal: Journal, config: GatewayConfig) -> None:
    try:
        await journal.check_safety()
    except StoreUnsafe as problem:
        real = [name for name, link in config.links.items() if link.environment == "live"]
        if real or not config.redis.allow_unsafe:
            raise
        log.warning("%s (allowed by redis.allow_unsafe)", problem)


def _rejected(presenter: Presenter, entry: Any, field: str, reason: str) -> None:
    presenter.rejected(entry.stream, entry.entry_id, field, reason)


def status(gateway: Gateway) -> dict[str, Any]:
    """Say what an operator wants to know at one glance."""
    state = gateway.engine.state
    return {
        "household": gateway.config.household,
        "at": gateway.clock.now(),
        "pid": os.getpid(),
        "epoch": gateway.lease.epoch,
        "journal_seq": gateway.journal.seq,
        "may_act": gateway.lease.may_act(),
        "links": {
            name: {
                "is_up": (link := state.links.get(name)) is not None and link.is_up,
                "seq": link.seq if link is not None else 0,
                "environment": gateway.config.links[name].environment,
            }
            for name in gateway.brokers
        },
        "quotes": sorted(gateway.config.quotes),
        "drop_copies": {
            name: {
                "of": section.of,
                "is_up": (copies := state.copies.get(name)) is not None and copies.is_up,
                "waiting": len(waiting(state, name)) if copies is not None else 0,
            }
            for name, section in gateway.config.drop_copies.items()
        },
        "halts": {name: "; ".join(state.halt_reasons(name)) for name in state.halts},
        "halt_reasons": {name: state.halt_reasons(name) for name in state.halts},
        "drift": {
            account: {
                "targets_of": standing.request_id,
                "since": standing.since,
                "cancelled_by": standing.cancelled_by,
                "seen": state.seen.get(account),
            }
            for account, standing in state.standing.items()
        },
        "substitutions": {name: [one.text for one in kept] for name, kept in state.substitutions.items()},
        "alerts": {one.name: one.status() for one in gateway.alerts.couriers} if gateway.alerts else {},
        "active": state.active,
        "queued": {account: queue for account, queue in state.queues.items() if queue},
        "open_orders": sum(len(request.open_orders) for request in state.requests.values()),
        "waiting_to_send": gateway.loop.router.waiting() if gateway.loop.router is not None else 0,
        "version": version("rebalance-gateway"),
        "config": gateway.digest,
        "risk": gateway.engine.market.words_on(
            trade_date(gateway.clock.now(), gateway.engine.settings), gateway.engine.settings
        ),
    }
