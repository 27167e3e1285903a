"""The hand between session and socket: the acceptor's `Interference`, as the plan of faults decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from simulator.faults import Plan
    from simulator.fix.acceptor import Verdict
    from simulator.fix.message import Message, SessionId


class Meddler:
    """Carry out a plan of faults."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def before(self, session: SessionId, message: Message) -> Verdict:  # noqa: ARG002 - Interference
        """Lose a message on its way in, or cut the connection instead of processing it."""
        if self._plan.is_lost(message.msg_type):
            return "drop"
        return "disconnect" if self._plan.cuts_before(message.msg_type) else "process"

    def after(
        self, session: SessionId, raw: bytes, is_app: bool, now: datetime
    ) -> Sequence[tuple[float, bytes]]:
        """Lose, repeat, delay or reorder what leaves."""
        return self._plan.send(str(session), raw, now, is_app=is_app)

    def disconnect_after_processing(self, session: SessionId, message: Message) -> bool:  # noqa: ARG002 - Interference
        """Cut the connection after a message was processed and kept."""
        return self._plan.cuts_after(message.msg_type)

    def silent(self, now: datetime) -> bool:
        """Say nothing for a while."""
        return self._plan.is_silent(now)
