"""Notices: the alerts of the news stream, as they are read back.

Rules of this room:
1. What is no alert is told by its first bytes and not decoded: a basket makes thousands of other news.
2. A message that was refused (a dead letter) is a warning, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from redis.asyncio import Redis

from gateway.runtime.keys import Keys
from gateway.runtime.wire import decode_json

SEVERITIES: Final = ("info", "warning", "critical")
INTERESTING: Final = (b'{"kind":"Alert"', b'{"kind":"Rejected"')
PAGE: Final = 500
LONGEST: Final = 600


@dataclass(frozen=True, slots=True)
class Notice:
    """Hold one alert of the news stream; `entry_id` is its place there, `at` the gateway's own time."""

    entry_id: str
    at: str
    severity: str
    code: str
    text: str
    account: str = ""

    def line(self) -> str:
        """Say it in one line."""
        of = f" [{self.account}]" if self.account else ""
        return f"{self.at[:19].replace('T', ' ')} UTC  {self.severity} {self.code}{of}: {self.text[:LONGEST]}"


def read_notice(entry_id: str, data: bytes) -> Notice | None:
    """Return the alert in an entry of the news; None when it is none. A dead letter is a warning, too."""
    if not data.startswith(INTERESTING):
        return None
    item = decode_json(data)
    event, at = item["event"], item["at"] or ""
    if item["kind"] == "Rejected":
        text = f"a message on {event['stream']} was refused: {event['field']}: {event['reason']}"
        return Notice(entry_id, at, "warning", "Rejected", text)
    return Notice(entry_id, at, event["severity"], event["code"], event["text"], event.get("account", ""))


async def notices_between(redis: Redis, keys: Keys, begins: datetime, ends: datetime) -> list[Notice]:
    """Return the alerts raised from `begins` until before `ends`, of those the news still hold, in order.

    The times are the gateway's own, which a simulated clock moves; so every entry is looked at.
    """
    found: list[Notice] = []
    after = "-"
    while True:
        rows: Any = await redis.xrange(keys.news, min=after, count=PAGE)
        for entry_id, row in rows:
            notice = read_notice(entry_id.decode(), row.get(b"d", b""))
            if notice is not None and notice.at and begins <= datetime.fromisoformat(notice.at) < ends:
                found.append(notice)
        if len(rows) < PAGE:
            return found
        after = f"({rows[-1][0].decode()}"


async def recent_notices(redis: Redis, keys: Keys, count: int) -> list[Notice]:
    """Return the newest `count` alerts, oldest first."""
    found: list[Notice] = []
    end = "+"
    while len(found) < count:
        rows: Any = await redis.xrevrange(keys.news, max=end, count=PAGE)
        for entry_id, row in rows:
            notice = read_notice(entry_id.decode(), row.get(b"d", b""))
            if notice is not None:
                found.append(notice)
        if len(rows) < PAGE:
            break
        end = f"({rows[-1][0].decode()}"
    return found[:count][::-1]
