"""quickfix's side of a session: its settings, its store, the socket it opens.

Rules of this room:
1. No sent message is kept and no schedule is given: both are ours (see child.py and standing.py).
2. The numbers go on, whatever the day. quickfix holds the day its store was made against the clock before it
   has read NonStopSession, and begins at 1 on any later UTC day; a store that does not say its day is of now.
"""

from __future__ import annotations

import math
from typing import Any

import quickfix as fix

from adapters.fix.dialects.sessions import pause_between_connects_s
from adapters.fix.groups import permissive
from adapters.fix.settings import FixSession

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
    for made_on in (config.store_folder / "quickfix").glob("*.session"):
        made_on.unlink()
    settings = fix.SessionSettings(str(path))
    store = fix.FileStoreFactory(settings)
    return fix.SocketInitiator(session, store, settings), store, settings
