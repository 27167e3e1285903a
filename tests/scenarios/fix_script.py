"""The scenario language: what is sent, what must come, and what the venue's hand does, a line each.

    # A.1.a  A filled order.                  the first line: the row of the matrix and what it shows
    profiles verbose exchange                 with and without reports of pending requests
    venue ack_delay_ms=3600000                settings of the simulated venue
    send NewOrderSingle(D) ClOrdID(11)=X OrderQty(38)=10000
    do fill cl_ord_id=X qty=2000 price=100    an operation of the simulator's control port
    expect ExecutionReport(8) ClOrdID(11)=X
           ExecType(150)=F OrdStatus(39)=1    an indented line goes on with the one above
    verbose: expect ...                       only where pending requests are reported
    halts OrderQty                            the gateway must halt, and say this

Names: X, Y, Z stand for ClOrdIDs(11), capital letters in ExecID(17), ExecRefID(19) and OrderID(37) for what
was given there first; `-` says that a tag is absent. Every value is what stands on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

VERBS = frozenset({"send", "expect", "do"})
PROFILES = ("verbose", "exchange")
FOLDER = Path(__file__).parent
_TITLE = re.compile(r"# (?P<row>[A-L]\.\d\.[a-f])(?P<variant>-\w+)?  (?P<title>.+)")
_PAIR = re.compile(r"(\w+)\((\d+)\)=(\S+)")
_MESSAGE = re.compile(r"(\w+)\((\w+)\)")
ABSENT = "-"


class ScriptError(Exception):
    """A scenario cannot be read; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `fields` by tag for send and expect, `arguments` by name for do."""

    number: int
    verb: str
    what: str
    fields: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """One scenario file."""

    path: Path
    row: str
    name: str
    title: str
    profiles: tuple[str, ...]
    venue: Mapping[str, str]
    halts: str
    lines: tuple[Line, ...]

    def of(self, profile: str) -> list[Line]:
        """Return the lines of one profile."""
        return [line for line in self.lines if line.profile in ("", profile)]


def every_script() -> list[Script]:
    """Read all scenarios, in the order of their rows."""
    return sorted(map(read, FOLDER.glob("*.fix")), key=lambda one: (one.row, one.name))


def read(path: Path) -> Script:
    """Read one file; raises `ScriptError`."""
    raw = path.read_text(encoding="utf-8").splitlines()
    title = _TITLE.fullmatch(raw[0]) if raw else None
    if title is None:
        raise ScriptError(f"{path.name}: the first line is `# ROW  what it shows`")
    profiles: tuple[str, ...] = PROFILES
    venue: dict[str, str] = {}
    halts = ""
    lines: list[Line] = []
    for number, text in _joined(raw):
        verb, _, rest = text.partition(" ")
        if verb == "profiles":
            profiles = tuple(rest.split())
        elif verb == "venue":
            venue |= dict(_arguments(path, number, rest))
        elif verb == "halts":
            halts = rest.strip()
        else:
            lines.append(_line(path, number, text))
    name = title["row"] + (title["variant"] or "")
    if path.stem != name or not set(profiles) <= set(PROFILES) or not lines:
        raise ScriptError(f"{path.name}: name the file {name}.fix; profiles are {', '.join(PROFILES)}")
    return Script(path, title["row"], name, title["title"], profiles, venue, halts, tuple(lines))


def _joined(raw: list[str]) -> list[tuple[int, str]]:
    """Return the lines that say something, each with what goes on below it."""
    joined: list[tuple[int, str]] = []
    for number, text in enumerate(raw, start=1):
        said = text.partition("#")[0].rstrip()
        if said.startswith(" ") and joined:
            joined[-1] = (joined[-1][0], f"{joined[-1][1]} {said.strip()}")
        elif said:
            joined.append((number, said))
    return joined


def _line(path: Path, number: int, text: str) -> Line:
    profile = ""
    for name in PROFILES:
        if text.startswith(f"{name}: "):
            profile, text = name, text.removeprefix(f"{name}: ")
    verb, what, *rest = text.split()
    if verb not in VERBS:
        raise ScriptError(f"{path.name} line {number}: write send, expect or do, not {verb!r}")
    if verb == "do":
        arguments = dict(_arguments(path, number, " ".join(rest)))
        return Line(number, verb, what, arguments=arguments, profile=profile)
    message = _MESSAGE.fullmatch(what)
    pairs = [_PAIR.fullmatch(one) for one in rest]
    if message is None or not all(pairs):
        raise ScriptError(f"{path.name} line {number}: write Message(type) Name(tag)=value ...")
    found = [one for one in pairs if one is not None]
    fields = {int(one[2]): one[3] for one in found}
    names = {35: message[1], **{int(one[2]): one[1] for one in found}}
    return Line(number, verb, message[2], fields, names, profile=profile)


def _arguments(path: Path, number: int, text: str) -> list[tuple[str, str]]:
    pairs = [one.partition("=") for one in text.split()]
    if not all(sign for _, sign, _ in pairs):
        raise ScriptError(f"{path.name} line {number}: write name=value")
    return [(name, value) for name, _, value in pairs]


def in_fix_42(msg_type: str, fields: Mapping[int, str]) -> dict[int, str]:
    """Say an expected message as FIX 4.2 does: ExecTransType(20), and 1 or 2 for every execution."""
    said = dict(fields)
    if msg_type == "8":
        kind = said.get(150, "")
        said[20] = {"H": "1", "G": "2", "I": "3"}.get(kind, "0")
        if kind in ("F", "G", "H"):
            said[150] = "2" if said.get(14) == said.get(38) else "1"
        if kind == "I":
            said[150] = said[39]
        if int(said.get(103, "0")) > _MOST_OLD_REASONS:
            said[103] = "0"
    return said


_MOST_OLD_REASONS = 8


def side_by_side(line: Line, wanted: Mapping[int, str], found: Mapping[int, str]) -> str:
    """Show what was expected beside what came, and mark the differences."""
    rows = [f"line {line.number}: {'expected':<34} received"]
    for tag, value in wanted.items():
        name = f"{line.names.get(tag, 'tag')}({tag})"
        stood = found.get(tag, ABSENT)
        rows.append(f"  {name:<22} {value:<20} {stood:<20}{'' if stood == value else '  <-- differs'}")
    return "\n".join(rows)
