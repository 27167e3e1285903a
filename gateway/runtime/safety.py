"""Ask a Redis whether it keeps what it acknowledges.

Rules of this room:
1. Live mode needs `appendonly yes`, `appendfsync always`, `maxmemory-policy noeviction` on a master of
   version 6.2 or newer; every setting that fails is named at once, each with its remedy.
2. WAITAOF is no substitute: Valkey 8.1 and 9.1 answer it before the fsync (measured).
"""

from __future__ import annotations

import re
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.errors import StoreUnsafe

OLDEST = (6, 2)
_REQUIRED = {
    "appendonly": ("yes", "an acknowledged event is lost when the server dies"),
    "appendfsync": ("always", "up to a second of acknowledged events is lost at a power cut"),
    "maxmemory-policy": ("noeviction", "the server may throw keys away when memory runs short"),
    "no-appendfsync-on-rewrite": ("no", "nothing is synced while the log is being rewritten"),
}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


async def check_safety(client: Redis) -> str:
    """Return the server's version, or raise `StoreUnsafe` naming each failed setting and its remedy."""
    info: dict[str, Any] = await client.info()
    faults = []
    version = _text(info.get("valkey_version") or info.get("redis_version", "0"))
    found = tuple(int(part) for part in re.findall(r"\d+", _text(info.get("redis_version", "0")))[:2])
    if found < OLDEST:
        faults.append(f"version {version} is older than 6.2: upgrade the server")
    if _text(info.get("role", "master")) != "master":
        faults.append("this server is a replica: point the url at the master (or at the sentinels)")
    for name, (wanted, loss) in _REQUIRED.items():
        try:
            answer: dict[Any, Any] = await client.config_get(name)
        except ResponseError:
            faults.append(f"CONFIG GET {name} is refused: allow +config|get for this user")
            continue
        value = _text(answer.get(name, answer.get(name.encode(), "not set")))
        if value != wanted:
            faults.append(f"{name} is {value!r}, {loss}: CONFIG SET {name} {wanted}, and in redis.conf")
    if faults:
        raise StoreUnsafe("Redis is not safe for live trading: " + "; ".join(faults))
    return version
