"""The journal's wire format: events to JSON bytes and back.

Rules of this room:
1. A journal entry is a type name, a version and a JSON object: Decimals as strings, times with a zone.
2. What was written can be read for ever: a shape that changes gets a new version in `VERSIONS` and an
   upcaster from the old one in `UPCASTERS`. A new field with a default needs neither.
3. `tests/golden/events_v1.jsonl` holds every event type as written; it is only ever added to. Every line
   must be readable for ever, and the last line of each type must be what is written today, to the byte.
4. Nothing is written that cannot be read: a NaN or a naive time is refused here, not at replay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from gateway.errors import StoreError
from gateway.events import Event

T = TypeVar("T")
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

EVENT_TYPES: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
VERSIONS: dict[str, int] = dict.fromkeys(EVENT_TYPES, 1)
UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""Lift the JSON object of (type, version) to version + 1."""

_ENCODE = msgspec.json.Encoder(decimal_format="string").encode
_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in EVENT_TYPES.items()}
_DECODE = {name: decoder.decode for name, decoder in _DECODERS.items()}


class Unreadable(StoreError):
    """A journal entry or snapshot cannot be read by this version of the gateway."""


def _holds_floats(kind: object) -> bool:
    """Say whether a float may stand anywhere inside `kind` (msgspec writes NaN as null)."""
    if kind is float:
        return True
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return any(_holds_floats(hints[field.name]) for field in fields(kind))
    return any(_holds_floats(inner) for inner in get_args(kind))


_FLOATS = frozenset(name for name, kind in EVENT_TYPES.items() if _holds_floats(kind))


def encode(event: Event) -> tuple[str, bytes]:
    """Return the event's type name and its JSON; its version is `VERSIONS[name]`."""
    name = type(event).__name__
    if event.at.tzinfo is None:
        raise ValueError(f"{name}.at is naive; every time in an event is aware UTC")
    data = _ENCODE(event)
    if name in _FLOATS and b"null" in data:
        try:
            _DECODE[name](data)
        except msgspec.ValidationError as error:
            raise ValueError(f"{name} holds a number that is not finite: {error}") from None
    return name, data


def decode(name: str, version: int, data: bytes) -> Event:
    """Return the event of one journal entry, lifted to the newest version."""
    current = VERSIONS.get(name)
    if current is None:
        raise Unreadable(
            f"the journal holds a {name[:80]!r} event, which this gateway does not know: "
            "run the gateway version that wrote it, or a newer one"
        )
    try:
        if version == current:
            return _DECODE[name](data)
        return _upcast(name, version, current, data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(
            f"a journal entry {name} version {version} cannot be read ({error}): restore Redis from a "
            "copy of its append-only file, or run the gateway version that wrote it"
        ) from None


def _upcast(name: str, version: int, current: int, data: bytes) -> Event:
    """Lift an old entry step by step."""
    if version > current:
        raise Unreadable(
            f"the journal holds {name} version {version}, this gateway reads up to {current}: "
            "run the gateway version that wrote it, or a newer one"
        )
    body: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
    for step in range(version, current):
        upcaster = UPCASTERS.get((name, step))
        if upcaster is None:
            raise Unreadable(
                f"no upcaster lifts {name} from version {step} to {step + 1}: add one to UPCASTERS in "
                "gateway/runtime/wire.py"
            )
        body = upcaster(body)
    return _DECODE[name](_ENCODE(body))


def encode_state(state: object) -> bytes:
    """Return a snapshot of any tree of dataclasses; the order of every dict is kept."""
    return _ENCODE(state)


def decode_state(data: bytes, kind: type[T]) -> T:
    """Read a snapshot back as `kind`; raises `Unreadable` when it is not one."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"a snapshot cannot be read as {kind.__name__} ({error})") from None


def encode_json(value: object) -> bytes:
    """Return JSON for news and read models: Decimals as strings, times with their zone, enums by value."""
    return _ENCODE(value)


def decode_json(data: bytes) -> Any:
    """Read JSON of news and read models back as plain Python values."""
    return msgspec.json.decode(data)
