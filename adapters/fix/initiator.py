"""quickfix's side of a session: its settings, its store, the socket it opens.

Rules of this room:
1. No sent message is kept and no schedule is given: both are ours (see child.py and standing.py).
2. Numbers live on over any number of days, over a restart, too: see `keep_numbers`.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import quickfix as fix

from adapters.fix.dialects.sessions import pause_between_connects_s
from adapters.fix.groups import permissive
from adapters.fix.settings import FixSession

NEARLY_MIDNIGHT = dt.time(23, 59, 58)
PAUSE_S = 0.1
CONFIG = """[DEFAULT]
ConnectionType=initiator
NonStopSession=Y
UseDataDictionary=Y
DataDictionary={dictionary}
AllowUnknownMsgFields=Y
ValidateFieldsOutOfOrder=N
ValidateFieldsHaveValues=N
CheckLatency=N
CheckCompID=N
ValidateUserDefinedFields=N
PersistMessages=N
ReconnectInterval={reconnect_s}
LogonTimeout=5
LogoutTimeout=2
SocketNodelay=Y
FileStorePath={store}
HeartBtInt={heartbeat_s}
ResetOnLogon={reset}
SocketConnectHost={host}
SocketConnectPort={port}
[SESSION]
BeginString={begin_string}
SenderCompID={sender}
TargetCompID={target}
"""


def keep_numbers(config: FixSession, now: Callable[[], datetime]) -> None:
    """Date the store of a session today; to be called right before `initiator`.

    quickfix's Session throws away the numbers of a store that was begun on another UTC day as it is made:
    it is told of NonStopSession only after that. The next logon would be refused, MsgSeqNum(34) too low.
    """
    while (at := now()).time() >= NEARLY_MIDNIGHT:
        time.sleep(PAUSE_S)
    for path in (config.store_folder / "quickfix").glob("*.session"):
        new = path.with_suffix(".new")
        new.write_text(f"{at:%Y%m%d-%H:%M:%S}", encoding="ascii")
        new.replace(path)


def initiator(config: FixSession, session: fix.Application) -> tuple[Any, ...]:
    """Build quickfix's parts; all of them must stay referenced while it runs."""
    path, dictionary = config.store_folder / "session.cfg", config.store_folder / "groups.xml"
    dictionary.write_text(permissive(config.begin_string, config.received_groups), encoding="utf-8")
    path.write_text(
        CONFIG.format(
            dictionary=dictionary,
            store=config.store_folder / "quickfix", heartbeat_s=config.heartbeat_s,
            reset="Y" if config.reset_on_logon else "N",
            reconnect_s=math.ceil(pause_between_connects_s(config.connects_per_minute)) or 1,
            host=config.host, port=config.port,
            begin_string=config.begin_string, sender=config.sender_comp_id, target=config.target_comp_id,
        )
    )  # fmt: skip
    settings = fix.SessionSettings(str(path))
    store = fix.FileStoreFactory(settings)
    return fix.SocketInitiator(session, store, settings), store, settings
