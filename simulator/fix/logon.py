"""Logon(A): who may begin a session, on which terms, and with which numbers.

Rules of this room:
1. A stranger, a wrong secret, a stale SendingTime(52) and anything that is not a Logon are hung up on
   without a word: an answer would consume a number of a session that was never agreed (FIX 4.4, Logon).
2. A known peer whose Logon is malformed is told so in Logout(5), then hung up on.
3. During maintenance a known peer is told so in Logout(5), whatever else its Logon says.
4. The reply repeats EncryptMethod(98)=0 and HeartBtInt(108); ResetSeqNumFlag(141)=Y only if the peer set it.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from simulator.fix.reasons import TEXTS, Reason

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.fix.codec import Frame
    from simulator.fix.message import Pair
    from simulator.fix.session import Session

DEFAULT_HEARTBEAT_S = 30
MAX_HEARTBEAT_S = 86_400
MOST_RESETS = 5


def request(session: Session, now: datetime) -> None:
    """Send the initiator's Logon(A)."""
    config = session.config
    if config.reset_on_logon:
        session.restart()
    heartbeat_s = DEFAULT_HEARTBEAT_S if config.heartbeat_s is None else config.heartbeat_s
    pairs: list[Pair] = [(98, "0"), (108, str(heartbeat_s))]
    if config.reset_on_logon:
        pairs.append((141, "Y"))
    if config.username is not None:
        pairs.append((553, config.username))
    if config.password is not None:
        pairs.append((554, config.password))
    session.outbound.admin("A", pairs, now)


def receive(session: Session, frame: Frame, now: datetime) -> None:
    """Judge the first frame of a connection and, if it is a good Logon(A), begin the session."""
    refusal = _silent_refusal(session, frame, now)
    if refusal is not None:
        session.close(refusal)
        return
    complaint = session.config.hours.refusal(now) or _complaint(session, frame)
    seq_num = frame.fields.get(34, "")
    if complaint is not None:
        if seq_num == str(session.memory.next_in):
            session.memory.next_in += 1
        session.leave(now, complaint)
    else:
        _begin(session, frame, int(seq_num), now)


def _silent_refusal(session: Session, frame: Frame, now: datetime) -> str | None:
    """Say why this connection deserves no answer, or None."""
    fields, ours = frame.fields, session.id
    if frame.msg_type != "A":
        return f"the first message is {frame.msg_type}, not Logon(A)"
    if (frame.begin_string, fields.get(49), fields.get(56)) != (
        ours.begin_string, ours.target_comp_id, ours.sender_comp_id,
    ):  # fmt: skip
        return "the Logon(A) names another session"
    if not session.is_timely(fields.get(52), now):
        return "the SendingTime(52) of the Logon(A) is not our time"
    return None if session.config.initiator else _wrong_secret(session, frame)


def _wrong_secret(session: Session, frame: Frame) -> str | None:
    """Compare Username(553) and Password(554), when configured, without telling how far they match."""
    for tag, expected in ((553, session.config.username), (554, session.config.password)):
        given = frame.fields.get(tag, "").encode("latin-1")
        if expected is not None and not hmac.compare_digest(given, expected.encode()):
            return "the credentials of the Logon(A) are wrong"
    return None


def _complaint(session: Session, frame: Frame) -> str | None:
    """Say what is wrong with the terms of a known peer's Logon(A), or None."""
    fault = session.validator.check(frame)
    if fault is not None:
        return fault.text if fault.tag is None else f"{fault.text} ({fault.tag})"
    if frame.fields[98] != "0":
        return "EncryptMethod(98) must be 0: encryption is not supported"
    if not 0 <= int(frame.fields[108]) <= MAX_HEARTBEAT_S:
        return f"{TEXTS[Reason.VALUE_OUT_OF_RANGE]} (108)"
    return None if session.config.initiator else _against_the_venues_rules(session, frame)


def _against_the_venues_rules(session: Session, frame: Frame) -> str | None:
    """Say which rule of the venue's dialect a Logon(A) breaks, or None."""
    dialect, fields = session.config.dialect, frame.fields
    asks_reset = fields.get(141) == "Y"
    if dialect.needs_login and not (fields.get(553) and fields.get(554)):
        return "Username(553) and Password(554) are required"
    if dialect.heartbeat_s and int(fields[108]) != dialect.heartbeat_s:
        return f"HeartBtInt(108) must be {dialect.heartbeat_s}"
    if dialect.resets == "logon" and not asks_reset:
        return "ResetSeqNumFlag(141) must be Y at every logon"
    if dialect.resets == "week" and asks_reset and not session.memory.is_fresh:
        session.resets += 1
        if session.resets > MOST_RESETS:
            return f"ResetSeqNumFlag(141)=Y came more than {MOST_RESETS} times; call the desk"
    return None


def _begin(session: Session, frame: Frame, seq_num: int, now: datetime) -> None:
    """Agree on the numbers and be logged on."""
    config, memory = session.config, session.memory
    asks_reset = frame.fields.get(141) == "Y"
    if not config.initiator and (asks_reset or config.reset_on_logon):
        session.restart()
    elif asks_reset and not config.reset_on_logon:
        session.restart()
        memory.next_out = 2
    if seq_num < memory.next_in:
        session.too_low(seq_num, now)
        return
    heartbeat_s = _heartbeat(session, frame)
    if not config.initiator:
        _reply(session, heartbeat_s, asks_reset=asks_reset, now=now)
    session.establish(heartbeat_s, now)
    if seq_num == memory.next_in:
        memory.next_in += 1
    else:
        session.request_missing(seq_num, now)


def reset(session: Session, frame: Frame, now: datetime) -> None:
    """Serve a Logon(A) with ResetSeqNumFlag(141)=Y inside a living session: both sides begin at 1 again."""
    complaint = _complaint(session, frame)
    if complaint is None and frame.fields[34] != "1":
        complaint = "MsgSeqNum(34) must be 1 when ResetSeqNumFlag(141)=Y"
    if complaint is not None:
        session.leave(now, complaint)
        return
    session.restart()
    heartbeat_s = _heartbeat(session, frame)
    _reply(session, heartbeat_s, asks_reset=True, now=now)
    session.establish(heartbeat_s, now)
    session.memory.next_in = 2


def _heartbeat(session: Session, frame: Frame) -> int:
    configured = session.config.heartbeat_s
    return int(frame.fields[108]) if configured is None else configured


def _reply(session: Session, heartbeat_s: int, *, asks_reset: bool, now: datetime) -> None:
    pairs: list[Pair] = [(98, "0"), (108, str(heartbeat_s))]
    if asks_reset:
        pairs.append((141, "Y"))
    session.outbound.admin("A", pairs, now)
