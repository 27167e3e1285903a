"""What one connection to TWS or IB Gateway must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.ibkr.pauses import Restart
from gateway.errors import ConfigError

MESSAGES = 50
"""TWS allows so many in a second, for everything together; `pace` leaves room for a network that bunches."""
WORKING_ORDERS = 20
"""IBKR takes so many working orders for one contract, side and account."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Name a contract as IBKR does; with a `con_id` nothing else can be meant.

    `symbol` is IBKR's own (BRK B for BRK.B), `primary_exchange` tells namesakes apart.
    """

    symbol: str
    currency: str = "USD"
    exchange: str = "SMART"
    primary_exchange: str = ""
    sec_type: str = "STK"
    con_id: int = 0


@dataclass(frozen=True, slots=True)
class IbkrSettings:
    """Hold address, identity and habits; times in seconds.

    `accounts` are IBKR's account codes by our names; `shared` names, for each of ours, the other accounts
    that are the same code, over whichever link: their positions are counted together, and what TWS shows of
    another channel is left to it. `client_id` is ours alone and never 0; `spare_client_id` is used while
    somebody else holds it (0: none). `terms` are the contracts by our symbols. `commission_wait_s`: so long
    an execution waits for its commission before it is told without.
    """

    name: str
    host: str
    port: int
    accounts: Mapping[str, str]
    terms: Mapping[str, Terms]
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    client_id: int = 11
    spare_client_id: int = 0
    environment: str = "paper"
    messages_per_s: int = MESSAGES
    working_orders: int = WORKING_ORDERS
    outside_rth: bool = False
    fractional: bool = False
    what_if: bool = False
    what_if_timeout_s: float = 3.0
    connect_timeout_s: float = 10.0
    answer_timeout_s: float = 10.0
    heartbeat_s: float = 10.0
    commission_wait_s: float = 3.0
    mute_after_s: float = 5.0
    compare_positions: bool = True
    positions_s: float = 60.0
    restarts: tuple[Restart, ...] = ()

    @property
    def client_ids(self) -> frozenset[int]:
        """Return every client id that is this gateway's."""
        return frozenset({self.client_id, self.spare_client_id} - {0})

    def account_of(self, code: str) -> str:
        """Name an IBKR account as we do, empty when it is none of ours."""
        return next((name for name, one in self.accounts.items() if one == code), "")

    def check(self, managed: Sequence[str]) -> None:
        """See that TWS manages our accounts, in the world that is meant; raises `ConfigError`."""
        key = f"links.{self.name}"
        for name, code in self.accounts.items():
            if code not in managed:
                shown = ", ".join(managed)
                text = f"TWS manages {shown}, and not {code}; write {key}.accounts.{name} with one of them"
                raise ConfigError(f"{key}: {text}")
            is_paper = code.startswith("D")
            if self.environment == "paper" and not is_paper:
                text = f'{code} is a live account; write environment = "live" if that is meant'
                raise ConfigError(f"{key}: {text}")
            if self.environment == "live" and is_paper:
                raise ConfigError(f'{key}: {code} is a paper account; write environment = "paper"')
