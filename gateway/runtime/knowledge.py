"""What a gateway knows of the market: the file of its price history, read whenever it changes; learned rules.

Rules of this room:
1. A history that is too old or too short stops nothing; a file that cannot be read at start does, by name.
2. A file that is just being written is looked at again; until then the market stays as it was.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from gateway.config import GatewayConfig
from gateway.decision.learned import LearnedRule
from gateway.decision.market import UNKNOWN, Market, look
from gateway.engine import Engine
from gateway.errors import ConfigError
from gateway.events import PolicyName
from gateway.oms.booking import trade_date
from gateway.runtime import learned
from gateway.runtime.clock import Clock
from gateway.runtime.history import read_history

log = logging.getLogger(__name__)

MARKET_EVERY_S = 60.0


def make_market(config: GatewayConfig, clock: Clock) -> Market:
    """Look at the price history the configuration names; raises `ConfigError` when it cannot be read.

    A history that is too old or too short stops nothing: the gateway decides without it, and says so.
    """
    rules = learned_rules(config)
    if not config.risk.history:
        return replace(UNKNOWN, learned=rules)
    settings = config.settings()
    history = read_history(config.folder / config.risk.history)
    market = look(history, trade_date(clock.now(), settings), settings)
    log.log(logging.INFO if market.risk is not None else logging.WARNING, "%s", market.words)
    return replace(market, learned=rules)


def learned_rules(config: GatewayConfig) -> dict[str, LearnedRule]:
    """Load the learned rule of each account that names one; raises `ConfigError` for one not worth using."""
    found = {}
    for name, account in config.accounts.items():
        decision = account.decision
        if decision.learned_file:
            path = config.folder / decision.learned_file
            found[name] = learned.load(path, override=decision.learned_override)
        elif decision.policy is PolicyName.LEARNED:
            text = "policy is learned; write learned_file, a rule that `gateway train` has made"
            raise ConfigError(f"accounts.{name}.decision.learned_file: {text}")
    return found


async def keep_market(config: GatewayConfig, engine: Engine, clock: Clock) -> None:
    """Look at the price history again whenever its file has changed, for ever.

    A file that cannot be read, perhaps because it is being written, leaves the market as it was.
    """
    path = config.folder / config.risk.history
    seen = await asyncio.to_thread(_changed_at, path)
    while True:
        await asyncio.sleep(MARKET_EVERY_S)
        now = await asyncio.to_thread(_changed_at, path)
        if now == seen:
            continue
        seen = now
        try:
            engine.see(await asyncio.to_thread(make_market, config, clock))
        except ConfigError as problem:
            log.warning("the risk model stays as it was: %s", problem)


def _changed_at(path: Path) -> int:
    """Return when a file last changed, 0 when it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
