"""One FIX session, sans I/O: every change of its state and of its numbers happens in this file.

Rules of this room:
1. No socket, no clock: frames and the time come in as arguments; bytes wait in `outbound.outbox`, and
   `closing` says that (and why) the connection must end once they are written.
2. The session is symmetric: the same object is the initiator or the acceptor.
3. Judgement goes in this order: BeginString(8), MsgSeqNum(34) present, CompIDs(49, 56), SendingTime(52),
   PossDupFlag(43), sequence; and only a message in sequence is held against the dictionary. A rejected
   message consumes its number; a garbled one never gets here.
4. RefTagID(371) names the tag that breaks the dictionary; a rule of the session (CompID, SendingTime,
   MsgType, sequence) is named by SessionRejectReason(373) alone.
5. A Logout(5) is answered whatever its number, and a ResendRequest(2) that is late is served: ending the
   session over either would keep a peer from putting its numbers right.
6. One ResendRequest(2) is outstanding at a time; at most `max_queued` early messages wait for it.

    DISCONNECTED --connected--> LOGON_AWAITED (acceptor) or LOGON_SENT (initiator)
    LOGON_AWAITED | LOGON_SENT --good Logon--> LOGGED_ON
    LOGGED_ON --logout()--> LOGOUT_SENT --Logout or time--> DISCONNECTED
    LOGGED_ON --Logout received--> LOGOUT_ANSWERED --peer hangs up or time--> DISCONNECTED
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from simulator.fix import logon
from simulator.fix.formats import read_number, read_time
from simulator.fix.message import Message, Pair, reversed_route
from simulator.fix.outbound import Outbound
from simulator.fix.reasons import TEXTS, Reason, Rejection, is_defined
from simulator.fix.terms import Happening, SessionConfig, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.fix.codec import Frame
    from simulator.fix.store import Memory
    from simulator.fix.validation import Validator

ADMIN = frozenset("012345A")
TEST_REQ_ID = "TEST"
_GRACE = 1.2
_SIGNED_TRAILER = frozenset({89, 93})


_BEFORE_LOGON = frozenset({State.LOGON_AWAITED, State.LOGON_SENT})


class Session:
    """Speak the session layer of FIX.4.2 or FIX.4.4 with one peer."""

    def __init__(self, config: SessionConfig, validator: Validator, memory: Memory) -> None:
        self.config = config
        self.resets = 0
        self.id = config.session_id
        self.memory = memory
        self.validator = validator
        self.outbound = Outbound(config.session_id, memory)
        self.state = State.DISCONNECTED
        self.closing: str | None = None
        self.happenings: list[Happening] = []
        self._tolerance = timedelta(seconds=config.time_tolerance_s)
        self._heartbeat = timedelta(0)
        self._last_received: datetime | None = None
        self._test_sent: datetime | None = None
        self._deadline: datetime | None = None
        self._queue: dict[int, Frame] = {}
        self._recover_to = 0
        self._recover_since: datetime | None = None

    # What the connection tells the session.

    def connected(self, now: datetime) -> None:
        """Begin: an initiator sends its Logon(A), an acceptor waits for one."""
        self._forget_connection()
        self._deadline = now + timedelta(seconds=self.config.logon_timeout_s)
        if self.config.initiator:
            self.state = State.LOGON_SENT
            logon.request(self, now)
        else:
            self.state = State.LOGON_AWAITED

    def disconnected(self) -> None:
        """Note that the connection is gone; numbers and kept messages stay."""
        self._forget_connection()

    def receive(self, frame: Frame, now: datetime) -> Message | None:
        """Take one frame; return the application message it carries, if it is that one's turn."""
        self._last_received = now
        self._test_sent = None
        if self.state in _BEFORE_LOGON:
            logon.receive(self, frame, now)
            return None
        if self.state is State.DISCONNECTED:
            return None
        seq_num = read_number(frame.fields.get(34))
        if not self._is_acceptable(frame, seq_num, now) or seq_num is None:
            return None
        if self._is_reset(frame, seq_num, now) or not self._is_fit_duplicate(frame, seq_num, now):
            return None
        if seq_num == self.memory.next_in:
            return self._in_sequence(frame, seq_num, now)
        if self._is_served_anyway(frame, seq_num, now):
            pass
        elif seq_num > self.memory.next_in:
            self._too_high(frame, seq_num, now)
        elif frame.fields.get(43) != "Y":
            self.too_low(seq_num, now)
        return None

    def has_next(self) -> bool:
        """Tell whether a queued early message has become the next in sequence."""
        return self.memory.next_in in self._queue and self.state is not State.DISCONNECTED

    def advance(self, now: datetime) -> Message | None:
        """Process the queued message whose turn has come."""
        seq_num = self.memory.next_in
        return self._in_sequence(self._queue.pop(seq_num), seq_num, now)

    def preview(self, frame: Frame) -> Message | None:
        """Return the application message `receive` would deliver from this frame, changing nothing."""
        seq_num = read_number(frame.fields.get(34))
        if self.state is not State.LOGGED_ON or frame.msg_type in ADMIN or seq_num != self.memory.next_in:
            return None
        return _deliver(frame, seq_num) if self.validator.check(frame) is None else None

    # What the application and the acceptor ask of the session.

    def send(self, message: Message, now: datetime) -> None:
        """Keep one application message; transmit it when logged on, else a resend will."""
        self.outbound.application(message, now, transmit=self.state is State.LOGGED_ON)

    def logout(self, now: datetime, text: str | None = None) -> None:
        """Send Logout(5) and wait for the peer's."""
        if self.state is State.LOGGED_ON:
            self.outbound.admin("5", [(58, text)] if text else [], now)
            self.state = State.LOGOUT_SENT
            self._deadline = now + timedelta(seconds=self.config.logout_timeout_s)

    def leave(self, now: datetime, text: str | None) -> None:
        """Send Logout(5) and end the connection without waiting."""
        self.outbound.admin("5", [(58, text)] if text else [], now)
        self.close(text or "logged out")

    def close(self, reason: str) -> None:
        """End the connection."""
        self.state = State.DISCONNECTED
        self.closing = reason

    def tick(self, now: datetime) -> None:
        """Do what time demands: Heartbeat(0), TestRequest(1), giving up."""
        if self._deadline is not None and now >= self._deadline:
            self.close(f"time ran out: {self.state}")
        elif self.state is State.LOGGED_ON and self._heartbeat:
            self._keep_alive(now)

    def next_deadline(self) -> datetime | None:
        """Say when `tick` is next worth calling."""
        if self._deadline is not None or self.state is not State.LOGGED_ON or not self._heartbeat:
            return self._deadline
        last_sent, last_received = self.outbound.last_sent, self._last_received
        if last_sent is None or last_received is None:
            return None
        if self._test_sent is not None:
            return self._test_sent + self._heartbeat * _GRACE
        return min(last_sent + self._heartbeat, last_received + self._heartbeat * _GRACE)

    # What logon.py asks of the session.

    def establish(self, heartbeat_s: int, now: datetime) -> None:
        """Be logged on."""
        self.state = State.LOGGED_ON
        self._deadline = None
        self._heartbeat = timedelta(seconds=heartbeat_s)
        self._last_received = now
        self.happenings.append(Happening.LOGGED_ON)

    def restart(self) -> None:
        """Begin both sequences at 1 again."""
        self.memory.reset()
        self._queue.clear()
        self._recover_to = 0
        self.happenings.append(Happening.RESTARTED)

    def is_timely(self, text: str | None, now: datetime) -> bool:
        """Tell whether SendingTime(52) lies within the tolerance of our time; an unreadable one does not."""
        sent = read_time(text or "")
        return sent is not None and abs(now - sent) <= self._tolerance

    def too_low(self, seq_num: int, now: datetime) -> None:
        """Leave a peer whose MsgSeqNum(34) went back: one of us has lost messages."""
        self.leave(now, f"MsgSeqNum too low, expecting {self.memory.next_in} but received {seq_num}")

    def request_missing(self, seen: int, now: datetime) -> None:
        """ResendRequest(2) for everything from the next expected number, unless one is already under way."""
        if self._recover_since is not None and self._recover_to >= self.memory.next_in:
            patience = self._heartbeat or timedelta(seconds=self.config.logon_timeout_s)
            if now - self._recover_since < patience:
                return
        self._recover_to, self._recover_since = seen, now
        self.outbound.admin("2", [(7, str(self.memory.next_in)), (16, "0")], now)

    # The rules, in the order they are applied.

    def _is_acceptable(self, frame: Frame, seq_num: int | None, now: datetime) -> bool:
        """Judge BeginString, MsgSeqNum, CompIDs and SendingTime; other faults are left to the dictionary."""
        fields = frame.fields
        sent = read_time(fields.get(52, ""))
        if frame.begin_string != self.id.begin_string:
            self.leave(now, "Incorrect BeginString")
        elif seq_num is None:
            reason = Reason.INCORRECT_DATA_FORMAT if fields.get(34) else Reason.REQUIRED_TAG_MISSING
            self.leave(now, f"{TEXTS[reason]} (34)")
        elif self._names_another(fields):
            self._expel(frame, seq_num, Reason.COMP_ID_PROBLEM, now)
        elif sent is not None and abs(now - sent) > self._tolerance:
            self._expel(frame, seq_num, Reason.SENDING_TIME_PROBLEM, now)
        else:
            return True
        return False

    def _names_another(self, fields: dict[int, str]) -> bool:
        """Tell whether SenderCompID(49) or TargetCompID(56) is present and wrong."""
        sender, target = fields.get(49), fields.get(56)
        ours = self.id
        return bool((sender and sender != ours.target_comp_id) or (target and target != ours.sender_comp_id))

    def _is_reset(self, frame: Frame, seq_num: int, now: datetime) -> bool:
        """Serve what ignores the sequence: SequenceReset-Reset, and Logon with ResetSeqNumFlag(141)=Y."""
        fields = frame.fields
        if frame.msg_type == "4" and fields.get(123) != "Y":
            self._sequence_reset(frame, seq_num, now)
            return True
        if frame.msg_type == "A" and fields.get(141) == "Y" and fields.get(43) != "Y":
            logon.reset(self, frame, now)
            return True
        return False

    def _is_fit_duplicate(self, frame: Frame, seq_num: int, now: datetime) -> bool:
        """Judge OrigSendingTime(122) of a PossDupFlag(43)=Y message; gap fills may do without it."""
        fields = frame.fields
        if fields.get(43) != "Y" or frame.msg_type == "4":
            return True
        original, sent = read_time(fields.get(122, "")), read_time(fields.get(52, ""))
        if 122 not in fields:  # noqa: PLR2004 - OrigSendingTime
            self._consume(seq_num)
            self._reject(frame, Rejection(Reason.REQUIRED_TAG_MISSING, 122), now)
        elif original is not None and sent is not None and original > sent:
            self._expel(frame, seq_num, Reason.SENDING_TIME_PROBLEM, now)
        else:
            return True
        return False

    def _too_high(self, frame: Frame, seq_num: int, now: datetime) -> None:
        """Ask for what is missing; serve a ResendRequest(2) at once, queue anything else."""
        is_sound = frame.msg_type == "2" and self.validator.check(frame) is None
        if is_sound:
            self._resend_request(frame, now)
        self.request_missing(seq_num, now)
        if not is_sound and len(self._queue) < self.config.max_queued:
            self._queue[seq_num] = frame

    def _is_served_anyway(self, frame: Frame, seq_num: int, now: datetime) -> bool:
        """Serve what must neither wait for a gap nor end over a low number: who leaves, who is behind."""
        is_late = seq_num < self.memory.next_in
        if frame.fields.get(43) == "Y" or frame.msg_type not in ("2", "5"):
            return False
        if (frame.msg_type == "2" and not is_late) or self.validator.check(frame) is not None:
            return False
        self._SERVE[frame.msg_type](self, frame, now)
        return True

    def _in_sequence(self, frame: Frame, seq_num: int, now: datetime) -> Message | None:
        """Consume the expected number; hold the message against the dictionary; serve or deliver it."""
        self.memory.next_in = seq_num + 1
        fault = self.validator.check(frame)
        if fault is not None:
            self._reject(frame, fault, now)
            return None
        if frame.msg_type in ADMIN:
            self._SERVE[frame.msg_type](self, frame, now)
            return None
        return _deliver(frame, seq_num)

    def _consume(self, seq_num: int | None) -> None:
        if seq_num == self.memory.next_in:
            self.memory.next_in += 1

    def _reject(self, frame: Frame, fault: Rejection, now: datetime) -> None:
        """Reject(3) a message; a Reject is never rejected, or two engines would never stop."""
        if frame.msg_type == "3":
            return
        pairs: list[Pair] = [*reversed_route(frame.fields.get)]
        pairs += [(45, str(read_number(frame.fields.get(34)) or 0)), (58, fault.text)]
        if fault.tag is not None:
            pairs.append((371, str(fault.tag)))
        if frame.msg_type:
            pairs.append((372, frame.msg_type))
        if is_defined(fault.reason, self.id.begin_string):
            pairs.append((373, str(int(fault.reason))))
        self.outbound.admin("3", pairs, now)

    def _expel(self, frame: Frame, seq_num: int | None, reason: Reason, now: datetime) -> None:
        """Reject(3), then Logout(5) and hang up."""
        self._consume(seq_num)
        self._reject(frame, Rejection(reason), now)
        self.leave(now, None)

    # Session messages in sequence.

    def _ignore(self, frame: Frame, now: datetime) -> None:
        """Heartbeat(0) and Reject(3) need no answer."""

    def _test_request(self, frame: Frame, now: datetime) -> None:
        self.outbound.admin("0", [(112, frame.fields[112])], now)

    def _resend_request(self, frame: Frame, now: datetime) -> None:
        begin, end = int(frame.fields[7]), int(frame.fields[16])
        last = self.memory.next_out - 1
        if not 1 <= begin <= last:
            self._reject(frame, Rejection(Reason.VALUE_OUT_OF_RANGE, 7), now)
        elif 0 < end < begin:
            self._reject(frame, Rejection(Reason.VALUE_OUT_OF_RANGE, 16), now)
        else:
            self.outbound.resend(begin, min(end or last, last), now)

    def _gap_fill(self, frame: Frame, now: datetime) -> None:
        new_seq_no = int(frame.fields[36])
        if new_seq_no < self.memory.next_in:
            self._reject(frame, Rejection(Reason.VALUE_OUT_OF_RANGE), now)
        else:
            self._jump(new_seq_no)

    def _sequence_reset(self, frame: Frame, seq_num: int, now: datetime) -> None:
        """SequenceReset(4) in reset mode: forward only, whatever its own MsgSeqNum(34)."""
        fault = self.validator.check(frame)
        if fault is not None:
            self._consume(seq_num)
        elif int(frame.fields[36]) < self.memory.next_in:
            fault = Rejection(Reason.VALUE_OUT_OF_RANGE)
        if fault is not None:
            self._reject(frame, fault, now)
        else:
            self._jump(int(frame.fields[36]))

    def _jump(self, new_seq_no: int) -> None:
        self.memory.next_in = new_seq_no
        for seq_num in [key for key in self._queue if key < new_seq_no]:
            del self._queue[seq_num]

    def _logout(self, frame: Frame, now: datetime) -> None:  # noqa: ARG002 - one signature for all
        if self.state is State.LOGGED_ON:
            self._answer_logout(now, self.config.hang_up_timeout_s)
        elif self.state is State.LOGOUT_SENT:
            self.close("logged out")

    def _answer_logout(self, now: datetime, patience_s: float) -> None:
        """Confirm, then leave it to the peer to hang up, for a while."""
        if self.state is State.LOGGED_ON:
            self.outbound.admin("5", [], now)
            self.state = State.LOGOUT_ANSWERED
            self._deadline = now + timedelta(seconds=patience_s)

    def _second_logon(self, frame: Frame, now: datetime) -> None:
        """Logon(A) once more without ResetSeqNumFlag(141): the standard knows no such thing."""
        self._reject(frame, Rejection(Reason.OTHER, note="Logon already received"), now)

    _SERVE: ClassVar[dict[str, Callable[[Session, Frame, datetime], None]]] = {
        "0": _ignore, "1": _test_request, "2": _resend_request, "3": _ignore, "4": _gap_fill,
        "5": _logout, "A": _second_logon,
    }  # fmt: skip

    def _keep_alive(self, now: datetime) -> None:
        last_sent, last_received = self.outbound.last_sent or now, self._last_received or now
        if self._test_sent is not None:
            if now - self._test_sent >= self._heartbeat * _GRACE:
                self.close("the peer did not answer a TestRequest(1)")
        elif now - last_received >= self._heartbeat * _GRACE:
            self.outbound.admin("1", [(112, TEST_REQ_ID)], now)
            self._test_sent = now
        elif now - last_sent >= self._heartbeat:
            self.outbound.admin("0", [], now)

    def _forget_connection(self) -> None:
        self.state = State.DISCONNECTED
        self.closing = None
        self._deadline = self._test_sent = self._recover_since = None
        self._queue.clear()
        self._recover_to = 0


def _deliver(frame: Frame, seq_num: int) -> Message:
    body = frame.pairs[frame.body_start : -1]
    if not _SIGNED_TRAILER.isdisjoint(frame.fields):
        body = [pair for pair in body if pair[0] not in _SIGNED_TRAILER]
    fields = frame.fields
    dup, resend = fields.get(43) == "Y", fields.get(97) == "Y"
    return Message(frame.msg_type, tuple(body), dup, resend, frame.raw, seq_num)
