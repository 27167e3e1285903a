"""Repeating groups for quickfix, which would sort their fields apart when it has no dictionary.

Rules of this room:
1. A group's entries stay whole and in their order; everything else of the message is left as it is.
"""

from __future__ import annotations

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
