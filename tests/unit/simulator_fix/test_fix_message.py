"""A message's fields and groups, and the refusals an application builds."""

from __future__ import annotations

from simulator.fix import business
from simulator.fix.message import Message, SessionId, message

PARTIES = message("D", [(11, "A"), (1, None), (453, 2), (448, "X"), (447, "D"), (448, "Y")])


def test_fields_are_found_by_tag() -> None:
    assert PARTIES.get(11) == "A"
    assert PARTIES.get(1) is None
    assert PARTIES.get(99, "none") == "none"


def test_groups_are_cut_into_members() -> None:
    assert list(PARTIES.groups(453, 448)) == [((448, "X"), (447, "D")), ((448, "Y"),)]
    assert list(PARTIES.groups(78, 79)) == []


def test_a_session_has_a_name() -> None:
    assert str(SessionId("FIX.4.4", "ISLD", "TW")) == "FIX.4.4:ISLD->TW"


def test_refusals_name_what_they_refuse() -> None:
    refused = Message("R", seq_num=7)
    assert business.unsupported(refused) == message(
        "j", [(45, 7), (58, "Unsupported Message Type"), (372, "R"), (380, 3)]
    )
    assert business.reject(refused, 2, "no such thing").get(58) == "no such thing"
    assert business.unsupported(Message("j")) is None


def test_an_order_lacks_what_its_other_fields_require() -> None:
    def lacks(*body: tuple[int, str]) -> int | None:
        return business.missing_field(Message("D", body))

    assert business.missing_field(Message("F")) is None
    assert lacks((40, "1")) == 55
    assert lacks((55, "X"), (40, "2")) == 44
    assert lacks((55, "X"), (40, "4"), (44, "1")) == 99
    assert lacks((55, "X"), (40, "1")) is None
