"""One command to the simulator's control port, for scripts that may import nothing of this repository."""

from __future__ import annotations

import json
import socket
from typing import Any


def ask(port: int, command: str, **arguments: Any) -> dict[str, Any]:
    """Send one command and return its answer."""
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        link.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(link.makefile("rb").readline())
    if "error" in answer:
        raise SystemExit(f"{command}: {answer['error']}")
    return answer
