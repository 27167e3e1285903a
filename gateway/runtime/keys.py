"""Every Redis key of one household, in one place.

Rules of this room:
1. Every key carries the household as its hash tag, so all of them live on one node of a cluster and
   one script may touch several.
2. No other module spells a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import ConfigError

GROUP = "gateway"
INPUTS = ("commands", "prices", "targets")
_HOUSEHOLD = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Keys:
    """Name the keys of one household (1 to 64 of A-Z a-z 0-9 . _ -)."""

    household: str

    def __post_init__(self) -> None:
        if not _HOUSEHOLD.fullmatch(self.household):
            raise ConfigError(
                f"household {self.household[:80]!r} cannot be part of a key: use 1 to 64 of A-Z a-z 0-9 . _ -"
            )

    @property
    def prefix(self) -> str:
        """Return what every key begins with."""
        return f"gw:{{{self.household}}}:"

    @property
    def targets(self) -> str:
        """Name the input stream of target messages."""
        return self.prefix + "targets"

    @property
    def commands(self) -> str:
        """Name the input stream of halt, resume, approve and cancel."""
        return self.prefix + "commands"

    @property
    def prices(self) -> str:
        """Name the input stream of reference prices."""
        return self.prefix + "prices"

    @property
    def journal(self) -> str:
        """Name the stream that is the truth: entry `<seq>-0` is event number `seq`."""
        return self.prefix + "journal"

    @property
    def head(self) -> str:
        """Name the hash {seq, token} of the journal's last batch."""
        return self.prefix + "head"

    @property
    def lease(self) -> str:
        """Name the hash {epoch, owner, until} of the gateway that may write."""
        return self.prefix + "lease"

    @property
    def snapshot(self) -> str:
        """Name the hash {seq, sha256, data} of the newest snapshot."""
        return self.prefix + "snapshot"

    @property
    def previous_snapshot(self) -> str:
        """Name the hash of the snapshot before the newest."""
        return self.prefix + "snapshot:previous"

    @property
    def news(self) -> str:
        """Name the output stream of what happened."""
        return self.prefix + "news"

    @property
    def rejected(self) -> str:
        """Name the output stream of input that was refused, each with its reason."""
        return self.prefix + "rejected"

    @property
    def published(self) -> str:
        """Name the hash {epoch, batch} of the last read-model batch, so that a repeat changes nothing."""
        return self.prefix + "published"

    @property
    def book(self) -> str:
        """Name the read model of cash, positions and lots."""
        return self.prefix + "book"

    @property
    def status(self) -> str:
        """Name the read model of the gateway's own state."""
        return self.prefix + "status"

    def order(self, cl_ord_id: str) -> str:
        """Name the read model of one order by its ClOrdID(11)."""
        return f"{self.prefix}order:{cl_ord_id}"

    def request(self, request_id: str) -> str:
        """Name the read model of one request."""
        return f"{self.prefix}request:{request_id}"

    def decision(self, request_id: str) -> str:
        """Name the read model of what was decided for one request, with every number."""
        return f"{self.prefix}decision:{request_id}"

    def remembered(self, link: str) -> str:
        """Name the hash of what a link must not forget."""
        return f"{self.prefix}link:{link}"

    def stream(self, name: str) -> str:
        """Return the key of an input stream by its short name (`targets`, `commands`, `prices`)."""
        if name not in INPUTS:
            raise ValueError(name)
        return self.prefix + name
