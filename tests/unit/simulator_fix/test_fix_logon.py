"""Logon: who is let in, on which terms, and with which numbers, as acceptor and as initiator."""

from __future__ import annotations

import pytest
from fix_desk import ORDER, Desk

from simulator.fix.codec import Decoder
from simulator.fix.message import SessionId
from simulator.fix.session import Session
from simulator.fix.store import Memory
from simulator.fix.terms import Happening, SessionConfig, State
from simulator.fix.validation import Validator

TERMS = "98=0|108=30|"


def test_a_logon_is_answered_with_its_own_terms() -> None:
    desk = Desk()
    assert desk.hear("A", 1, TERMS) == [f"35=A|34=1|{TERMS}"]
    assert desk.session.state is State.LOGGED_ON
    assert desk.session.happenings == [Happening.LOGGED_ON]


def test_the_heartbeat_may_be_imposed() -> None:
    assert Desk(heartbeat_s=7).hear("A", 1, TERMS) == ["35=A|34=1|98=0|108=7|"]


@pytest.mark.parametrize(
    ("header", "msg_type"),
    [
        ({"sender": "WRONG"}, "A"),
        ({"target": "WRONG"}, "A"),
        ({"begin": "FIX.4.2"}, "A"),
        ({"time": "20240506-11:57:59"}, "A"),
        ({"time": "noon"}, "A"),
        ({}, "0"),
        ({}, "D"),
    ],
)
def test_a_stranger_is_hung_up_on_without_a_word(header: dict[str, str], msg_type: str) -> None:
    desk = Desk()
    assert desk.hear(msg_type, 1, TERMS, **header) == []
    assert desk.session.closing
    assert (desk.memory.next_in, desk.memory.next_out) == (1, 1)


@pytest.mark.parametrize(
    ("begin_string", "body", "is_welcome"),
    [
        ("FIX.4.4", "553=me|554=secret|", True),
        ("FIX.4.2", "553=me|554=secret|", True),
        ("FIX.4.4", "553=me|554=wrong|", False),
        ("FIX.4.4", "553=you|554=secret|", False),
        ("FIX.4.4", "", False),
    ],
)
def test_credentials(begin_string: str, body: str, is_welcome: bool) -> None:
    desk = Desk(begin_string, username="me", password="secret")
    answers = desk.hear("A", 1, TERMS + body)
    assert answers == ([f"35=A|34=1|{TERMS}"] if is_welcome else [])
    assert (desk.session.closing is None) is is_welcome
    assert "secret" not in repr(desk.config)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("98=0|", "Required tag missing (108)"),
        ("98=0|108=x|", "Incorrect data format for value (108)"),
        ("98=0|108=-1|", "Value is incorrect (out of range) for this tag (108)"),
        ("98=0|108=86401|", "Value is incorrect (out of range) for this tag (108)"),
        (f"98=0|108={'9' * 5000}|", "Incorrect data format for value (108)"),
        ("98=1|108=30|", "EncryptMethod(98) must be 0: encryption is not supported"),
        ("98=0|108=30|0=1|", "Invalid tag number (0)"),
    ],
)
def test_a_malformed_logon_is_told_so(body: str, text: str) -> None:
    desk = Desk()
    assert desk.hear("A", 1, body) == [f"35=5|34=1|58={text}|"]
    assert desk.session.closing == text
    assert desk.memory.next_in == 2


def test_a_malformed_logon_out_of_sequence_consumes_nothing() -> None:
    desk = Desk()
    desk.hear("A", 5, "98=0|")
    assert desk.memory.next_in == 1


def test_a_logon_after_a_gap_is_accepted_and_the_gap_asked_for() -> None:
    desk = Desk()
    assert desk.hear("A", 5, TERMS) == [f"35=A|34=1|{TERMS}", "35=2|34=2|7=1|16=0|"]
    assert desk.hear("4", 1, "36=6|123=Y|", extra="43=Y|") == []
    assert desk.hear("0", 6) == []


def test_a_logon_too_low_is_refused() -> None:
    desk = Desk()
    desk.memory.next_in = 3
    assert desk.hear("A", 2, TERMS) == ["35=5|34=1|58=MsgSeqNum too low, expecting 3 but received 2|"]
    assert desk.session.closing


def test_numbers_survive_a_reconnection(desk: Desk) -> None:
    desk.hear("D", 2, ORDER)
    desk.session.disconnected()
    desk.session.connected(desk.now)
    assert desk.hear("A", 3, TERMS) == [f"35=A|34=2|{TERMS}"]


def test_a_reset_asked_for_at_logon_is_granted(desk: Desk) -> None:
    desk.hear("D", 2, ORDER)
    desk.session.disconnected()
    desk.session.connected(desk.now)
    desk.session.happenings.clear()
    assert desk.hear("A", 1, TERMS + "141=Y|") == [f"35=A|34=1|{TERMS}141=Y|"]
    assert desk.session.happenings == [Happening.RESTARTED, Happening.LOGGED_ON]
    assert (desk.memory.next_in, desk.memory.next_out) == (2, 2)


def test_a_reset_of_our_own_policy_is_not_announced() -> None:
    desk = Desk(reset_on_logon=True)
    desk.memory.next_in = desk.memory.next_out = 9
    assert desk.hear("A", 1, TERMS) == [f"35=A|34=1|{TERMS}"]


def test_a_reset_inside_a_living_session(desk: Desk) -> None:
    desk.hear("D", 2, ORDER)
    assert desk.hear("A", 1, TERMS + "141=Y|") == [f"35=A|34=1|{TERMS}141=Y|"]
    assert desk.hear("0", 2) == []


@pytest.mark.parametrize(
    ("seq_num", "body", "text"),
    [
        (2, TERMS, "MsgSeqNum(34) must be 1 when ResetSeqNumFlag(141)=Y"),
        (1, "98=0|", "Required tag missing (108)"),
    ],
)
def test_a_faulty_reset_in_a_living_session_ends_it(desk: Desk, seq_num: int, body: str, text: str) -> None:
    assert desk.hear("A", seq_num, body + "141=Y|") == [f"35=5|34=2|58={text}|"]
    assert desk.session.closing


def test_a_second_logon_is_rejected(desk: Desk) -> None:
    (answer,) = desk.hear("A", 2, TERMS)
    assert answer.startswith("35=3|34=2|45=2|58=Logon already received|372=A|")
    assert desk.session.state is State.LOGGED_ON


def test_nobody_waits_for_a_logon_for_ever() -> None:
    desk = Desk()
    desk.wait(9)
    assert desk.session.closing is None
    desk.wait(1)
    assert desk.session.closing == "time ran out: logon awaited"


# The same object as initiator.


def initiator(**config: object) -> Desk:
    return Desk(initiator=True, **config)


def test_an_initiator_introduces_itself() -> None:
    desk = initiator(username="me", password="secret", reset_on_logon=True, heartbeat_s=5)
    assert desk.said() == ["35=A|34=1|98=0|108=5|141=Y|553=me|554=secret|"]
    assert desk.hear("A", 1, "98=0|108=5|141=Y|") == []
    assert desk.session.state is State.LOGGED_ON
    assert (desk.memory.next_in, desk.memory.next_out) == (2, 2)


def test_an_initiator_notices_what_it_missed() -> None:
    desk = initiator()
    assert desk.said() == ["35=A|34=1|98=0|108=30|"]
    assert desk.hear("A", 4, TERMS) == ["35=2|34=2|7=1|16=0|"]


def test_an_initiator_follows_a_reset_it_did_not_ask_for() -> None:
    desk = initiator()
    desk.memory.next_in = 9
    desk.said()
    assert desk.hear("A", 1, TERMS + "141=Y|") == []
    assert (desk.memory.next_in, desk.memory.next_out) == (2, 2)


def test_an_initiator_gives_up_when_it_is_logged_out() -> None:
    desk = initiator()
    desk.said()
    assert desk.hear("5", 1, "58=no|") == []
    assert desk.session.closing


def test_the_two_sides_understand_each_other() -> None:
    desk = Desk("FIX.4.2")
    config = SessionConfig(SessionId("FIX.4.2", "TW", "ISLD"), initiator=True, heartbeat_s=10)
    peer = Session(config, Validator("FIX.4.2"), Memory("peer"))
    peer.connected(desk.now)
    decoders = {id(desk.session): Decoder(), id(peer): Decoder()}
    for _ in range(4):
        for speaker, listener in ((peer, desk.session), (desk.session, peer)):
            for raw, _ in speaker.outbound.outbox:
                for item in decoders[id(listener)].feed(raw):
                    listener.receive(item, desk.now)
            speaker.outbound.outbox.clear()
        if peer.state is State.LOGGED_ON:
            peer.logout(desk.now)
    assert peer.closing == "logged out"
    assert desk.session.state is State.LOGOUT_ANSWERED
