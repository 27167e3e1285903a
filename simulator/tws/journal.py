"""What was asked of the venue and when, one JSON line each, kept as the Alpaca door keeps it."""

from __future__ import annotations

from pathlib import Path

from simulator.alpaca import journal

NAME = "tws.jsonl"


class Journal(journal.Journal):
    """Append to the file in `folder`; without one nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(folder)
        self._path = None if folder is None else folder / NAME
