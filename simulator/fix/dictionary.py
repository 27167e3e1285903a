"""The FIX standard's own dictionary: fields, enumerations, messages, components and nested groups.

Rules of this room:
1. The definitions are data: the XML files shipped beside the quickfix distribution, read as files. Nothing
   of quickfix is imported.
2. A component is expanded where it is used; a required component makes its required fields required.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from simulator.fix.message import Pair

FILES = {"FIX.4.2": "FIX42.xml", "FIX.4.4": "FIX44.xml"}


class DictionaryMissingError(Exception):
    """Say that a FIX data dictionary cannot be found, and what to install."""


@dataclass(frozen=True, slots=True)
class Field:
    """Describe one tag: its number, name, FIX type and enumerated values (empty when free)."""

    tag: int
    name: str
    type_name: str
    enums: frozenset[str]


@dataclass(slots=True)
class Layout:
    """List the tags of a message, header, trailer or group in the standard's order.

    `order` maps each tag, count tags included, to its place; `groups` maps a count tag to the layout of its
    members; `delimiter` is the first tag of a group member.
    """

    order: dict[int, int] = field(default_factory=dict)
    required: list[int] = field(default_factory=list)
    groups: dict[int, Layout] = field(default_factory=dict)

    @property
    def delimiter(self) -> int:
        """The tag that opens each member of a repeating group."""
        return next(iter(self.order))

    def ascending(self, body: Sequence[Pair]) -> tuple[Pair, ...]:
        """Sort a body by tag; a repeating group stays whole and in its own order behind its count."""
        places: list[int] = []
        count_tag, members = 0, frozenset[int]()
        for tag, value in body:
            if tag not in members:
                group = self.groups.get(tag)
                count_tag, members = tag, frozenset(group.every_tag() if group and value != "0" else ())
            places.append(count_tag)
        return tuple(body[place] for place in sorted(range(len(body)), key=places.__getitem__))

    def every_tag(self) -> set[int]:
        """Collect the tags of this layout and of every group nested in it."""
        tags = set(self.order)
        for group in self.groups.values():
            tags |= group.every_tag()
        return tags


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Hold what one version of the standard defines; `messages` maps MsgType(35) to its body layout."""

    begin_string: str
    fields: Mapping[int, Field]
    header: Layout
    trailer: Layout
    messages: Mapping[str, Layout]


def locate(file_name: str) -> Path:
    """Find a dictionary among the installed data files of the quickfix distribution."""
    try:
        recorded = metadata.files("quickfix") or []
    except metadata.PackageNotFoundError:
        recorded = []
    candidates = [Path(str(entry.locate())) for entry in recorded if entry.name == file_name]
    candidates.append(Path(sys.prefix, "share", "quickfix", file_name))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DictionaryMissingError(
        f"the FIX dictionary {file_name} is not installed; remedy: pip install quickfix==1.16.0"
    )


@cache
def load(begin_string: str) -> Dictionary:
    """Load the dictionary of FIX.4.2 or FIX.4.4."""
    root = ET.parse(locate(FILES[begin_string])).getroot()  # noqa: S314 - an installed file
    return _Reader(root).read(begin_string)


class _Reader:
    """Expand one XML dictionary."""

    def __init__(self, root: Element) -> None:
        self._root = root
        self._components = {item.attrib["name"]: item for item in root.iterfind("components/component")}
        self._fields = {item.attrib["name"]: _field(item) for item in root.iterfind("fields/field")}

    def read(self, begin_string: str) -> Dictionary:
        """Turn the whole file into a Dictionary."""
        return Dictionary(
            begin_string,
            {item.tag: item for item in self._fields.values()},
            self._layout(self._part("header")),
            self._layout(self._part("trailer")),
            {each.attrib["msgtype"]: self._layout(each) for each in self._root.findall("messages/message")},
        )

    def _part(self, name: str) -> Element:
        part = self._root.find(name)
        if part is None:
            raise DictionaryMissingError(f"the dictionary has no {name}; remedy: reinstall quickfix==1.16.0")
        return part

    def _layout(self, parent: Element) -> Layout:
        layout = Layout()
        self._expand(parent, layout, required=True)
        return layout

    def _expand(self, parent: Element, layout: Layout, *, required: bool) -> None:
        for item in parent:
            name, needed = item.attrib["name"], required and item.attrib.get("required") == "Y"
            if item.tag == "component":
                self._expand(self._components[name], layout, required=needed)
                continue
            tag = self._fields[name].tag
            layout.order.setdefault(tag, len(layout.order))
            if needed:
                layout.required.append(tag)
            if item.tag == "group":
                layout.groups[tag] = self._layout(item)


def _field(item: Element) -> Field:
    return Field(
        int(item.attrib["number"]),
        item.attrib["name"],
        item.attrib["type"],
        frozenset(value.attrib["enum"] for value in item.iterfind("value")),
    )
