"""The echo profile: orders, security definitions and e-mails go straight back; everything else is refused.

An echo has the body it answers, written as whatever we compose: in ascending order of the tags.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simulator.fix import business
from simulator.fix.application import Outgoing, Reply
from simulator.fix.dictionary import load

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.fix.message import Message, SessionId

ECHOED = frozenset({"D", "d", "C"})
MAX_REMEMBERED = 100_000
_NOTHING = Reply()
_CL_ORD_ID = 11


class Echo:
    """Send D, d and C back with the same body; swallow an order sent again with PossResend(97)=Y.

    At most `MAX_REMEMBERED` ClOrdIDs a session are remembered; the oldest is forgotten first.
    """

    def __init__(self) -> None:
        self._seen: dict[str, OrderedDict[str, None]] = {}

    def receive(self, session: SessionId, message: Message, now: datetime) -> Reply:  # noqa: ARG002 - Application
        """Answer one message."""
        if message.msg_type not in ECHOED:
            refusal = business.unsupported(message)
            return _NOTHING if refusal is None else Reply((Outgoing(session, refusal),))
        record = None
        if message.msg_type == "D":
            name, cl_ord_id = str(session), message.get(_CL_ORD_ID, "")
            if message.poss_resend and cl_ord_id in self._seen.get(name, ()):
                return _NOTHING
            record = {"session": name, "cl_ord_id": cl_ord_id}
            self.replay(record)
        layout = load(session.begin_string).messages[message.msg_type]
        answer = replace(message, poss_dup=False, body=layout.ascending(message.body))
        return Reply((Outgoing(session, answer),), record)

    def logged_on(self, session: SessionId, now: datetime) -> Reply:  # noqa: ARG002 - Application
        """Have nothing to say at logon."""
        return _NOTHING

    def restarted(self, session: SessionId, now: datetime) -> Reply:  # noqa: ARG002 - Restartable
        """Forget what the session saw before its numbers went back to 1: it is a new session."""
        record = {"session": str(session), "restarted": True}
        self.replay(record)
        return Reply(record=record)

    def tick(self, now: datetime) -> Reply:  # noqa: ARG002 - Application
        """Have nothing to do with time."""
        return _NOTHING

    def next_tick(self) -> datetime | None:
        """Want no tick."""
        return None

    def replay(self, record: dict[str, Any]) -> None:
        """Remember one ClOrdID(11), or forget all of a session."""
        if record.get("restarted"):
            self._seen.pop(record["session"], None)
            return
        seen = self._seen.setdefault(record["session"], OrderedDict())
        seen[record["cl_ord_id"]] = None
        if len(seen) > MAX_REMEMBERED:
            seen.popitem(last=False)
