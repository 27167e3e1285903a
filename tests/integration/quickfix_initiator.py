"""A real quickfix initiator in its own process: orders named on stdin, what happens told on stdout.

Run as: quickfix_initiator.py PORT BEGINSTRING COMPID FOLDER. Lines in: `send ID` or `stop`.
Lines out: `logon`, `logout`, `echo ID Y|N` (PossDupFlag), `admin TYPE` for session messages received
(of a ResendRequest(2) its BeginSeqNo(7), too).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import quickfix as fix

SETTINGS = """[DEFAULT]
ConnectionType=initiator
ReconnectInterval=1
FileStorePath={folder}
StartTime=00:00:00
EndTime=00:00:00
HeartBtInt=30
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
SocketNodelay=Y
UseDataDictionary=Y
DataDictionary={dictionary}
[SESSION]
BeginString={begin_string}
SenderCompID={comp_id}
TargetCompID=ISLD
"""


def tell(line: str) -> None:
    os.write(1, line.encode() + b"\n")


class Application(fix.Application):
    """Report every callback; nothing here may raise (an exception would end the process)."""

    session: fix.SessionID

    def onCreate(self, session: fix.SessionID) -> None:  # noqa: N802 - named by quickfix
        self.session = fix.SessionID(
            session.getBeginString().getValue(),
            session.getSenderCompID().getValue(),
            session.getTargetCompID().getValue(),
        )

    def onLogon(self, _session: fix.SessionID) -> None:  # noqa: N802 - named by quickfix
        tell("logon")

    def onLogout(self, _session: fix.SessionID) -> None:  # noqa: N802 - named by quickfix
        tell("logout")

    def toAdmin(self, _message: fix.Message, _session: fix.SessionID) -> None:  # noqa: N802 - named by quickfix
        pass

    def toApp(self, _message: fix.Message, _session: fix.SessionID) -> None:  # noqa: N802 - named by quickfix
        pass

    def fromAdmin(self, message: fix.Message, _session: fix.SessionID) -> None:  # noqa: N802 - named by quickfix
        said = fields(message)
        tell(f"admin {said['35']} {said['7']}" if said["35"] == "2" else f"admin {said['35']}")

    def fromApp(self, message: fix.Message, _session: fix.SessionID) -> None:  # noqa: N802 - named by quickfix
        found = fields(message)
        tell(f"echo {found.get('11', '?')} {found.get('43', 'N')}")


def fields(message: fix.Message) -> dict[str, str]:
    return dict(part.split("=", 1) for part in message.toString().split("\x01") if part)


def order(begin_string: str, cl_ord_id: str) -> fix.Message:
    text = {11: cl_ord_id, 21: "1", 55: "IBM", 54: "1", 60: "20240506-12:00:00", 38: "100", 40: "1"}
    message = fix.Message()
    message.getHeader().setField(8, begin_string)
    message.getHeader().setField(35, "D")
    for tag, value in text.items():
        message.setField(tag, value)
    return message


def main(port: str, begin_string: str, comp_id: str, folder: str) -> None:
    dictionary = Path(sys.prefix, "share", "quickfix", begin_string.replace(".", "") + ".xml")
    settings_file = Path(folder, "initiator.cfg")
    settings_file.write_text(
        SETTINGS.format(
            port=port, begin_string=begin_string, comp_id=comp_id, folder=folder, dictionary=dictionary
        )
    )
    settings = fix.SessionSettings(str(settings_file))
    application = Application()
    store = fix.FileStoreFactory(settings)
    initiator = fix.SocketInitiator(application, store, settings)
    initiator.start()
    for line in sys.stdin:
        word, _, argument = line.strip().partition(" ")
        if word == "stop":
            break
        fix.Session.sendToTarget(order(begin_string, argument), application.session)
    initiator.stop()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
