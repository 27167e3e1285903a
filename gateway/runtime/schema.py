"""The target message: the public contract between a strategy, in any language, and the gateway.

Rules of this room:
1. `TargetMessage` is the contract; the JSON schema in the documents is generated from it.
2. Whatever arrives either becomes a `TargetsSubmitted` or raises `InvalidTargets` naming the field and
   the remedy. A target is taken whole or refused whole; nothing is ever renormalised.
3. Weights are plain decimal strings. A JSON number, an exponent, NaN, a digit of another alphabet or a
   look-alike letter in a symbol is refused, because somewhere a machine would read it differently.
4. No error shows the input: `hide_input_in_errors`, and only short names are repeated.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from gateway.domain.request import Mode, Others, PolicyName, Regime
from gateway.domain.schedule import MAX_STEPS
from gateway.errors import InvalidTargets
from gateway.events import TargetsSubmitted
from gateway.runtime.strict_json import MAX_BYTES, TIME, load_object, read_decimal, read_time, shown
from gateway.runtime.styles import FIELDS, ExecutionMessage, optional

MAX_SYMBOLS: Final = 10_000
MAX_LIFETIME: Final = timedelta(hours=24)
MAX_FUTURE: Final = timedelta(seconds=60)
NAME: Final = r"[A-Za-z0-9._:-]{1,64}"
SYMBOL: Final = r"[A-Za-z0-9][A-Za-z0-9._/:=-]{0,31}"
UNSIGNED: Final = r"[0-9]{1,4}(?:\.[0-9]{1,18})?"
WEIGHT: Final = f"-?{UNSIGNED}"
_WEIGHT = re.compile(WEIGHT)
_SYMBOL = re.compile(SYMBOL)
_WEIGHT_LINES = re.compile(f"(?:{UNSIGNED}\n)*")
_SYMBOL_LINES = re.compile(f"(?:{SYMBOL}\n)*")
_FLOAT_STEP = Decimal("1e-10")
_QUANTIZED_BELOW = 10_000  # beyond it the context's 28 digits may not hold the step, and no weight is
ONE: Final = Decimal(1)
ZERO: Final = Decimal(0)

Weight = str | Decimal | float | int
Name = Annotated[str, Field(pattern=f"^{NAME}$", max_length=64)]


def _is_one(version: object) -> object:
    """Let only the integer 1 through: pydantic would take true and 1.0 for it."""
    if type(version) is not int:
        raise ValueError("is not the number 1: write 1, without quotes or point")
    return version


Version = Annotated[Literal[1], BeforeValidator(_is_one)]
Time = Annotated[
    datetime,
    BeforeValidator(read_time),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": f"^{TIME}$"}),
]
Weights = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": MAX_SYMBOLS,
            "propertyNames": {"pattern": f"^{SYMBOL}$"},
            "additionalProperties": {"type": "string", "pattern": f"^{WEIGHT}$"},
        }
    ),
]


class TargetMessage(BaseModel):
    """Target weights of one account, as a strategy submits them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    schema_version: Version = Field(1, description="Version of this contract.")
    request_id: Name = Field(
        description="Idempotency key: the same id is the same request, however often sent."
    )
    account: Name = Field(description="The account to bring to these weights.")
    as_of: Time = Field(description="When the strategy decided; at most 60 s ahead of the gateway's clock.")
    expires_at: Time = Field(
        description="Nothing begins after this; what has begun goes on. At most 24 h ahead."
    )
    targets: Weights = Field(
        description="Share of net asset value per symbol, decimal strings; at most 1 in all; the rest is cash"
    )
    others: Others = Field(Others.KEEP, description="What happens to holdings not named: keep or sell.")
    mode: Mode = Field(
        Mode.EXECUTE, description="preview: only show; approve: wait for a person; execute: trade."
    )
    regime: Regime = Field(Regime.NORMAL, description="The market condition the strategy declares.")
    execution: ExecutionMessage = optional("How to work it, where that differs from the account's own way.")
    policy: PolicyName = optional("Which rule decides this request, where not the account's own.")


_FIELDS = ", ".join(TargetMessage.model_fields)
_REMEDIES = {
    "missing": "is missing: add it",
    "extra_forbidden": f"is not a field of this contract: remove it (the fields are {_FIELDS})",
    "string_pattern_mismatch": "may hold 1 to 64 of A-Z a-z 0-9 . _ : - only",
    "string_too_long": "may hold 1 to 64 of A-Z a-z 0-9 . _ : - only",
    "string_unicode": "may hold 1 to 64 of A-Z a-z 0-9 . _ : - only",
    "string_type": "is not text: write a string",
    "dict_type": 'is not an object: write {"SYMBOL": "0.25", ...}',
    "literal_error": "is not a version this gateway reads: write 1, or upgrade the gateway",
    "model_type": 'is not an object: write {"style": "twap", "duration_s": "600", ...}',
    "list_type": 'is not a list: write ["3", "1", "2"]',
    "too_short": "is empty: write at least one weight, or leave it out",
    "too_long": f"is too long: write at most {MAX_STEPS}",
    "int_type": "is not a whole number: write it without quotes or point",
    "greater_than_equal": f"is out of range: write 0 to {MAX_STEPS}",
    "less_than_equal": f"is out of range: write 0 to {MAX_STEPS}",
}
_NESTED = {
    "extra_forbidden": f"is not a field of this object: remove it (the fields are {FIELDS})",
    "string_pattern_mismatch": 'is not a plain decimal like "2.5": digits and one point only',
    "string_type": 'is a JSON number or no number at all: write it as a string, like "2.5"',
}


def _invalid(error: ValidationError) -> InvalidTargets:
    """Turn the first of pydantic's errors into field and remedy, without the input."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(shown(str(part)) for part in first["loc"])
    if len(first["loc"]) > 1 and first["type"] in _NESTED:
        return InvalidTargets(field, _NESTED[first["type"]])
    if first["type"] == "value_error":
        return InvalidTargets(field, str(first["ctx"]["error"]))
    if first["type"] == "enum":
        return InvalidTargets(field, f"is not one of {first['ctx']['expected']}")
    return InvalidTargets(field, _REMEDIES.get(first["type"], "is wrong: see the JSON schema"))


def read_message(raw: bytes, *, max_bytes: int = MAX_BYTES) -> TargetMessage:
    """Return the message in `raw` when its shape is right, or raise `InvalidTargets`."""
    found = load_object(raw, max_bytes)
    try:
        return TargetMessage.model_validate(found)
    except ValidationError as error:
        raise _invalid(error) from None


def _fast(targets: dict[str, Any]) -> dict[str, Decimal] | None:
    """Return the weights when all are surely right, by two matches over all of them; None: look at each."""
    try:
        symbols, texts = "\n".join(targets) + "\n", "\n".join(targets.values()) + "\n"
    except TypeError:
        return None
    if not symbols.count("\n") == texts.count("\n") == len(targets):
        return None
    if _SYMBOL_LINES.fullmatch(symbols) is None or _WEIGHT_LINES.fullmatch(texts) is None:
        return None
    weights = dict(zip(targets, map(Decimal, targets.values()), strict=True))
    return weights if max(weights.values()) <= ONE else None


def _one_by_one(targets: dict[str, Any], *, allow_short: bool) -> dict[str, Decimal]:
    """Return the weights, or say which one is wrong and why."""
    weights = {}
    for symbol, text in targets.items():
        field = f"targets.{shown(symbol)}"
        if not _SYMBOL.fullmatch(symbol):
            raise InvalidTargets(field, "is not a symbol: 1 to 32 ASCII letters, digits and . _ / : = -")
        weight = read_decimal(field, text, _WEIGHT)
        if text.startswith("-"):
            if not allow_short:
                raise InvalidTargets(field, "is negative, and this account may not sell short")
            weight += ZERO
        if not -ONE <= weight <= ONE:
            raise InvalidTargets(field, 'is over 1 (100 %): weights are fractions, 25 % is "0.25"')
        weights[symbol] = weight
    return weights


def read_weights(
    targets: dict[str, Any], *, allow_short: bool = False, max_symbols: int = MAX_SYMBOLS
) -> dict[str, Decimal]:
    """Return the weights as Decimals when each and all of them are possible."""
    if not targets:
        raise InvalidTargets("targets", 'is empty: name at least one symbol (weight "0" sells it)')
    if len(targets) > max_symbols:
        raise InvalidTargets("targets", f"{len(targets)} symbols are over the limit of {max_symbols}")
    weights = _fast(targets)
    if weights is None:
        weights = _one_by_one(targets, allow_short=allow_short)
    total = sum(weights.values(), ZERO)
    if total > ONE:
        raise InvalidTargets("targets", f"add up to {total}, over 1 (100 %): lower them to at most 1")
    return weights


def check_times(message: TargetMessage, now: datetime) -> None:
    """Refuse a message that is over, or whose times cannot be; raises `InvalidTargets`."""
    if message.expires_at <= now:
        raise InvalidTargets("expires_at", f"is over since {now - message.expires_at}: submit fresh targets")
    if message.expires_at - now > MAX_LIFETIME:
        raise InvalidTargets("expires_at", "is more than 24 h ahead: choose a nearer time")
    if message.as_of - now > MAX_FUTURE:
        raise InvalidTargets("as_of", "is more than 60 s in the future: set the submitter's clock")
    if message.as_of >= message.expires_at:
        raise InvalidTargets("as_of", "is not before expires_at: correct one of them")


def _known(field: str, name: str, names: Collection[str], where: str) -> None:
    if name not in names:
        raise InvalidTargets(field, f"{shown(name)} is not known: correct it, or add it to {where}")


def parse_targets(
    raw: bytes,
    *,
    now: datetime,
    accounts: Collection[str],
    instruments: Collection[str],
    allow_short: bool = False,
    max_bytes: int = MAX_BYTES,
    max_symbols: int = MAX_SYMBOLS,
    entry_id: str = "",
    signed_by: str = "",
) -> TargetsSubmitted:
    """Return the event of one target message, or raise `InvalidTargets(field, reason)`; nothing else.

    At most `max_bytes` bytes and `max_symbols` symbols; `now` is aware UTC and becomes the event's `at`.
    Pass sets or dicts as `accounts` and `instruments`.
    """
    message = read_message(raw, max_bytes=max_bytes)
    _known("account", message.account, accounts, "config/accounts.toml")
    check_times(message, now)
    weights = read_weights(message.targets, allow_short=allow_short, max_symbols=max_symbols)
    for symbol in weights:
        if symbol not in instruments:
            _known(f"targets.{symbol}", symbol, instruments, "config/instruments.toml")
    return TargetsSubmitted(
        at=now,
        request_id=message.request_id,
        account=message.account,
        targets=weights,
        as_of=message.as_of,
        expires_at=message.expires_at,
        others=message.others,
        mode=message.mode,
        regime=message.regime,
        entry_id=entry_id,
        signed_by=signed_by,
        execution=message.execution.override() if "execution" in message.model_fields_set else None,
        policy=message.policy,
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the target message, for the documents and other languages."""
    return TargetMessage.model_json_schema()


def plain(symbol: str, weight: Weight) -> str:
    """Return a weight as the plain decimal text the contract wants."""
    if isinstance(weight, str):
        return weight
    if isinstance(weight, bool) or not isinstance(weight, (Decimal, float, int)):
        raise InvalidTargets(f"targets.{symbol}", 'is not a number: write a decimal string like "0.25"')
    number = Decimal(repr(float(weight))) if isinstance(weight, float) else Decimal(weight)
    if not number.is_finite():
        raise InvalidTargets(f"targets.{symbol}", "is not a finite number: correct the strategy's arithmetic")
    if isinstance(weight, float) and abs(number) < _QUANTIZED_BELOW:
        number = number.quantize(_FLOAT_STEP, ROUND_DOWN)
    return format(number + 0, "f")


def targets_from_csv(text: str) -> dict[str, str]:
    """Return {symbol: weight} of a CSV with the header `symbol,weight`; weights stay text."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    targets: dict[str, str] = {}
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        if header != ["symbol", "weight"]:
            raise InvalidTargets("csv", "line 1 is not the header: write symbol,weight")
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise InvalidTargets(
                    "csv", f"line {rows.line_num} has {len(cells)} cells: write symbol,weight"
                )
            if cells[0] in targets:
                raise InvalidTargets(
                    "csv", f"line {rows.line_num} names {shown(cells[0])} again: name it once"
                )
            targets[cells[0]] = cells[1]
    except csv.Error as error:
        raise InvalidTargets("csv", f"line {rows.line_num}: {error}") from None
    return targets
