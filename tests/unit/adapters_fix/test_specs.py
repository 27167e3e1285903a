"""Page, dictionary and code say the same of every message we send or read."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

import pytest
import quickfix as fix
from venues import AT, PAIR, SHARE, built_all, dictionary, full, order_for, page, tags

from adapters.fix import decoder
from adapters.fix.dialects import DIALECTS, market_data
from adapters.fix.dialects.notices import read_notice

FRAME = {8, 9, 10, 35}
HEADER = {97}
GROUPED = {"453": {448, 447, 452}, "78": {79, 80}}
"""The tags of an entry, by the tag that counts the entries."""

FROM_TEXT = {*market_data.READS, "U6"}
"""Read from the text, whose entries repeat: see test_market_data.py and test_broker.py."""


class Watched(dict[str, str]):
    """Note which tags a decoder looks at."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.seen: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.seen.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> str:
        self.seen.add(key)
        return super().__getitem__(key)


def messages(name: str) -> dict[str, set[int]]:
    """Return the body's tags per MsgType(35) as the dictionary has them."""
    root = ET.parse(dictionary(name)).getroot()  # noqa: S314 - our own file
    numbers = {one.get("name"): int(one.get("number") or 0) for one in root.findall("fields/field")}
    found: dict[str, set[int]] = {}
    for message in root.findall("messages/message"):
        inside = [*message.iter("field"), *message.iter("group")]
        found[message.get("msgtype") or ""] = {numbers[one.get("name")] for one in inside}
    return found


def rows(name: str) -> dict[str, set[int]]:
    """Return the tags per MsgType(35) as the page's tables have them."""
    text = page(name).read_text(encoding="utf-8").partition(" to venue\n")[2]
    found = {}
    for msg_type, row in re.findall(r"^\| \w+\((\w+)\) \| (.*) \|$", text, re.MULTILINE):
        found[msg_type] = {int(tag) for tag in re.findall(r"\b(\d+)\b(?!=)(?! to)", row)}
    return found


@pytest.mark.parametrize("name", DIALECTS)
def test_what_we_build_is_what_the_table_the_page_and_the_dictionary_say(name: str) -> None:
    sent: dict[str, set[int]] = {}
    for msg_type, raw in built_all(name):
        sent.setdefault(msg_type, set()).update(set(tags(raw)) - FRAME)
    for msg_type, table in DIALECTS[name].sends.items():
        entries = [GROUPED[tag] for tag in table if tag in GROUPED]
        expected = {int(tag) for tag in table}.union(*entries)
        in_header = HEADER & sent[msg_type]
        assert sent[msg_type] - HEADER == expected, f"{msg_type}: built and table"
        assert messages(name)[msg_type] == expected, f"{msg_type}: dictionary and table"
        assert rows(name)[msg_type] == expected | in_header, f"{msg_type}: page and table"


@pytest.mark.parametrize("name", DIALECTS)
def test_what_we_read_is_what_the_table_the_page_and_the_dictionary_say(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue, split = full(name), decoder.split
    watched: list[Watched] = []
    monkeypatch.setattr(decoder, "split", lambda raw: watched.append(Watched(split(raw))) or watched[-1])
    base = {
        "11": "ABCDEFGHIJKLMNOP",
        "37": "O1",
        "39": "4",
        "17": "E1",
        "7003": "1",
        "7006": "1",
        "7007": "1",
    }
    base |= {
        "7005": "1",
        "12109": "1",
        "7008": "1",
        "44": "1",
        "32": "1",
        "31": "1",
        "14": "1",
        "12": "1",
        "103": "1",
    }
    for msg_type, table in DIALECTS[name].reads.items():
        if msg_type in FROM_TEXT:
            numbers = {int(tag) for tag in table}
            assert messages(name)[msg_type] == numbers == rows(name)[msg_type]
            continue
        watched.clear()
        for change in ({}, {"150": "I", "39": "8"}, {"150": "4"}, {"167": "CASH"}, {"584": "M"}):
            fields = {"35": msg_type, "150": "F", **base, **change}
            raw = "".join(f"{tag}={value}\x01" for tag, value in fields.items())
            decoder.decode(raw, "", "v", 1, AT, venue)
            read_notice(decoder.split(raw), venue)
        seen = set().union(*(one.seen for one in watched)) - {"35"}
        named = set(table) - {"45", "584", "911", "912"}  # read by the child process and by the broker
        named -= {"78"}  # of the one entry that a block of ours has
        read = seen - {"584"}
        assert read == named, f"{msg_type}: code and table"
        numbers = {int(tag) for tag in table}
        assert messages(name)[msg_type] >= numbers, f"{msg_type}: dictionary and table"
        assert rows(name)[msg_type] == numbers, f"{msg_type}: page and table"


@pytest.mark.parametrize("name", DIALECTS)
def test_page_and_dictionary_hold_no_message_that_the_code_does_not(name: str) -> None:
    known = {*DIALECTS[name].sends, *DIALECTS[name].reads}
    assert set(rows(name)) == known
    assert set(messages(name)) - known == set("01245A")


@pytest.mark.parametrize("name", DIALECTS)
def test_every_message_we_build_is_valid_by_the_dictionary(name: str) -> None:
    known = fix.DataDictionary(str(dictionary(name)))
    for msg_type, raw in built_all(name):
        if "8=FIX.4.3" in raw:
            continue
        head = "34=1\x0149=GW\x0152=20240506-14:30:01.250\x0156=VENUE\x01"
        whole = raw.replace(f"35={msg_type}\x01", f"35={msg_type}\x01{head}", 1)
        message = fix.Message(whole, known, False)  # noqa: FBT003 - not validated while it is read
        known.validate(message)
        message.getHeader().setField(9999, "x")
        with pytest.raises(fix.InvalidTagNumber):
            known.validate(message)


@pytest.mark.parametrize("name", sorted({*DIALECTS} - {"plain"}))
def test_the_page_names_every_key_and_its_default(name: str) -> None:
    text = page(name).read_text(encoding="utf-8")
    for key in DIALECTS[name].keys:
        assert f"`{key.name}`" in text, key.name
        if key.is_open:
            (row,) = re.findall(rf"^\| `{key.name}` \| (.*) \| (.*) \|$", text, re.MULTILINE)
            assert row[1] == key.about
            if isinstance(key.default, (str, int)) and not isinstance(key.default, bool):
                assert row[0] == (str(key.default) or '""')


KINDS_OF_CONNECTION = {"config.py", "connections.py", "links.py"}
"""The files that name every kind of connection; one venue is spoken to by its own protocol, too."""


def test_no_venue_is_named_outside_its_places() -> None:
    names = [name for name in DIALECTS if name != "plain"]
    root = page("plain").parents[1]
    for folder in ("gateway", "adapters"):
        for path in (root / folder).rglob("*.py"):
            if "dialects" in path.parts:
                continue
            text = path.read_text(encoding="utf-8").lower()
            for name in names:
                has_adapter = name in path.parts or path.name in KINDS_OF_CONNECTION
                is_allowed = has_adapter and (root / "adapters" / name).is_dir()
                assert is_allowed or name not in text, f"{path.name} names {name}"


def test_the_orders_of_these_tests_are_what_their_venues_take() -> None:
    assert order_for("dukascopy") is PAIR
    assert order_for("saxo") is SHARE
