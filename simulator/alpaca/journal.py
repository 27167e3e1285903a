"""What was asked of the venue and when, one JSON line each: carrying it out again gives back every order.

Rules of this room:
1. A line is one `write`, made before the answer leaves. A torn last line was never answered and is dropped.
2. A journal belongs to the options it was begun with; its first line says them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simulator.accounts import SettingError

NAME = "alpaca.jsonl"


class Journal:
    """Append to the file in `folder`; without one nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / NAME
        self._fd = -1

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield what stands there; the torn end is cut off."""
        if self._path is None or not self._path.exists():
            return
        data = self._path.read_bytes()
        whole, _, torn = data.rpartition(b"\n")
        if torn:
            os.truncate(self._path, len(data) - len(torn))
        for number, line in enumerate(whole.split(b"\n"), start=1):
            if line:
                try:
                    yield json.loads(line)
                except ValueError:
                    raise SettingError(
                        f"--store {self._path.parent}: line {number} is broken; give another folder"
                    ) from None

    def open(self) -> None:
        """Begin to append."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Keep one entry."""
        if self._fd >= 0:
            os.write(self._fd, json.dumps(entry).encode() + b"\n")

    def close(self) -> None:
        """Release the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
