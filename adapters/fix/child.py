"""The child process: quickfix with one session, between a socket to the gateway and a spool on disk.

Started as ``python -m adapters.fix.child FD`` with one end of a socket pair. Lines in: the session as
JSON, then ``order ID RAW``, ``ask ID RAW`` and ``trace ID -``. Lines out: ``spooled``, ``up [reset]``,
``down REASON``, ``withheld ID REASON``, ``unsent ID REASON``. End of file means that the gateway is gone:
log out and end.

Rules of this room:
1. No exception leaves a callback: quickfix would turn the session into a zombie. What may not be
   survived (a message that cannot be spooled) ends the process before quickfix counts the message.
2. Every inbound application message and session reject is in the spool before its callback returns.
3. Orders leave only while the session is logged on and caught up. The session layer never repeats
   one by itself: it keeps no sent messages (Logon(A) with its password would be among them) and
   fills a venue's gaps with SequenceReset(4). What the venue missed is looked up and sent by the engine.
4. Raw text both ways: a tag or value we do not know must not make a fill disappear, so quickfix's
   dictionary is used for nothing but to keep repeating groups whole (see groups.py).
5. Numbers begin at 1 again only when the session's terms say so (see standing.py). When we last may
   have connected is kept beside the session, so that a new process does not knock too often.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import quickfix as fix

from adapters.fix.dialects.sessions import pause_before_connect_s
from adapters.fix.gate import Gate
from adapters.fix.groups import build
from adapters.fix.initiator import initiator
from adapters.fix.line import Line
from adapters.fix.sent import SentLog
from adapters.fix.settings import FixSession, Moment
from adapters.fix.spool import SpoolWriter
from adapters.fix.standing import Standing

OURS = "*"
"""Stands in a spool record for a reject that our own session layer sent."""

REMEMBERED = 20_000
SWITCH_S = 0.0002
"""How long one thread may keep Python from the other: the default lets a burst of orders hold up reports."""

PROOF_EVERY_S = 0.5
LOCK_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 6.0
EXIT_LOCKED = 4
EXIT_SPOOL = 3
SOH = "\x01"


class Session(fix.Application):  # type: ignore[misc] # quickfix has no type information
    """Answer quickfix's callbacks, which arrive on its own thread."""

    def __init__(
        self,
        config: FixSession,
        spool: SpoolWriter,
        tell: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__()
        self.id = fix.SessionID(config.begin_string, config.sender_comp_id, config.target_comp_id)
        self.is_up = False
        self._is_logged_on = False
        self._config = config
        self._spool = spool
        self._tell = tell
        self._now = now
        self._standing = Standing(config, now)
        self._obstacle = ""
        self._is_trying = False
        self._still_expected = 0
        self._connects = Moment(config.store_folder / "last-connect")
        self._is_reset_sent = False
        self._proof = ""
        self._logons = 0
        self._farewell = ""
        self._sending = ""
        self._is_order = False
        self._sent: OrderedDict[str, str] = OrderedDict()
        self._log = SentLog(config.store_folder / "sent") if config.notes_sent else None
        self._logon_seq = 0
        self._gate = Gate()

    # The callbacks; their names are quickfix's.

    def onCreate(self, _id: fix.SessionID) -> None:
        """Take note of nothing: the session is known already."""

    def onLogon(self, _id: fix.SessionID) -> None:
        """Ask for the proof that everything the venue still owed us has come."""
        try:
            self._logons += 1
            self._proof = f"caught-up-{self._logons}"
            self._farewell = ""
            self._is_logged_on, self._is_trying = True, False
            self._note_reset()
            self._note_lost(self._logon_seq)
            self.ask_for_proof()
        except BaseException as problem:
            _complain("onLogon", problem)

    def ask_for_proof(self) -> None:
        """Ask for a Heartbeat(0) that names the present logon, until it has come.

        Once is not enough: a TestRequest(1) sent while the venue asks for a resend falls into the
        gap that is then filled over it.
        """
        if self._is_logged_on and not self.is_up:
            text = f"8={self._config.begin_string}{SOH}9=0{SOH}35=1{SOH}112={self._proof}{SOH}10=000{SOH}"
            fix.Session.sendToTarget(fix.Message(text, False), self.id)

    def keep_terms(self) -> None:
        """Log out where nobody may be logged on; while logged off, note that we may connect any moment."""
        if self._is_trying:
            return
        session, obstacle = fix.Session.lookupSession(self.id), self._standing.obstacle()
        if session is not None and obstacle != self._obstacle:
            self._farewell = obstacle
            if obstacle and not self._is_logged_on:
                self._tell(f"barred {obstacle}")
            if obstacle:
                session.logout(obstacle)
            else:
                session.logon()
            self._obstacle = obstacle
        if self._is_logged_on or obstacle:
            return
        if self._config.connects_per_minute:
            self._connects.write(self._now())
        if session is not None and self._standing.has_terms:
            session.setResetOnLogon(self._standing.begins_at_one())

    def _note_reset(self) -> None:
        """Remember the first logon of a period, once the venue has accepted it."""
        if self._is_reset_sent:
            self._standing.note_reset()
            if self._log is not None:
                self._log.begin_again()

    def _note_lost(self, first: int, last: int = 0) -> None:
        """Say which orders the venue certainly has not: their numbers were never used, or not received."""
        if self._log is not None:
            for cl_ord_id in self._log.lost(first, last):
                self._tell(f"unsent {cl_ord_id} {self._log.why_unsent(cl_ord_id)}")

    def trace(self, cl_ord_id: str) -> None:
        """Answer whether an order is certainly not at the venue; silent when it may be."""
        if self._log is not None and (why := self._log.why_unsent(cl_ord_id)):
            self._tell(f"unsent {cl_ord_id} {why}")

    def onLogout(self, _id: fix.SessionID) -> None:
        """Say that nothing can be sent any more."""
        try:
            self.is_up = self._is_logged_on = self._is_trying = False
            self._expect_again()
            self.keep_terms()
            self._tell(f"down {self._farewell or 'the connection ended'}")
        except BaseException as problem:
            _complain("onLogout", problem)

    def toAdmin(self, message: fix.Message, _id: fix.SessionID) -> None:
        """Look after Logon(A) and its credentials; keep a reject of ours, which may have hit a report."""
        try:
            msg_type = message.getHeader().getField(35)
            if msg_type == "A":
                self._is_trying = True
                self._is_reset_sent = f"{SOH}141=Y{SOH}" in message.toString()
                if self._is_reset_sent:
                    self._standing.note_try()
                self._logon_seq = int(message.getHeader().getField(34))
                if self._config.username:
                    message.setField(553, self._config.username)
                    message.setField(554, self._config.password)
            elif msg_type == "3":
                self._keep(message.toString(), OURS)
            elif msg_type == "4":
                self._gate.open()
        except BaseException as problem:
            _complain("toAdmin", problem)

    def toApp(self, message: fix.Message, _id: fix.SessionID) -> None:
        """Remember whose number this is, for the reject that may come back for it."""
        try:
            seq = message.getHeader().getField(34)
            self._sent[seq] = self._sending
            if self._log is not None and self._is_order:
                self._log.sent(self._sending, int(seq))
            if len(self._sent) > REMEMBERED:
                self._sent.popitem(last=False)
        except BaseException as problem:
            _complain("toApp", problem)

    def fromAdmin(self, message: fix.Message, _id: fix.SessionID) -> None:
        """Watch for the proof of being caught up, for rejects, and for the reason of a logout."""
        try:
            raw = message.toString()
            msg_type = message.getHeader().getField(35)
            if msg_type == "0" and not self.is_up and f"{SOH}112={self._proof}{SOH}" in raw:
                self.is_up = True
                self._tell("up reset" if self._is_reset_sent else "up")
            elif msg_type == "2":
                self._gate.shut()
                self._note_lost(int(_value(raw, "7")), int(_value(raw, "16")))
            elif msg_type == "3":
                self._keep(raw, self._refused(raw))
            elif msg_type == "5":
                self._take_farewell(raw)
        except BaseException as problem:
            _complain("fromAdmin", problem)

    def _take_farewell(self, raw: str) -> None:
        """Keep the reason of a Logout(5), and the number we expected when it came ahead of others.

        quickfix counts a Logout(5) as the number it expects, whichever it has: what came before it and
        was missed, a fill perhaps, would never be asked for.
        """
        if not self._obstacle:
            self._farewell = f"the venue logged us out: {_value(raw, '58') or 'no reason given'}"
        session = fix.Session.lookupSession(self.id)
        if session is not None and int(_value(raw, "34")) > (expected := session.getExpectedTargetNum()):
            self._still_expected = expected

    def _expect_again(self) -> None:
        """Go back to the number that a Logout(5) was taken for."""
        session, expected = fix.Session.lookupSession(self.id), self._still_expected
        if session is not None and expected:
            self._still_expected = 0
            session.setNextTargetMsgSeqNum(expected)

    def fromApp(self, message: fix.Message, _id: fix.SessionID) -> None:
        """Put the message where it cannot be lost, then tell the gateway."""
        try:
            raw = message.toString()
            self._keep(raw, self._refused(raw) if f"{SOH}35=j{SOH}" in raw else "")
        except BaseException as problem:
            _complain("fromApp", problem)
            os._exit(EXIT_SPOOL)

    def end(self) -> None:
        """Send nothing more."""
        self.is_up = self._is_logged_on = False

    def send(self, kind: str, cl_ord_id: str, raw: str) -> None:
        """Send one message of ours, if the session stands; called from the main thread."""
        if not self.is_up:
            if kind == "order":
                self._tell(f"withheld {cl_ord_id} the session is not up")
            return
        try:
            with self._gate:
                self._sending, self._is_order = cl_ord_id, kind == "order"
                fix.Session.sendToTarget(build(raw, self._config.groups), self.id)
        except (fix.SessionNotFound, fix.InvalidMessage, fix.FieldNotFound) as problem:
            self._tell(f"withheld {cl_ord_id} {type(problem).__name__}")

    def _keep(self, raw: str, ref: str) -> None:
        try:
            self._spool.append(raw, ref)
        except OSError as problem:
            _complain("the spool", problem)
            os._exit(EXIT_SPOOL)
        self._tell("spooled")

    def _refused(self, raw: str) -> str:
        """Return the ClOrdID(11) of the message of ours that RefSeqNum(45) names."""
        return self._sent.get(_value(raw, "45"), "")


def _value(raw: str, tag: str) -> str:
    _, found, rest = raw.partition(f"{SOH}{tag}=")
    return rest.partition(SOH)[0] if found else ""


def _complain(where: str, problem: BaseException) -> None:
    """Write to the gateway's log what must not be raised."""
    os.write(2, f"FIX process: {where}: {type(problem).__name__}: {problem}\n".encode(errors="replace"))


def _keep_asking(session: Session) -> NoReturn:
    """Ask again and again for what proves that a new logon is caught up; keep the terms of the next."""
    while True:
        time.sleep(PROOF_EVERY_S)
        try:
            session.ask_for_proof()
            session.keep_terms()
        except BaseException as problem:
            _complain("the question for the proof", problem)


def _lock(folder: Path) -> int:
    """Own the session's folder: one process at a time may speak for a session."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.write(2, f"FIX process: {folder} is still in use by another process\n".encode())
                os._exit(EXIT_LOCKED)
            time.sleep(0.02)
        else:
            return lock


def _now() -> datetime:
    return datetime.now(UTC)


def _wait_before_connect(config: FixSession) -> None:
    """Hold back as long as the venue's limit asks for: another process may just have connected."""
    last = Moment(config.store_folder / "last-connect").read()
    time.sleep(pause_before_connect_s(_now(), last, config.connects_per_minute))


def main(fd: int) -> NoReturn:
    """Run the session until the gateway's end of the socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the gateway decides
    sys.setswitchinterval(SWITCH_S)
    link = socket.socket(fileno=fd)
    lines = link.makefile("rb")
    start = json.loads(lines.readline())
    config = FixSession.from_json(json.dumps(start["session"]))
    _lock(config.store_folder)
    spool = SpoolWriter(config.store_folder / "spool", start["after_seq"])
    session = Session(config, spool, Line(link).tell, _now)
    parts = initiator(config, session)
    _wait_before_connect(config)
    session.keep_terms()
    parts[0].start()
    threading.Thread(target=_keep_asking, args=(session,), daemon=True).start()
    for line in lines:
        kind, cl_ord_id, raw = line.decode().rstrip("\n").split(" ", 2)
        if kind == "trace":
            session.trace(cl_ord_id)
        else:
            session.send(kind, cl_ord_id, raw)
    session.end()
    threading.Timer(STOP_TIMEOUT_S, os._exit, [0]).start()
    parts[0].stop()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
