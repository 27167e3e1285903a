"""Logs: standard library only, one line for each thing that happened, and never a secret.

Rules of this room:
1. Every line passes `redact`, tracebacks included; secrets known by value are replaced wherever they
   stand, secrets known by shape (password=, 554=, sig, a login in a URL) wherever they look like one.
2. A traceback shows code, never local variables.
3. Extra fields are what the caller passes as `extra={...}`; in JSON they stand beside the message.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, TextIO

HIDDEN: Final = "***"
SHORTEST_SECRET: Final = 4
_WORDS = r"password|passwd|secret|api_?key|token|authorization|private_?key|credential"
_NAME = rf"\b(?:\w*(?:{_WORDS})\w*|sig)[\"']?\s*[=:]\s*"
_VALUE = r"""(?:b?"[^"]*"|b?'[^']*'|v1,[^\s"']+|(?:bearer |basic )?[^\s,;&"'}\])]+)"""
_PATTERNS = (
    # our own signatures
    (re.compile(r"\bv1,([A-Za-z0-9._-]{1,32}),[^\s\"']+"), rf"v1,\1,{HIDDEN}"),
    # a FIX password (554), new password (925) or encrypted one (1402, 1404), up to the field's end
    (re.compile(r"(?<![0-9])(554|925|1402|1404)=.*?(?=\x01|\||\^A|\n|$)"), rf"\1={HIDDEN}"),
    # "password": "x", password='x', password=x, Authorization: Bearer x
    (re.compile(f"({_NAME}){_VALUE}", re.IGNORECASE), rf"\1{HIDDEN}"),
    # scheme://user:password@host
    (re.compile(r"(\w+://[^\s:/@]*):[^\s@]*@"), rf"\1:{HIDDEN}@"),
)
_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class Redactor:
    """Take secrets out of text, by shape and by value."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({one for one in secrets if len(one) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text


class LineFormatter(logging.Formatter):
    """Write one line for a person, or one JSON object for a machine."""

    def __init__(self, redact: Redactor, *, as_json: bool) -> None:
        super().__init__()
        self._redact = redact
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted line; a traceback follows it (or stands in the JSON as text)."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = self._redact(record.getMessage())
        trace = self._redact(self.formatException(record.exc_info)) if record.exc_info else ""
        extra = {name: value for name, value in record.__dict__.items() if name not in _PLAIN}
        if self._as_json:
            line: dict[str, Any] = {
                "at": at,
                "level": record.levelname,
                "logger": record.name,
                "message": message,
            }
            line |= {name: self._value(name, value) for name, value in extra.items() if name not in line}
            if trace:
                line["traceback"] = trace
            return json.dumps(line, ensure_ascii=False)
        shown = self._redact("".join(f" {name}={value}" for name, value in extra.items()))
        text = f"{at} {record.levelname:<8} {record.name}: {message}{shown}".replace("\n", "\n  ")
        return f"{text}\n{trace}" if trace else text

    def _value(self, name: str, value: object) -> object:
        """Return a JSON value; a text is judged together with its name."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return self._redact(f"{name}={value}").removeprefix(f"{name}=")


def setup_logging(
    level: str = "INFO", *, as_json: bool = False, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send every log line, redacted, to `stream` (standard error); replaces handlers set before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(Redactor(secrets), as_json=as_json))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
