"""The `execution` object of a target message: what one request wants otherwise than its account.

Rules of this room: those of `schema.py`. Fractions are decimal strings, counts are JSON integers, null is
nothing; what is left out is as the account has it. Whether it all makes sense together is asked where the
account is known (`doors.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from gateway.domain.schedule import MAX_STEPS, ChaseEnd, ScheduleOverride, Style
from gateway.errors import InvalidTargets

NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,6})?"
Number = Annotated[str, Field(pattern=f"^{NUMBER}$")]
Count = Annotated[StrictInt, Field(ge=0, le=MAX_STEPS)]


def _no_default(schema: dict[str, Any]) -> None:
    """Leave the default out of the JSON schema: null is not allowed, the field may be left out."""
    schema.pop("default", None)


def optional(description: str) -> Any:
    """Describe a field that may be left out but may not be null."""
    return Field(None, description=description, json_schema_extra=_no_default)


class ExecutionMessage(BaseModel):
    """How to work this request; every field left out is as the account is configured."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    style: Style = optional("at_once, twap, vwap (by volume_curve) or chase (a limit that follows).")
    duration_s: Number = optional("twap, vwap: seconds the sells, and after them the buys, are spread over.")
    slices: Count = optional("twap: in how many equal slices.")
    volume_curve: Annotated[list[Number], Field(min_length=1, max_length=MAX_STEPS)] = optional(
        "vwap: weights of equal parts of the duration, in any unit."
    )
    chase_interval_s: Number = optional("chase: seconds between two looks at the limits.")
    chase_step_bps: Number = optional("chase: a limit nearer than this to where it should be is left alone.")
    chase_limit_bps: Number = optional("chase: never further than this from the price at approval.")
    chase_steps: Count = optional("chase: how often the limits are looked at before it ends.")
    chase_end: ChaseEnd = optional("chase: what becomes of the rest, market or leave.")

    def override(self) -> ScheduleOverride:
        """Return what was said, as the engine takes it."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        for name in DECIMALS & found.keys():
            found[name] = Decimal(found[name])
        if "volume_curve" in found:
            found["volume_curve"] = tuple(Decimal(weight) for weight in found["volume_curve"])
        return ScheduleOverride(**found)


DECIMALS: Final = frozenset({"duration_s", "chase_interval_s", "chase_step_bps", "chase_limit_bps"})
COUNTS: Final = frozenset({"slices", "chase_steps"})
FIELDS: Final = ", ".join(ExecutionMessage.model_fields)


def written(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return an `execution` object as the contract wants it, from Python's own numbers."""
    found: dict[str, Any] = {}
    for name, value in wanted.items():
        try:
            if name in DECIMALS:
                found[name] = _plain(value)
            elif name in COUNTS and not isinstance(value, bool):
                found[name] = int(value) if value == int(value) else value
            elif name == "volume_curve":
                found[name] = [_plain(weight) for weight in value]
            else:
                found[name] = value
        except (InvalidOperation, TypeError, ValueError, OverflowError):
            raise InvalidTargets(f"execution.{name}", "is not a number: correct it") from None
    return found


def _plain(value: str | Decimal | float) -> str:
    """Write a number as plain decimal text."""
    if isinstance(value, str):
        return value
    return format(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), "f")
