"""The session layer's rules, FIX 4.4 volume 2, one test a rule; no socket and no clock."""

from __future__ import annotations

import pytest
from fix_desk import ORDER, STAMP, Desk, frame, framed
from hypothesis import given
from hypothesis import strategies as st

from simulator.fix.codec import Decoder
from simulator.fix.message import Message
from simulator.fix.terms import State

OLD = "20240506-11:00:00"
DUP = f"122={OLD}|"
OUT_OF_RANGE = "Value is incorrect (out of range) for this tag"
MISCOUNTED = "Incorrect NumInGroup count for repeating group"


def refused(desk: Desk, number: int, ref: int, text: str, rest: str) -> str:
    """Write the Reject(3) we expect; 4.2 knows no reasons above 11."""
    reason = rest.rpartition("373=")[2].rstrip("|")
    if desk.begin_string == "FIX.4.2" and int(reason) > 11:
        rest = rest.removesuffix(f"373={reason}|")
    return f"35=3|34={number}|45={ref}|58={text}|{rest}"


# Messages in sequence.


def test_an_order_is_delivered_once_with_its_body(desk: Desk) -> None:
    assert desk.hear("D", 2, ORDER) == []
    (order,) = desk.delivered
    assert (order.msg_type, order.seq_num, order.poss_dup, order.poss_resend) == ("D", 2, False, False)
    assert "".join(f"{tag}={value}|" for tag, value in order.body) == ORDER
    assert desk.memory.next_in == 3


def test_a_signature_is_not_part_of_the_body(desk: Desk) -> None:
    desk.hear("D", 2, ORDER + "93=1|89=x|", extra="97=Y|")
    assert desk.delivered[0].body[-1] == (40, "1")
    assert desk.delivered[0].poss_resend


def test_a_test_request_is_answered_with_its_id(desk: Desk) -> None:
    assert desk.hear("1", 2, "112=HELLO|") == ["35=0|34=2|112=HELLO|"]


@pytest.mark.parametrize(("msg_type", "body"), [("0", ""), ("0", "112=x|"), ("3", "45=1|58=no|")])
def test_heartbeats_and_rejects_need_no_answer(desk: Desk, msg_type: str, body: str) -> None:
    assert desk.hear(msg_type, 2, body) == []
    assert desk.memory.next_in == 3
    assert desk.delivered == []


def test_a_faulty_reject_is_not_rejected(desk: Desk) -> None:
    assert desk.hear("3", 2, "45=|") == []
    assert desk.memory.next_in == 3


@pytest.mark.parametrize(
    ("msg_type", "body", "text", "rest"),
    [
        ("D", ORDER + "2999=x|", "Invalid tag number", "371=2999|372=D|373=0|"),
        ("D", "11=A|", "Required tag missing", "371={first}|372=D|373=1|"),
        ("1", "", "Required tag missing", "371=112|372=1|373=1|"),
        ("D", ORDER + "45=1|", "Tag not defined for this message type", "371=45|372=D|373=2|"),
        ("D", ORDER + "58=|", "Tag specified without a value", "371=58|372=D|373=4|"),
        ("D", ORDER.replace("54=1", "54=Z"), OUT_OF_RANGE, "371=54|372=D|373=5|"),
        ("D", ORDER.replace("38=100", "38=x"), "Incorrect data format for value", "371=38|372=D|373=6|"),
        ("zz", "", "Invalid MsgType", "372=zz|373=11|"),
        ("D", ORDER + "38=1|", "Tag appears more than once", "371=38|372=D|373=13|"),
        ("D", ORDER + "97=Y|", "Tag specified out of required order", "371=97|372=D|373=14|"),
        ("C", "164=T|94=0|147=S|33=2|58=x|", MISCOUNTED, "371=33|372=C|373=16|"),
        ("D", ORDER + "58=x|y|", 'Non "data" value includes field delimiter', "371=58|372=D|373=17|"),
        ("", "", "Tag specified without a value", "371=35|373=4|"),
    ],
)
def test_a_faulty_message_is_rejected_and_consumes_its_number(
    desk: Desk, msg_type: str, body: str, text: str, rest: str
) -> None:
    rest = rest.format(first=21 if desk.begin_string == "FIX.4.2" else 54)
    assert desk.hear(msg_type, 2, body) == [refused(desk, 2, 2, text, rest)]
    assert desk.memory.next_in == 3
    assert desk.delivered == []
    assert desk.hear("0", 3) == []


# The header.


def test_another_begin_string_ends_the_session() -> None:
    desk = Desk("FIX.4.4").log_on()
    assert desk.hear("0", 2, begin="FIX.4.2") == ["35=5|34=2|58=Incorrect BeginString|"]
    assert desk.session.closing == "Incorrect BeginString"
    assert desk.hear("0", 2) == []


@pytest.mark.parametrize("header", [{"sender": "WRONG"}, {"target": "WRONG"}])
def test_a_wrong_comp_id_is_rejected_and_ends_the_session(desk: Desk, header: dict[str, str]) -> None:
    assert desk.hear("D", 2, ORDER, **header) == [
        "35=3|34=2|45=2|58=CompID problem|372=D|373=9|",
        "35=5|34=3|",
    ]
    assert desk.session.closing
    assert desk.memory.next_in == 3


@pytest.mark.parametrize("time", ["20240506-11:57:59", "20240506-12:02:01"])
def test_an_inaccurate_sending_time_is_rejected_and_ends_the_session(desk: Desk, time: str) -> None:
    assert desk.hear("0", 2, time=time) == [
        "35=3|34=2|45=2|58=SendingTime accuracy problem|372=0|373=10|",
        "35=5|34=3|",
    ]
    assert desk.session.closing


def test_two_minutes_are_accurate_enough(desk: Desk) -> None:
    assert desk.hear("0", 2, time="20240506-11:58:01") == []


@pytest.mark.parametrize(
    ("header", "text", "rest"),
    [
        ({"sender": ""}, "Tag specified without a value", "371=49|372=0|373=4|"),
        ({"time": "noon"}, "Incorrect data format for value", "371=52|372=0|373=6|"),
    ],
)
def test_a_malformed_header_is_rejected(desk: Desk, header: dict[str, str], text: str, rest: str) -> None:
    assert desk.hear("0", 2, **header) == [f"35=3|34=2|45=2|58={text}|{rest}"]
    assert desk.session.state is State.LOGGED_ON


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ("", "Required tag missing (34)"),
        ("34=x|", "Incorrect data format for value (34)"),
        ("34=1234567890123456789|", "Incorrect data format for value (34)"),
    ],
)
def test_a_message_without_number_ends_the_session(desk: Desk, fields: str, text: str) -> None:
    item = frame(desk.begin_string, f"35=0|{fields}49=TW|52={desk.stamp()}|56=ISLD|")
    assert desk.take(item) == [f"35=5|34=2|58={text}|"]
    assert desk.session.closing


# The sequence.


def test_a_gap_is_asked_for_once_and_early_messages_wait(desk: Desk) -> None:
    assert desk.hear("D", 4, ORDER) == ["35=2|34=2|7=2|16=0|"]
    assert desk.hear("D", 5, ORDER) == []
    assert desk.delivered == []
    assert desk.hear("D", 2, ORDER, extra="43=Y|", time=desk.stamp() + f"|{DUP}".rstrip("|")) == []
    assert [item.seq_num for item in desk.delivered] == [2]
    assert desk.hear("4", 3, "36=4|123=Y|", extra="43=Y|") == []
    assert [item.seq_num for item in desk.delivered] == [2, 4, 5]
    assert desk.memory.next_in == 6


def test_a_queued_message_resent_is_not_processed_twice(desk: Desk) -> None:
    desk.hear("D", 3, ORDER)
    desk.hear("0", 2, DUP, extra="43=Y|")
    assert len(desk.delivered) == 1
    assert desk.hear("D", 3, DUP + ORDER, extra="43=Y|") == []
    assert len(desk.delivered) == 1


def test_a_queued_message_is_judged_when_its_turn_comes(desk: Desk) -> None:
    desk.hear("D", 3, "11=A|")
    (answer,) = desk.hear("0", 2, DUP, extra="43=Y|")
    assert answer.startswith("35=3|34=3|45=3|58=Required tag missing|")


def test_the_queue_is_bounded_and_what_it_drops_is_asked_for_again() -> None:
    desk = Desk(max_queued=1).log_on()
    assert desk.hear("D", 3, ORDER) == ["35=2|34=2|7=2|16=0|"]
    assert desk.hear("D", 4, ORDER) == []
    assert desk.hear("0", 2, DUP, extra="43=Y|") == []
    assert desk.memory.next_in == 4
    assert desk.hear("0", 6) == ["35=2|34=3|7=4|16=0|"]


def test_an_unanswered_resend_request_is_repeated_after_a_heartbeat(desk: Desk) -> None:
    assert desk.hear("0", 3) == ["35=2|34=2|7=2|16=0|"]
    desk.now = desk.now.replace(second=29)
    assert desk.hear("0", 4) == []
    desk.now = desk.now.replace(second=31)
    assert desk.hear("0", 5) == ["35=2|34=3|7=2|16=0|"]


def test_a_number_too_low_ends_the_session(desk: Desk) -> None:
    assert desk.hear("0", 1) == ["35=5|34=2|58=MsgSeqNum too low, expecting 2 but received 1|"]
    assert desk.session.closing
    assert desk.memory.next_in == 2


def test_a_duplicate_already_seen_is_ignored(desk: Desk) -> None:
    desk.hear("D", 2, ORDER)
    assert desk.hear("D", 2, DUP + ORDER, extra="43=Y|") == []
    assert len(desk.delivered) == 1
    assert desk.memory.next_in == 3


def test_a_duplicate_not_seen_is_processed(desk: Desk) -> None:
    desk.hear("D", 2, DUP + ORDER, extra="43=Y|")
    assert desk.delivered[0].poss_dup


@pytest.mark.parametrize(("seq_num", "next_in"), [(1, 2), (2, 3)])
def test_a_duplicate_without_its_first_time_is_rejected(desk: Desk, seq_num: int, next_in: int) -> None:
    assert desk.hear("D", seq_num, ORDER, extra="43=Y|") == [
        f"35=3|34=2|45={seq_num}|58=Required tag missing|371=122|372=D|373=1|"
    ]
    assert desk.memory.next_in == next_in


def test_a_duplicate_sent_before_its_first_time_ends_the_session(desk: Desk) -> None:
    assert desk.hear("D", 2, "122=20240506-12:00:01|" + ORDER, extra="43=Y|") == [
        "35=3|34=2|45=2|58=SendingTime accuracy problem|372=D|373=10|",
        "35=5|34=3|",
    ]
    assert desk.session.closing
    assert desk.memory.next_in == 3


# ResendRequest and SequenceReset.


def busy(desk: Desk) -> Desk:
    """Fill numbers 2 to 5: an order, a heartbeat, two orders."""
    for number, what in ((2, "a"), (3, ""), (4, "b"), (5, "c")):
        if what:
            desk.session.send(Message("D", ((11, what),), poss_resend=what == "c"), desk.now)
        else:
            desk.hear("1", number - 1, "112=x|")
    desk.said()
    return desk


A2 = "35=D|34=2|43=Y|122=NOW|11=a|"
B4 = "35=D|34=4|43=Y|122=NOW|11=b|"
C5 = "35=D|34=5|43=Y|97=Y|122=NOW|11=c|"


def gap(number: int, new: int) -> str:
    return f"35=4|34={number}|43=Y|122=NOW|36={new}|123=Y|"


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (1, 0, [gap(1, 2), A2, gap(3, 4), B4, C5]),
        (1, 999_999, [gap(1, 2), A2, gap(3, 4), B4, C5]),
        (2, 2, [A2]),
        (2, 3, [A2, gap(3, 4)]),
        (3, 3, [gap(3, 4)]),
        (4, 5, [B4, C5]),
        (5, 77, [C5]),
        (6, 0, [f"35=3|34=6|45=3|58={OUT_OF_RANGE}|371=7|372=2|373=5|"]),
        (0, 0, [f"35=3|34=6|45=3|58={OUT_OF_RANGE}|371=7|372=2|373=5|"]),
        (3, 2, [f"35=3|34=6|45=3|58={OUT_OF_RANGE}|371=16|372=2|373=5|"]),
    ],
)
def test_a_resend_repeats_orders_and_fills_gaps(
    desk: Desk, begin: int, end: int, expected: list[str]
) -> None:
    assert busy(desk).hear("2", 3, f"7={begin}|16={end}|") == expected


def test_a_repeated_order_keeps_its_first_time(desk: Desk) -> None:
    busy(desk)
    first = desk.stamp()
    desk.wait(5)
    (answer,) = desk.hear("2", 3, "7=4|16=4|")
    assert answer == f"35=D|34=4|43=Y|122={first}|11=b|"
    assert desk.memory.next_out == 6


def test_what_was_sent_while_away_is_repeated_after_the_next_logon(desk: Desk) -> None:
    desk.session.disconnected()
    desk.session.send(Message("D", ((11, "late"),)), desk.now)
    assert desk.said() == []
    desk.session.connected(desk.now)
    assert desk.log_on().hear("2", 3, "7=2|16=0|") == ["35=D|34=2|43=Y|122=NOW|11=late|", gap(3, 4)]


def test_a_resend_request_out_of_sequence_is_served_before_ours_is_sent(desk: Desk) -> None:
    assert busy(desk).hear("2", 7, "7=5|16=0|") == [C5, "35=2|34=6|7=3|16=0|"]
    assert desk.memory.next_in == 3


def test_a_faulty_resend_request_out_of_sequence_waits_its_turn(desk: Desk) -> None:
    assert desk.hear("2", 3, "7=x|16=0|") == ["35=2|34=2|7=2|16=0|"]
    (answer,) = desk.hear("4", 2, "36=3|123=Y|", extra="43=Y|")
    assert "371=7|372=2|373=6|" in answer


@pytest.mark.parametrize(
    ("seq_num", "body", "answers", "next_in"),
    [
        (2, "36=9|123=Y|", [], 9),
        (3, "36=9|123=Y|", ["35=2|34=2|7=2|16=0|"], 2),
        (1, "36=9|123=Y|", ["35=5|34=2|58=MsgSeqNum too low, expecting 2 but received 1|"], 2),
        (2, "36=2|123=Y|", [f"35=3|34=2|45=2|58={OUT_OF_RANGE}|372=4|373=5|"], 3),
        (2, "36=9|", [], 9),
        (1, "36=9|123=N|", [], 9),
        (77, "36=9|123=N|", [], 9),
        (2, "36=2|123=N|", [], 2),
        (1, "36=1|123=N|", [f"35=3|34=2|45=1|58={OUT_OF_RANGE}|372=4|373=5|"], 2),
        (2, "123=N|", ["35=3|34=2|45=2|58=Required tag missing|371=36|372=4|373=1|"], 3),
        (
            2,
            f"36={'9' * 5000}|",
            ["35=3|34=2|45=2|58=Incorrect data format for value|371=36|372=4|373=6|"],
            3,
        ),
        (2, f"36={'9' * 18}|123=Y|", [], 10**18 - 1),
        (7, "36=x|123=N|", ["35=3|34=2|45=7|58=Incorrect data format for value|371=36|372=4|373=6|"], 2),
    ],
)
def test_sequence_resets(desk: Desk, seq_num: int, body: str, answers: list[str], next_in: int) -> None:
    assert desk.hear("4", seq_num, body) == answers
    assert desk.memory.next_in == next_in


def test_a_gap_fill_seen_before_is_ignored(desk: Desk) -> None:
    assert desk.hear("4", 1, "36=9|123=Y|", extra="43=Y|") == []
    assert desk.memory.next_in == 2


def test_a_reset_lets_go_of_what_waited_below_it(desk: Desk) -> None:
    desk.hear("D", 3, ORDER)
    desk.hear("D", 5, ORDER)
    desk.hear("4", 9, "36=4|")
    assert desk.delivered == []
    desk.hear("0", 4)
    assert [item.seq_num for item in desk.delivered] == [5]


# Time.


def test_silence_of_ours_ends_with_a_heartbeat(desk: Desk) -> None:
    desk.wait(29.9)
    assert desk.said() == []
    desk.wait(0.1)
    assert desk.said() == ["35=0|34=2|"]


def test_silence_of_theirs_is_tested_and_then_given_up(desk: Desk) -> None:
    for _ in range(2):
        desk.wait(17.5)
        desk.session.send(Message("D", ()), desk.now)
        desk.said()
    desk.wait(1.1)
    assert desk.said() == ["35=1|34=4|112=TEST|"]
    desk.wait(35.9)
    assert desk.said() == [], "who waits for an answer sends no heartbeats"
    assert desk.session.closing is None
    desk.wait(0.2)
    assert desk.session.closing == "the peer did not answer a TestRequest(1)"


def test_any_message_proves_life(desk: Desk) -> None:
    desk.wait(36)
    assert desk.said() == ["35=1|34=2|112=TEST|"]
    desk.hear("0", 2, "112=TEST|")
    desk.wait(35)
    assert desk.said() == ["35=0|34=3|"]
    assert desk.session.closing is None


def test_deadlines_are_foretold(desk: Desk) -> None:
    due = desk.session.next_deadline()
    assert due is not None
    assert (due - desk.now).total_seconds() == 30
    desk.session.logout(desk.now)
    due = desk.session.next_deadline()
    assert due is not None
    assert (due - desk.now).total_seconds() == 2
    desk.session.disconnected()
    assert desk.session.next_deadline() is None


def test_no_heartbeat_interval_means_no_heartbeats() -> None:
    desk = Desk().log_on("98=0|108=0|")
    desk.wait(10_000)
    assert desk.said() == []
    assert desk.session.next_deadline() is None


# Logout.


def test_a_logout_is_answered_and_the_peer_hangs_up(desk: Desk) -> None:
    assert desk.hear("5", 2, "58=bye|") == ["35=5|34=2|"]
    assert desk.session.state is State.LOGOUT_ANSWERED
    assert desk.session.closing is None
    assert desk.hear("5", 3) == []
    desk.wait(0.6)
    assert desk.session.closing


def test_our_logout_ends_when_it_is_answered(desk: Desk) -> None:
    desk.session.logout(desk.now, "closing time")
    assert desk.said() == ["35=5|34=2|58=closing time|"]
    desk.session.logout(desk.now)
    desk.session.send(Message("D", ()), desk.now)
    assert desk.said() == []
    assert desk.hear("2", 2, "7=1|16=2|") == [gap(1, 3)]
    desk.hear("5", 3)
    assert desk.session.closing == "logged out"


def test_our_logout_is_not_waited_for_for_ever(desk: Desk) -> None:
    desk.session.logout(desk.now)
    desk.wait(2)
    assert desk.session.closing == "time ran out: logout sent"


@pytest.mark.parametrize("seq_num", [4, 1])
def test_a_logout_is_confirmed_whatever_its_number(desk: Desk, seq_num: int) -> None:
    assert desk.hear("5", seq_num) == ["35=5|34=2|"]
    assert desk.session.closing is None
    desk.wait(1)
    assert desk.session.closing


def test_a_late_resend_request_is_served(desk: Desk) -> None:
    desk.hear("1", 2, "112=x|")
    assert desk.hear("2", 1, "7=1|16=0|") == ["35=4|34=1|43=Y|122=NOW|36=3|123=Y|"]
    assert desk.hear("1", 3, "112=y|") == ["35=0|34=3|112=y|"]


def test_a_reject_goes_back_the_way_its_message_came(desk: Desk) -> None:
    def rejected(seq_num: int, extra: str) -> str:
        (said,) = desk.hear("D", seq_num, ORDER + "45=1|", extra=extra)
        return said

    assert rejected(2, "115=A|116=B|144=C|").startswith("35=3|34=2|128=A|129=B|145=C|45=2|")
    assert rejected(3, "128=A|129=B|145=C|").startswith("35=3|34=3|115=A|116=B|144=C|45=3|")
    assert "|128=" not in rejected(4, "115=|")


def test_an_answer_to_our_logout_after_a_gap_ends_the_session(desk: Desk) -> None:
    desk.session.logout(desk.now)
    desk.said()
    assert desk.hear("5", 4) == []
    assert desk.session.closing == "logged out"


# Whatever comes.

BODIES = {
    "D": ORDER + "453=1|448=X|447=D|452=1|",
    "C": "164=T|94=0|147=S|33=2|58=x|58=y|",
    "A": "98=0|108=30|141=Y|",
    "2": "7=1|16=0|",
    "4": "36=9|123=Y|",
    "1": "112=x|",
    "5": "",
}
VALUES = st.sampled_from(
    ["", "0", "-1", "9" * 5000, "Y", "x", "\xff", STAMP, "99991231-23:59:60", "1.5", "=", " "]
)
CHANGES = st.tuples(st.integers(0, 20), st.sampled_from(["drop", "repeat", "set", "insert"]), VALUES)


@given(st.lists(st.tuples(st.sampled_from([*BODIES]), st.integers(0, 4), st.lists(CHANGES, max_size=3))))
def test_nothing_that_arrives_is_an_error(said: list[tuple[str, int, list[tuple[int, str, str]]]]) -> None:
    desk = Desk().log_on()
    for msg_type, seq_num, changes in said:
        text = f"35={msg_type}|34={seq_num}|49=TW|52={STAMP}|56=ISLD|43=Y|122={STAMP}|{BODIES[msg_type]}"
        fields = text.rstrip("|").split("|")
        for number, change, value in changes:
            place = 1 + number % (len(fields) - 1)
            tag = fields[place].partition("=")[0]
            replacement = {"drop": [], "repeat": [fields[place]] * 2, "set": [f"{tag}={value}"]}
            fields[place : place + 1] = replacement.get(change, [f"{number}={value}", fields[place]])
            if len(fields) == 1:
                break
        for item in Decoder().feed(framed("FIX.4.4", "|".join(fields) + "|")):
            before = desk.memory.next_in
            desk.take(item)
            assert desk.memory.next_in >= before or "141=Y" in text
        desk.wait(1)


# What the acceptor asks beforehand.


def test_a_preview_changes_nothing(desk: Desk) -> None:
    def item(msg_type: str, seq_num: int, body: str) -> Message | None:
        fields = f"35={msg_type}|34={seq_num}|49=TW|52={desk.stamp()}|56=ISLD|{body}"
        return desk.session.preview(frame(desk.begin_string, fields))

    assert item("D", 2, ORDER) is not None
    assert item("D", 3, ORDER) is None
    assert item("D", 2, "11=A|") is None
    assert item("0", 2, "") is None
    assert desk.memory.next_in == 2
    desk.session.disconnected()
    assert item("D", 2, ORDER) is None
