"""SessionRejectReason(373): every reason the standard gives, with the standard's own wording for Text(58)."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Reason(IntEnum):
    """SessionRejectReason(373): why a message was refused by the session."""

    INVALID_TAG_NUMBER = 0
    REQUIRED_TAG_MISSING = 1
    TAG_NOT_DEFINED_FOR_MESSAGE = 2
    UNDEFINED_TAG = 3
    TAG_WITHOUT_VALUE = 4
    VALUE_OUT_OF_RANGE = 5
    INCORRECT_DATA_FORMAT = 6
    DECRYPTION_PROBLEM = 7
    SIGNATURE_PROBLEM = 8
    COMP_ID_PROBLEM = 9
    SENDING_TIME_PROBLEM = 10
    INVALID_MSG_TYPE = 11
    XML_VALIDATION_ERROR = 12
    TAG_MORE_THAN_ONCE = 13
    TAG_OUT_OF_ORDER = 14
    GROUP_OUT_OF_ORDER = 15
    INCORRECT_GROUP_COUNT = 16
    DELIMITER_IN_VALUE = 17
    OTHER = 99


TEXTS = {
    Reason.INVALID_TAG_NUMBER: "Invalid tag number",
    Reason.REQUIRED_TAG_MISSING: "Required tag missing",
    Reason.TAG_NOT_DEFINED_FOR_MESSAGE: "Tag not defined for this message type",
    Reason.UNDEFINED_TAG: "Undefined tag",
    Reason.TAG_WITHOUT_VALUE: "Tag specified without a value",
    Reason.VALUE_OUT_OF_RANGE: "Value is incorrect (out of range) for this tag",
    Reason.INCORRECT_DATA_FORMAT: "Incorrect data format for value",
    Reason.DECRYPTION_PROBLEM: "Decryption problem",
    Reason.SIGNATURE_PROBLEM: "Signature problem",
    Reason.COMP_ID_PROBLEM: "CompID problem",
    Reason.SENDING_TIME_PROBLEM: "SendingTime accuracy problem",
    Reason.INVALID_MSG_TYPE: "Invalid MsgType",
    Reason.XML_VALIDATION_ERROR: "XML validation error",
    Reason.TAG_MORE_THAN_ONCE: "Tag appears more than once",
    Reason.TAG_OUT_OF_ORDER: "Tag specified out of required order",
    Reason.GROUP_OUT_OF_ORDER: "Repeating group fields out of order",
    Reason.INCORRECT_GROUP_COUNT: "Incorrect NumInGroup count for repeating group",
    Reason.DELIMITER_IN_VALUE: 'Non "data" value includes field delimiter',
    Reason.OTHER: "Other",
}

_LAST_REASON = {"FIX.4.2": Reason.INVALID_MSG_TYPE, "FIX.4.4": Reason.OTHER}


class Rejection(NamedTuple):
    """Say why a message is refused, which tag, RefTagID(371), is to blame, and what else there is to say."""

    reason: Reason
    tag: int | None = None
    note: str | None = None

    @property
    def text(self) -> str:
        """Text(58): the standard's wording, or the note."""
        return self.note or TEXTS[self.reason]


def is_defined(reason: Reason, begin_string: str) -> bool:
    """Tell whether this version of the standard defines the value of SessionRejectReason(373)."""
    return reason <= _LAST_REASON[begin_string]
