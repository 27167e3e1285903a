"""A FIX peer in memory: frames written by hand, answers read back as pairs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from simulator.fix.codec import Decoder, Frame
from simulator.fix.message import Message, SessionId
from simulator.fix.session import Session
from simulator.fix.store import Memory
from simulator.fix.terms import SessionConfig
from simulator.fix.validation import Validator

START = datetime(2024, 5, 6, 12, 0, 0, 250_000, tzinfo=UTC)
STAMP = "20240506-12:00:00.250"
ORDER = "11=A|21=1|55=IBM|54=1|60=20240506-12:00:00|38=100|40=1|"


def framed(begin_string: str, fields: str) -> bytes:
    """Frame `35=...|34=...|` text (with | for SOH) with its length and checksum."""
    body = fields.replace("|", "\x01").encode("latin-1")
    raw = b"8=" + begin_string.encode() + b"\x019=" + str(len(body)).encode() + b"\x01" + body
    return raw + b"10=%03d\x01" % (sum(raw) % 256)


def frame(begin_string: str, fields: str) -> Frame:
    """Decode the one frame of `fields`."""
    (only,) = Decoder().feed(framed(begin_string, fields))
    return only


class Desk:
    """One session under test, and the peer's pen."""

    def __init__(self, begin_string: str = "FIX.4.4", **config: object) -> None:
        self.begin_string = begin_string
        self.now = START
        self.config = SessionConfig(SessionId(begin_string, "ISLD", "TW"), **config)  # type: ignore[arg-type]
        self.memory = Memory("test")
        validator = Validator(begin_string, also_tags=self.config.also_tags())
        self.session = Session(self.config, validator, self.memory)
        self.delivered: list[Message] = []
        self.session.connected(self.now)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.session.tick(self.now)

    def hear(self, msg_type: str, seq_num: object, body: str = "", **header: str) -> list[str]:
        """Give the session one message, standard unless `header` says otherwise; return its answers."""
        sent = header.get("time", self.stamp())
        fields = (
            f"35={msg_type}|34={seq_num}|{header.get('extra', '')}49={header.get('sender', 'TW')}|52={sent}|"
            f"56={header.get('target', 'ISLD')}|{body}"
        )
        return self.take(frame(header.get("begin", self.begin_string), fields))

    def take(self, item: Frame) -> list[str]:
        message = self.session.receive(item, self.now)
        while message is not None or self.session.has_next():
            if message is not None:
                self.delivered.append(message)
            message = self.session.advance(self.now) if self.session.has_next() else None
        return self.said()

    def said(self) -> list[str]:
        """Return what the session says, from MsgType on, times left out, | for SOH."""
        outbox = self.session.outbound.outbox
        texts = []
        for raw, _ in outbox:
            text = raw.decode("latin-1").replace("\x01", "|")
            text = text[text.index("|35=") + 1 : text.rindex("10=")]
            texts.append(text.replace(f"49=ISLD|52={self.stamp()}|56=TW|", "").replace(self.stamp(), "NOW"))
        outbox.clear()
        return texts

    def stamp(self) -> str:
        return f"{self.now:%Y%m%d-%H:%M:%S}.{self.now.microsecond // 1000:03d}"

    def log_on(self, body: str = "98=0|108=30|") -> Desk:
        assert self.hear("A", self.memory.next_in, body) == [f"35=A|34={self.memory.next_out - 1}|{body}"]
        return self
