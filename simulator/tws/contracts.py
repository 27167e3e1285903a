"""The securities as TWS describes them: contract ids, price steps, sizes, market rules.

Rules of this room:
1. Every symbol of the prices file is a stock in US dollars at SMART unless `--contracts` says otherwise.
2. A contract id is derived from the symbol: the same in every process.
3. A question that names nothing listed finds nothing; one that fits several finds them all.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from simulator.accounts import SettingError
from simulator.orders import ZERO
from simulator.tws.fields import INT_MAX
from simulator.tws.placing import Asked

CENT = Decimal("0.01")
ONE = Decimal(1)
FIRST_RULE = 26
SMART = "SMART"
US_EXCHANGES = ("NASDAQ", "NYSE", "ARCA", "AMEX", "BATS", "ISLAND")
"""What a client may call the exchange of a stock of which no file says more."""
_SPAN = 800_000_000
_TEXTS = ("symbol", "primary_exchange", "currency", "long_name", "stock_type")
_NUMBERS = ("min_size", "size_increment", "suggested_size_increment")
Step = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Contract:
    """One security: `listed` is its symbol in the market, `symbol` TWS's own.

    `steps` are the price increments of its market rule, each from a price on; sizes are in shares.
    """

    listed: str
    con_id: int
    symbol: str
    rule_id: int = FIRST_RULE
    steps: tuple[Step, ...] = ((ZERO, CENT),)
    min_size: Decimal = ONE
    size_increment: Decimal = ONE
    suggested_size_increment: Decimal = Decimal(100)
    primary_exchange: str = "NASDAQ"
    currency: str = "USD"
    long_name: str = ""
    stock_type: str = "COMMON"
    sec_type: str = "STK"
    exchanges: tuple[str, ...] = US_EXCHANGES

    @property
    def min_tick(self) -> Decimal:
        """The smallest price step."""
        return min(step for _, step in self.steps)

    @property
    def name(self) -> str:
        """What its company is called."""
        return self.long_name or f"{self.symbol} INC"

    @property
    def trading_class(self) -> str:
        """How the exchange groups it."""
        return "NMS" if self.primary_exchange == "NASDAQ" else self.symbol.replace(" ", "")

    def step_at(self, price: Decimal) -> Decimal:
        """Return the price step that holds at `price`."""
        return [step for edge, step in self.steps if price >= edge][-1]

    def fits(self, asked: Asked) -> bool:
        """Say whether a client's contract may mean this one."""
        if asked.con_id:
            return asked.con_id == self.con_id
        exchanges = ("", SMART, *self.exchanges)
        named = asked.symbol or asked.local_symbol
        return (
            named == self.symbol
            and asked.local_symbol in ("", self.symbol)
            and asked.sec_type in ("", self.sec_type)
            and asked.currency in ("", self.currency)
            and asked.exchange in exchanges
            and asked.primary_exchange in exchanges
            and asked.trading_class in ("", self.trading_class)
        )


class Catalogue:
    """Find contracts."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        self._by_symbol: dict[str, list[Contract]] = {}
        self._by_id: dict[int, Contract] = {}
        self._listed: dict[str, Contract] = {}
        for one in contracts:
            self._by_symbol.setdefault(one.symbol, []).append(one)
            self._by_id[one.con_id] = self._listed[one.listed] = one

    def find(self, asked: Asked) -> list[Contract]:
        """Return every contract that fits."""
        if asked.con_id:
            found = self._by_id.get(asked.con_id)
            return [found] if found is not None else []
        return [one for one in self._by_symbol.get(asked.symbol or asked.local_symbol, ()) if one.fits(asked)]

    def every(self) -> list[Contract]:
        """Return every contract."""
        return list(self._listed.values())

    def of(self, con_id: int) -> Contract | None:
        """Return the contract of an id."""
        return self._by_id.get(con_id)

    def listed(self, symbol: str) -> Contract:
        """Return the contract of a market's symbol."""
        return self._listed[symbol]

    def rule(self, rule_id: int) -> tuple[Step, ...] | None:
        """Return the price steps of a market rule, None for one that is not known."""
        for one in self._listed.values():
            if one.rule_id == rule_id:
                return one.steps
        return None


def read_catalogue(symbols: Iterable[str], path: Path | None) -> Catalogue:
    """Describe every symbol, with what the file says of some: `{"AAPL": {"steps": {"0": "0.01"}}}`."""
    told = _read(path)
    listed = list(symbols)
    unknown = sorted(set(told) - set(listed))
    if unknown:
        raise SettingError(f"--contracts {path}: {unknown[0]} does not stand in --prices; add it there")
    rules: dict[tuple[Step, ...], int] = {((ZERO, CENT),): FIRST_RULE}
    return Catalogue(_contract(path, symbol, told.get(symbol, {}), rules) for symbol in listed)


def con_id_of(symbol: str) -> int:
    """Derive a contract id."""
    return 100_000_000 + int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:4]) % _SPAN


def _read(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text, parse_float=Decimal)
    except OSError as error:
        raise SettingError(
            f"--contracts {path} cannot be read ({error.strerror}); give a JSON or TOML file"
        ) from None
    except ValueError as error:
        raise SettingError(f"--contracts {path} is neither JSON nor TOML: {error}") from None
    if not isinstance(data, dict) or not all(isinstance(entry, dict) for entry in data.values()):
        raise SettingError(f'--contracts {path}: write {{"SYMBOL": {{"min_size": "1"}}}}')
    return data


def _contract(
    path: Path | None, listed: str, told: Mapping[str, Any], rules: dict[tuple[Step, ...], int]
) -> Contract:
    known = {*_TEXTS, *_NUMBERS, "steps", "con_id"}
    unknown = sorted(set(told) - known)
    if unknown:
        raise SettingError(
            f"--contracts {path}: {listed}.{unknown[0]} is not understood; use {', '.join(sorted(known))}"
        )
    steps = _steps(path, listed, told.get("steps", {"0": CENT}))
    rule_id = rules.setdefault(steps, FIRST_RULE + len(rules))
    texts = {name: str(told[name]) for name in _TEXTS if name in told}
    symbol = texts.pop("symbol", listed.replace(".", " "))
    con_id = told.get("con_id", con_id_of(listed))
    if not isinstance(con_id, int) or not 0 < con_id <= INT_MAX:
        raise SettingError(f"--contracts {path}: {listed}.con_id is {con_id!r}; write a whole number above 0")
    plain = Contract(listed, con_id, symbol, rule_id, steps)
    numbers = {name: _number(path, listed, told[name]) for name in _NUMBERS if name in told}
    if not numbers.get("size_increment", ONE):
        raise SettingError(f"--contracts {path}: {listed}.size_increment must be above 0")
    described: dict[str, Any] = {**texts, **numbers}
    if "primary_exchange" in texts:
        described["exchanges"] = (texts["primary_exchange"],)
    return replace(plain, **described)


def _steps(path: Path | None, listed: str, told: object) -> tuple[Step, ...]:
    pairs = told.items() if isinstance(told, dict) else ()
    steps = tuple(sorted((_number(path, listed, low), _number(path, listed, step)) for low, step in pairs))
    if not steps or steps[0][0] != ZERO or any(step <= ZERO for _, step in steps):
        raise SettingError(f'--contracts {path}: {listed}.steps must begin at "0", each step above 0')
    return steps


def _number(path: Path | None, listed: str, said: object) -> Decimal:
    try:
        number = Decimal(str(said))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < ZERO:
        raise SettingError(f"--contracts {path}: {listed} has {said!r}; write a decimal that is not negative")
    return number
