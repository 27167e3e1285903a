"""The files of a configuration: TOML, opening lots, and the words of what is wrong in them.

Rules of this room: those of `config.py`.
"""

from __future__ import annotations

import csv
import tomllib
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import ConfigError
from gateway.events import LotOpened


def read_toml(path: Path, remedy: str = "give the configuration with --config FILE") -> dict[str, Any]:
    """Read a TOML file, numbers as Decimal; raises `ConfigError`, which ends in `remedy` without a file."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file, parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; {remedy}") from None
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be read ({problem.strerror}); {remedy}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8; save it as one") from None
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: not valid TOML: {problem}") from None


def first_mistake(problem: ValidationError) -> str:
    """Name the key and what is wrong, without showing any input."""
    errors = problem.errors(include_input=False, include_url=False)
    parts = [str(part) for part in errors[0]["loc"]]
    if parts[:1] in (["links"], ["quotes"]):
        del parts[2:3]  # the kind of the section, which pydantic names, is no key of the file
    key = ".".join(parts) or "(whole file)"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{key}: {_words(errors[0])}{more}"


def _words(error: ErrorDetails) -> str:
    """Say what is wrong with one key, and the remedy where pydantic's own words lack it."""
    if error["type"] == "extra_forbidden":
        return "is no key here; correct its name, or remove it"
    if error["type"] == "missing":
        return "is missing; add it"
    if error["type"] == "union_tag_invalid":
        return f"its kind is not known; write one of {error['ctx']['expected_tags']}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return error["msg"]


def read_lots(path: Path) -> tuple[LotOpened, ...]:
    """Read opening lots; every mistake names file, line and column."""
    lots: list[LotOpened] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            for number, row in enumerate(rows, start=2):
                lots.append(_lot(path, number, row))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file of opening lots; correct opening_lots") from None
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be read ({problem.strerror}); correct opening_lots") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8; save it as one") from None
    return tuple(lots)


def _lot(path: Path, number: int, row: dict[str, str]) -> LotOpened:
    try:
        acquired = date.fromisoformat(row["acquired"])
        qty, cost = Decimal(row["qty"]), Decimal(row["cost"])
    except KeyError as problem:
        raise ConfigError(f"{path}: column {problem} is missing; write symbol,acquired,qty,cost") from None
    except (ValueError, InvalidOperation):
        text = "acquired must be YYYY-MM-DD, qty and cost plain decimals"
        raise ConfigError(f"{path}:{number}: {text}") from None
    if not (qty.is_finite() and cost.is_finite() and qty > 0 and cost >= 0):
        raise ConfigError(f"{path}:{number}: qty must be above 0 and cost not below 0")
    return LotOpened(row["symbol"], acquired.isoformat(), qty, cost)
