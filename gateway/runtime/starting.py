"""Starting: what must still be configured for what the journal holds, and a start that is given up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from gateway.config import GatewayConfig
from gateway.errors import ConfigError
from gateway.oms.state import State

T = TypeVar("T")

log = logging.getLogger(__name__)


def check_known(state: State, config: GatewayConfig) -> None:
    """Refuse a configuration that no longer knows what the journal still needs; raises `ConfigError`."""
    for account in state.book.accounts.values():
        if account.name not in config.accounts:
            text = f"accounts.{account.name}: the journal holds this account; put it back"
            raise ConfigError(text)
        gone = sorted(set(account.positions) - set(config.instruments))
        if gone:
            text = f"account {account.name} holds {', '.join(gone[:5])}; put it back until it is sold"
            raise ConfigError(f"instruments: {text}")
    for request in state.requests.values():
        gone = sorted(set(request.spec.targets) - set(config.instruments))
        if gone and not request.state.is_final:
            name = request.spec.request_id
            raise ConfigError(
                f"instruments: request {name} is not finished and names {', '.join(gone[:5])}; put it back"
            )
    for order in state.open_orders():
        if order.spec.link not in config.links:
            name = order.spec.cl_ord_id
            raise ConfigError(f"links.{order.spec.link}: order {name} still works there; put the link back")


async def unless(stop: asyncio.Event, starting: Coroutine[Any, Any, T]) -> T | None:
    """Return what starts, None when `stop` is set before: Redis may be away, another may hold the lease."""
    started, stopping = asyncio.ensure_future(starting), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([started, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not started.done():
            started.cancel()
    try:
        return await started
    except asyncio.CancelledError:
        log.info("stopped before it had started")
        return None
