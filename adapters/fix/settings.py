"""What one FIX session needs to know, as plain data that can cross to the child process.

The password travels in memory only: to the child over an inherited socket, from there into Logon(A).
It is in no file and in no `repr`. `Moment` is what a session remembers over its processes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FixSession:
    """Describe one session with one venue: CompIDs, address, timing and where its numbers are kept.

    `heartbeat_s` is HeartBtInt(108), `reset_on_logon` is ResetSeqNumFlag(141) at every logon (it
    throws the venue's memory of us away: only where the venue demands it), `orders_per_s` the
    venue's message limit (0 for none), `store_folder` belongs to this session alone. `reset_at` (as in
    "Mon 05:00", in `reset_zone`) makes both sides begin at 1 at the first logon behind that moment.
    `connects_per_minute` is the venue's limit, 0 for none. `groups` are repeating groups of what we
    send: counting tag, first tag, other tags; `received_groups` those the venue sends beyond the standard's,
    by MsgType(35). `notes_sent` keeps which order left under which number,
    where the session's own count is all there is to ask (see sent.py).
    """

    name: str
    begin_string: str
    sender_comp_id: str
    target_comp_id: str
    host: str
    port: int
    heartbeat_s: int
    store_folder: Path
    username: str = ""
    password: str = field(default="", repr=False)
    reset_on_logon: bool = False
    orders_per_s: float = 0.0
    reset_at: str = ""
    reset_zone: str = "UTC"
    connects_per_minute: int = 0
    groups: tuple[tuple[int, ...], ...] = ()
    received_groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    notes_sent: bool = False

    def to_json(self) -> str:
        """Return the session as one line of JSON, password included: for the child's socket only."""
        return json.dumps(asdict(self) | {"store_folder": str(self.store_folder)})

    @classmethod
    def from_json(cls, line: str) -> FixSession:
        """Read what `to_json` wrote."""
        data = json.loads(line)
        known = {one.name for one in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        groups = tuple(tuple(one) for one in data.get("groups", ()))
        received = {kind: tuple(one) for kind, one in data.get("received_groups", {}).items()}
        own = {"store_folder": Path(data["store_folder"]), "groups": groups, "received_groups": received}
        return cls(**(values | own))


class Moment:
    """Keep one moment in a small file: it must outlive this process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> datetime | None:
        """Return the moment, None when there is none to read."""
        try:
            return datetime.fromisoformat(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def write(self, at: datetime) -> None:
        """Replace the moment, wholly or not at all."""
        new = self._path.with_suffix(".new")
        new.write_text(at.isoformat(), encoding="ascii")
        new.replace(self._path)
