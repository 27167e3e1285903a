"""Repeating groups: quickfix sorts their fields apart, or refuses them as repeated, where it knows no group.

Rules of this room:
1. A group's entries stay whole and in their order; everything else of a message is left as it is.
2. What comes in is read with the standard's own dictionary made permissive: every tag, value and message
   type passes, so that only a group that contradicts its own count is refused. A fill never disappears.
"""

from __future__ import annotations

import itertools
import string
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import quickfix as fix

SOH = "\x01"


def build(raw: str, groups: tuple[tuple[int, ...], ...]) -> fix.Message:
    """Return quickfix's message of a raw text, with its repeating groups whole and in their order."""
    kinds = {str(one[0]): one[1:] for one in groups}
    if not any(f"{SOH}{tag}=" in raw for tag in kinds):
        return fix.Message(raw, False)
    rest: list[str] = []
    found: list[tuple[str, list[tuple[str, str]]]] = []
    inside = ""
    for part in raw.split(SOH):
        tag, _, value = part.partition("=")
        members = [str(one) for one in kinds.get(inside, ())]
        if tag in kinds:
            inside = tag
        elif members and tag == members[0]:
            found.append((inside, [(tag, value)]))
        elif tag in members and found:
            found[-1][1].append((tag, value))
        else:
            inside = ""
            rest.append(part)
    message = fix.Message(SOH.join(rest), False)
    for tag, fields in found:
        message.addGroup(_group(int(tag), kinds[tag], fields))
    return message


def _group(count_tag: int, members: tuple[int, ...], fields: list[tuple[str, str]]) -> fix.Group:
    order = fix.IntArray(len(members) + 1)
    for place, tag in enumerate((*members, 0)):
        order[place] = tag
    group = fix.Group(count_tag, members[0], order)
    for name, value in fields:
        group.setField(int(name), value)
    return group


_USER_TAGS = 5_000
_LETTERS = string.ascii_letters + string.digits


def permissive(begin_string: str, also: Mapping[str, tuple[int, ...]] | None = None) -> str:
    """Return the dictionary quickfix ships for a version, with nothing left in it but where groups are.

    Every tag below 5000 is a field of text, every message type of one or two characters exists, and nothing
    is required. OrderCancelReject(9) may name Parties(453), though the standard knows none there. `also` has
    the venue's own groups: per MsgType(35) the counting tag, the first tag of an entry, its other tags.
    OSError when quickfix was installed without its dictionaries.
    """
    name = begin_string.replace(".", "").removeprefix("FIX")
    path = Path(sys.prefix) / "share" / "quickfix" / f"FIX{name}.xml"
    root = ET.parse(path).getroot()  # noqa: S314 - it came with the library
    fields, messages = root.find("fields"), root.find("messages")
    assert fields is not None, path  # noqa: S101 - a dictionary has both
    assert messages is not None, path  # noqa: S101
    _loosen(root, fields)
    known = {field.get("number") for field in fields}
    for tag in range(1, _USER_TAGS):
        if str(tag) not in known:
            ET.SubElement(fields, "field", number=str(tag), name=f"Tag{tag}", type="STRING")
    refusal = messages.find("message[@msgtype='9']")
    if refusal is not None and root.find("components/component[@name='Parties']") is not None:
        ET.SubElement(refusal, "component", name="Parties", required="N")
    known = {message.get("msgtype") for message in messages}
    for first, second in itertools.product(_LETTERS, ("", *_LETTERS)):
        if (kind := first + second) not in known:
            ET.SubElement(messages, "message", name=f"Type{kind}", msgtype=kind, msgcat="app")
    for kind, tags in (also or {}).items():
        _add_group(root, kind, tags)
    return ET.tostring(root, encoding="unicode")


def _loosen(root: ET.Element, fields: ET.Element) -> None:
    """Require nothing, and let every field be any text."""
    for one in root.iter():
        if "required" in one.attrib:
            one.set("required", "N")
    for field in fields:
        field.set("type", "STRING")
        for value in list(field):
            field.remove(value)


def _add_group(root: ET.Element, kind: str, tags: tuple[int, ...]) -> None:
    """Give a message type a group, or the group it has already the members it lacks."""
    fields, message = root.find("fields"), root.find(f"messages/message[@msgtype='{kind}']")
    assert fields is not None, kind  # noqa: S101 - `permissive` has just seen to both
    assert message is not None, kind  # noqa: S101
    names = {one.get("number"): one.get("name", "") for one in fields}
    for tag in map(str, tags):
        if tag not in names:
            names[tag] = f"Tag{tag}"
            ET.SubElement(fields, "field", number=tag, name=names[tag], type="STRING")
    counting, *members = (names[str(tag)] for tag in tags)
    groups = [one for one in root.iter("group") if one.get("name") == counting]
    for group in groups or [ET.SubElement(message, "group", name=counting, required="N")]:
        known = {one.get("name") for one in group}
        for name in members:
            if name not in known:
                ET.SubElement(group, "field", name=name, required="N")
