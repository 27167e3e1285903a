"""`alpaca-py`'s TradingClient, hardened: the only module that sends HTTP requests to Alpaca.

Rules of this room:
1. A request leaves once. The client's own habit of repeating a POST after a 504 makes two orders of one.
2. Nothing waits for ever: connecting takes at most 2 s, an answer 5 s (the client sets no time-out at all).
3. What came back is returned as it is, status and headers included; the client throws headers away and
   turns every refusal into one exception. Numbers become Decimal, never float; the venue's words stay words.
4. `NotSent` says that a request certainly never left, `NoAnswer` that nobody can know.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from alpaca.trading.client import TradingClient
from requests import Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as Disconnected
from requests.exceptions import ConnectTimeout, RequestException, SSLError
from urllib3.exceptions import NewConnectionError

from adapters.base import NotSent

CONNECT_S, ANSWER_S = 2.0, 5.0
MAX_TEXT = 500
"""How much of an answer that is no JSON is kept, in characters."""


class NoAnswer(Exception):
    """Nothing certain came back: the venue may have carried out what was asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what came back: `body` is None where the text is no JSON."""

    status: int
    body: Any
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Say whether the venue did what was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own numbers

    @property
    def message(self) -> str:
        """Return the venue's own words about a refusal."""
        said = self.body.get("message", "") if isinstance(self.body, dict) else self.text
        return f"HTTP {self.status}: {said}" if said else f"HTTP {self.status}"


class RestClient(TradingClient):
    """Ask Alpaca, blocking; each thread has a connection of its own."""

    def __init__(self, key: str, secret: str, url: str) -> None:
        super().__init__(key, secret, url_override=url, raw_data=True)
        self._session.close()
        self._mine = threading.local()
        self._sessions: list[Session] = []

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Answer:
        """Send one request: `data` are parameters of a GET or DELETE and the JSON body of a POST.

        Raises `NotSent` when it certainly did not leave and `NoAnswer` when nothing certain came back.
        """
        return cast("Answer", self._request(method, path, dict(data) if data else None))

    def close(self) -> None:
        """Close every connection."""
        for session in self._sessions:
            session.close()

    def _one_request(self, method: str, url: str, opts: dict[str, Any], retry: int) -> Any:
        del retry  # the caller knows whether a second time would be a second order
        try:
            response = self._connection().request(method, url, timeout=(CONNECT_S, ANSWER_S), **opts)
        except ConnectTimeout:
            raise NotSent("nobody answers there") from None
        except SSLError as problem:
            if "CERTIFICATE_VERIFY_FAILED" in str(problem):
                raise NotSent("its certificate is not to be trusted") from None
            raise NoAnswer("TLS broke before the answer") from None
        except Disconnected as problem:
            reason = problem.args[0] if problem.args else None
            if isinstance(getattr(reason, "reason", None), NewConnectionError):
                raise NotSent("nobody listens there") from None
            raise NoAnswer("the connection broke before the answer") from None
        except RequestException as problem:
            raise NoAnswer(f"{type(problem).__name__} while waiting for the answer") from None
        try:
            body = json.loads(response.text, parse_float=Decimal) if response.text else None
        except ValueError:
            body = None
        return Answer(response.status_code, body, response.text[:MAX_TEXT], response.headers)

    def _connection(self) -> Session:
        session: Session | None = getattr(self._mine, "session", None)
        if session is None:
            session = self._mine.session = Session()
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))
            self._sessions.append(session)
        return session
