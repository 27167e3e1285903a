"""A made-up household of any size: its configuration, prices, opening lots and target weights.

For the torture harness and the benchmarks; the numbers are seeded and mean nothing. No tax and hardly any
tolerance for drift, so that nearly every name trades every time. The demo uses the real `config/example`.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.stage import Stage

PRICE_CENTS = (1_000, 40_000)
ACQUIRED = "2019-03-04"

GATEWAY_TOML = """\
household = "{household}"
state_folder = "{state}"
accounts_file = "accounts.toml"
instruments_file = "instruments.toml"

[links.sim]
environment = "simulator"
{session}{link}"""

FIX_SESSION = """\
sender_comp_id = "GATEWAY"
target_comp_id = "SIM"
port = {port}
heartbeat_s = 5
orders_per_s = {orders_per_s}
"""

ALPACA_SESSION = """\
kind = "alpaca"
requests_per_min = 100000
poll_s = 5
"""
"""No limit worth the name: what is tortured or measured is not the waiting."""

TWS_SESSION = """\
kind = "ibkr"
port = {port}
messages_per_s = 100000
answer_timeout_s = 5
"""

ACCOUNTS_TOML = """\
[main]
link = "sim"
opening_cash = {cash}
opening_lots = "lots.csv"
taxable = false

[main.limits]
max_order_notional = 100000000
max_order_nav_share = 1
max_orders_per_request = 10000
price_max_age_s = 86400

[main.execution]
limit_offset_bps = 50
wave_timeout_s = {wave_timeout_s}
lookup_wait_s = {lookup_wait_s}
resend_max_age_s = 3600

{in_cash}
[main.decision]
policy = "triggers"
risk_aversion = 1000000

[main.monitoring]
is_on = false
"""


@dataclass(frozen=True, slots=True)
class Household:
    """Hold what was written: symbols, prices in cents, and opening quantities."""

    folder: Path
    symbols: tuple[str, ...]
    cents: dict[str, int]
    held: dict[str, int]
    cash: int

    def nav(self) -> float:
        """Return opening net asset value in dollars."""
        return self.cash + sum(self.cents[symbol] * qty for symbol, qty in self.held.items()) / 100

    def targets(self, rng: random.Random, invested: float = 0.96) -> dict[str, str]:
        """Return weights in which neighbours differ enough that nearly every name trades."""
        raw = [rng.choice((0.4, 1.0, 1.6)) * rng.uniform(0.9, 1.1) for _ in self.symbols]
        total = sum(raw)
        weights = (int(invested * part / total * 1_000_000) / 1_000_000 for part in raw)
        return {symbol: f"{weight:.6f}" for symbol, weight in zip(self.symbols, weights, strict=True)}


def write_household(
    folder: Path, names: int, seed: int, port: int, *, held_share: float = 0.5,
    value_per_name: int = 20_000, orders_per_s: int = 0, wave_timeout_s: int = 60, lookup_wait_s: float = 0.1,
    link: str = "", is_fx: bool = False, is_alpaca: bool = False, is_tws: bool = False, in_cash: bool = False,
) -> Household:  # fmt: skip
    """Write configuration and data for `names` instruments, `held_share` of them held at the start.

    `link` is more of the configuration: further keys of its only link, and sections behind it. With `is_fx`
    the instruments are currency pairs that do not exist, with `in_cash` they trade in fractions and are
    bought in money.
    """
    rng = random.Random(seed)
    symbols = tuple(_pair(number) if is_fx else f"S{number:05d}" for number in range(names))
    cents = {symbol: rng.randint(*PRICE_CENTS) for symbol in symbols}
    held = {
        symbol: value_per_name * 100 // cents[symbol]
        for symbol in symbols[: int(names * held_share)]
    }  # fmt: skip
    cash = int(value_per_name * (names - len(held)) * 1.05) + 10_000
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state"
    session = TWS_SESSION if is_tws else ALPACA_SESSION if is_alpaca else FIX_SESSION
    session = session.format(port=port, orders_per_s=orders_per_s)
    text = GATEWAY_TOML.format(household="stage", state=state, link=link, session=session)
    (folder / "gateway.toml").write_text(text, encoding="utf-8")
    accounts = ACCOUNTS_TOML.format(
        cash=cash, wave_timeout_s=wave_timeout_s, lookup_wait_s=lookup_wait_s,
        in_cash='ord_type = "market"\ncash_orders = true\n' if in_cash else "",
    )  # fmt: skip
    (folder / "accounts.toml").write_text(accounts, encoding="utf-8")
    lot = "lot_size = 0.0001\nmin_notional = 1\n" if in_cash else ""
    instruments = "".join(f'["{symbol}"]\nhalf_spread_bps = 1\n{lot}' for symbol in symbols)
    (folder / "instruments.toml").write_text(instruments, encoding="utf-8")
    lots = ["symbol,acquired,qty,cost"]
    lots += [f"{s},{ACQUIRED},{qty},{qty * cents[s] * 0.008:.2f}" for s, qty in held.items()]
    (folder / "lots.csv").write_text("\n".join(lots) + "\n", encoding="utf-8")
    prices = ["symbol,price", *(f"{symbol},{cents[symbol] / 100:.2f}" for symbol in symbols)]
    (folder / "prices.csv").write_text("\n".join(prices) + "\n", encoding="utf-8")
    opening = {"main": {"cash": str(cash), "positions": {s: str(qty) for s, qty in held.items()}}}
    (folder / "venue-accounts.json").write_text(json.dumps(opening), encoding="utf-8")
    return Household(folder, symbols, cents, held, cash)


def _pair(number: int) -> str:
    """Name a currency pair that does not exist: XAA/USD, XAB/USD, ..."""
    first, second = divmod(number, 26)
    return f"X{chr(65 + first)}{chr(65 + second)}/USD"


def stage_for(household: Household, port: int, venue_options: list[str], **changes: Any) -> Stage:
    """Return the stage of a household written by `write_household`; `changes` are fields of `Stage`."""
    folder = household.folder
    return Stage(
        folder=folder, config=folder / "gateway.toml", prices=folder / "prices.csv",
        accounts=folder / "venue-accounts.json", venue_options=venue_options, port=port, **changes,
    )  # fmt: skip
