"""Check one received message against the standard's dictionary and name the first thing that is wrong.

Rules of this room:
1. `check` is the only door. It first tries one table-driven pass that can only answer "sound"; whatever that
   pass cannot vouch for (groups, oddities, faults) goes to `_Examination`, which gives the verdict.
2. Fields are judged in wire order, required fields last: the first fault on the wire is the one named.
3. User-defined tags (5000 and above) are accepted unless the switch says otherwise.
4. The session judges BeginString, CompIDs, SendingTime and MsgSeqNum; nothing here knows a session.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simulator.fix.dictionary import Dictionary, Field, Layout, load
from simulator.fix.formats import accepts, in_range, well_formed
from simulator.fix.reasons import Reason, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulator.fix.codec import Frame
    from simulator.fix.message import Pair

FIRST_USER_TAG = 5000
FIRST_USER_MSG_TYPE = "U"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Hold what one MsgType(35) allows: `checks` for the quick pass, `layout` for the thorough one."""

    checks: Mapping[int, Callable[[str], object]]
    required: frozenset[int]
    layout: Layout


class Validator:
    """Judge messages of one FIX version; `check_user_tags` refuses tags above 4999 as undefined.

    Beyond the standard's dictionary, `also_tags` may stand in a message type and `also_values` are taken.
    """

    def __init__(
        self,
        begin_string: str,
        *,
        check_user_tags: bool = False,
        also_tags: Mapping[str, frozenset[int]] | None = None,
        also_values: frozenset[Pair] = frozenset(),
    ) -> None:
        self.dictionary: Dictionary = load(begin_string)
        self.check_user_tags = check_user_tags
        self.header_tags = frozenset(self.dictionary.header.order)
        self.trailer_tags = frozenset(self.dictionary.trailer.order)
        fields = self._fields = dict(self.dictionary.fields)
        for tag, value in also_values:
            known = fields[tag]
            is_word = known.type_name == "CHAR" and len(value) > 1
            type_name = "STRING" if is_word else known.type_name
            fields[tag] = replace(known, type_name=type_name, enums=known.enums | {value})
        self._checks = {tag: accepts(item.type_name, item.enums) for tag, item in fields.items()}
        self._header_checks = {
            tag: self._checks[tag] for tag in self.header_tags if tag not in self.dictionary.header.groups
        }
        self._plans = {msg_type: self._plan(layout) for msg_type, layout in self.dictionary.messages.items()}
        self._also_tags = also_tags or {}

    def _plan(self, layout: Layout) -> _Plan:
        plain = {tag: self._checks[tag] for tag in layout.order if tag not in layout.groups}
        plain[10] = self._checks[10]
        required = {*self.dictionary.header.required, *self.dictionary.trailer.required, *layout.required}
        return _Plan(plain, frozenset(required), layout)

    def check(self, frame: Frame) -> Rejection | None:
        """Return the first fault of `frame`, or None; set `frame.body_start` when the header is sound."""
        plan = self._plans.get(frame.msg_type)
        if plan is None:
            return self._check_unlisted(frame)
        if self._vouch(frame, plan):
            return None
        return _Examination(self, frame, plan.layout).verdict()

    def _check_unlisted(self, frame: Frame) -> Rejection | None:
        """Judge a MsgType(35) the dictionary lacks: U... is user-defined, its body free; others invalid."""
        if not frame.msg_type:
            return Rejection(Reason.TAG_WITHOUT_VALUE, 35)
        if not frame.msg_type.startswith(FIRST_USER_MSG_TYPE):
            return Rejection(Reason.INVALID_MSG_TYPE)
        body = (place for place, (tag, _) in enumerate(frame.pairs) if tag not in self.header_tags)
        frame.body_start = next(body)
        return None

    def _vouch(self, frame: Frame, plan: _Plan) -> bool:
        """Pass a message without groups, repeats, strangers or faults; False means: look closer."""
        pairs, fields = frame.pairs, frame.fields
        if len(fields) != len(pairs) or not plan.required <= fields.keys() or "" in fields.values():
            return False
        checks: Mapping[int, Callable[[str], object]] = self._header_checks
        in_header = True
        for place, (tag, value) in enumerate(pairs):
            check = checks.get(tag)
            if check is None:
                if not in_header:
                    return False
                in_header = False
                frame.body_start = place
                checks = plan.checks
                check = checks.get(tag)
                if check is None:
                    return False
            if not check(value):
                return False
        return frame.flaw is None

    def defines(self, tag: int) -> Field | None:
        """Return the dictionary's field of this tag, if it has one."""
        return self._fields.get(tag)

    def is_free(self, tag: int, msg_type: str) -> bool:
        """Tell whether a tag outside the dictionary or the message is acceptable all the same."""
        if tag in self._also_tags.get(msg_type, ()):
            return True
        return tag >= FIRST_USER_TAG and not self.check_user_tags


class _Examination:
    """Walk one message field by field and stop at the first fault."""

    def __init__(self, validator: Validator, frame: Frame, layout: Layout) -> None:
        self._validator = validator
        self._frame = frame
        self._pairs: list[Pair] = frame.pairs
        self._place = 0
        self._layout = layout

    def verdict(self) -> Rejection | None:
        """Judge header, body and trailer, then what is missing."""
        if self._frame.flaw is not None:
            if self._frame.flaw:
                return Rejection(Reason.DELIMITER_IN_VALUE, self._frame.flaw)
            return Rejection(Reason.INVALID_TAG_NUMBER, self._frame.bad_tag)
        dictionary = self._validator.dictionary
        header, trailer = dictionary.header, dictionary.trailer
        seen: set[int] = set()
        fault = self._section(header, seen)
        self._frame.body_start = self._place
        fault = fault or self._section(self._layout, seen) or self._section(trailer, seen)
        if fault is None and self._place < len(self._pairs):
            fault = self._stranger(self._pairs[self._place][0], seen)
        if fault is None:
            wanted = (*header.required, *self._layout.required, *trailer.required)
            missing = next((tag for tag in wanted if tag not in seen), None)
            fault = Rejection(Reason.REQUIRED_TAG_MISSING, missing) if missing is not None else None
        return fault

    def _section(self, layout: Layout, seen: set[int]) -> Rejection | None:
        """Consume fields while they belong to `layout`; free tags belong to the body."""
        is_body = layout is self._layout
        while self._place < len(self._pairs):
            tag, value = self._pairs[self._place]
            is_free = is_body and self._validator.is_free(tag, self._frame.msg_type)
            if tag not in layout.order and not is_free:
                return None
            if tag in seen:
                return Rejection(Reason.TAG_MORE_THAN_ONCE, tag)
            seen.add(tag)
            fault = self._value(tag, value)
            self._place += 1
            if fault is None and tag in layout.groups:
                fault = self._group(tag, int(value), layout.groups[tag])
            if fault is not None:
                return fault
        return None

    def _stranger(self, tag: int, seen: set[int]) -> Rejection:
        """Say why `tag` may not stand where it stands."""
        validator = self._validator
        if validator.defines(tag) is None:
            return Rejection(Reason.INVALID_TAG_NUMBER, tag)
        if not self._pairs[self._place][1]:
            return Rejection(Reason.TAG_WITHOUT_VALUE, tag)
        if tag in seen:
            return Rejection(Reason.TAG_MORE_THAN_ONCE, tag)
        if tag in validator.header_tags or tag in self._layout.order or tag in validator.trailer_tags:
            return Rejection(Reason.TAG_OUT_OF_ORDER, tag)
        return Rejection(Reason.TAG_NOT_DEFINED_FOR_MESSAGE, tag)

    def _value(self, tag: int, value: str) -> Rejection | None:
        """Judge presence, format and range of one value."""
        if not value:
            return Rejection(Reason.TAG_WITHOUT_VALUE, tag)
        known = self._validator.defines(tag)
        if known is None:
            return None
        if not well_formed(known.type_name, value):
            return Rejection(Reason.INCORRECT_DATA_FORMAT, tag)
        if not in_range(known.type_name, known.enums, value):
            return Rejection(Reason.VALUE_OUT_OF_RANGE, tag)
        return None

    def _group(self, count_tag: int, count: int, group: Layout) -> Rejection | None:
        """Consume the members of a repeating group and compare their number with NumInGroup."""
        members = 0
        while self._place < len(self._pairs):
            tag = self._pairs[self._place][0]
            if tag != group.delimiter:
                if members == 0 and count > 0 and tag in group.order:
                    return Rejection(Reason.GROUP_OUT_OF_ORDER, tag)
                break
            members += 1
            fault = self._member(group)
            if fault is not None:
                return fault
        return Rejection(Reason.INCORRECT_GROUP_COUNT, count_tag) if members != count else None

    def _member(self, group: Layout) -> Rejection | None:
        """Consume one member: fields in the standard's order, each at most once, required ones present."""
        seen: set[int] = set()
        last = -1
        while self._place < len(self._pairs):
            tag, value = self._pairs[self._place]
            order = group.order.get(tag)
            if order is None or (tag == group.delimiter and seen):
                break
            if order <= last:
                repeated = tag in seen
                return Rejection(Reason.TAG_MORE_THAN_ONCE if repeated else Reason.GROUP_OUT_OF_ORDER, tag)
            last = order
            seen.add(tag)
            fault = self._value(tag, value)
            self._place += 1
            if fault is None and tag in group.groups:
                fault = self._group(tag, int(value), group.groups[tag])
            if fault is not None:
                return fault
        missing = next((tag for tag in group.required if tag not in seen), None)
        return Rejection(Reason.REQUIRED_TAG_MISSING, missing) if missing is not None else None
