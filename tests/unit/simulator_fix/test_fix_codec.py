"""Framing: round trips, any chunking, garbage, data fields, resynchronising."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fix_desk import framed
from hypothesis import given
from hypothesis import strategies as st

from simulator.fix import codec
from simulator.fix.codec import Decoder, encode, join

GOOD = framed("FIX.4.4", "35=D|34=2|11=A|58=hello|")
OTHER = framed("FIX.4.2", "35=0|34=3|")

values = st.text(st.characters(max_codepoint=255, exclude_characters="\x01"), min_size=1, max_size=12)
special = {*codec.DATA_FIELDS, 8, 9, 10, 35}
ordinary = st.integers(1, 99_999).filter(lambda tag: tag not in special)
bodies = st.lists(st.tuples(ordinary, values), max_size=12)
messages = st.tuples(st.sampled_from(["FIX.4.2", "FIX.4.4"]), st.sampled_from(["D", "8", "AE", "0"]), bodies)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:stop] for start, stop in pairwise(marks)]


@given(messages)
def test_what_is_encoded_is_decoded(item: tuple[str, str, list[tuple[int, str]]]) -> None:
    begin_string, msg_type, body = item
    (frame,) = Decoder().feed(encode(begin_string, msg_type, join(body)))
    assert (frame.begin_string, frame.msg_type, frame.flaw) == (begin_string, msg_type, None)
    assert frame.pairs[3:-1] == body


@given(st.lists(messages, max_size=5), st.lists(st.integers(0, 2000), max_size=12))
def test_chunking_changes_nothing(items: list, places: list[int]) -> None:
    raws = [encode(begin_string, msg_type, join(body)) for begin_string, msg_type, body in items]
    decoder = Decoder()
    frames = [frame.raw for piece in cut(b"".join(raws), places) for frame in decoder.feed(piece)]
    assert frames == raws
    assert decoder.garbled == 0


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([GOOD, GOOD[:-9], b"8=FIX.4.4\x019="]))))
def test_garbage_never_crashes(pieces: list[bytes]) -> None:
    decoder = Decoder()
    for piece in pieces:
        for frame in decoder.feed(piece):
            assert codec.checksum(frame.raw[:-7]) == int(frame.raw[-4:-1])


@given(st.binary(max_size=80).filter(lambda data: b"8" not in data))
def test_a_good_message_after_garbage_is_found(garbage: bytes) -> None:
    decoder = Decoder()
    frames = decoder.feed(garbage + GOOD + OTHER)
    assert [frame.raw for frame in frames] == [GOOD, OTHER]


@pytest.mark.parametrize(
    "garbled",
    [
        pytest.param(GOOD[:-4] + b"000\x01", id="bad checksum"),
        pytest.param(GOOD[:-4] + b"0x0\x01", id="checksum not digits"),
        pytest.param(GOOD.replace(b"9=24", b"9=21"), id="BodyLength too short"),
        pytest.param(GOOD[:-9], id="cut off"),
        pytest.param(GOOD.replace(b"9=24", b"9=xx"), id="BodyLength not a number"),
        pytest.param(GOOD.replace(b"9=24", b"9=9999999"), id="longer than the bound"),
        pytest.param(b"8=FIX.4.4\x0135=D\x019=24\x0134=2\x0110=000\x01", id="fields out of order"),
        pytest.param(b"35=D\x018=FIX.4.4\x019=24\x0134=2\x0110=000\x01", id="does not begin with 8"),
        pytest.param(b"8=TIF.4.4\x019=5\x0135=0\x0110=000\x01", id="no FIX"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
        pytest.param(b"8=FIX" + b"9" * 80, id="endless BeginString"),
        pytest.param(b"\x018=FI", id="half a start"),
    ],
)
def test_garbled_messages_are_skipped(garbled: bytes) -> None:
    decoder = Decoder()
    assert [frame.raw for frame in decoder.feed(garbled + GOOD)] == [GOOD]
    assert decoder.garbled > 0


@pytest.mark.parametrize("too_much", [b"9=26", b"9=60"])
def test_a_body_length_too_long_takes_the_next_message_down_with_it(too_much: bytes) -> None:
    decoder = Decoder()
    assert decoder.feed(GOOD.replace(b"9=24", too_much)) == []
    assert decoder.garbled == 0, "it may still be arriving"
    assert decoder.feed(GOOD) == []
    assert decoder.garbled == 1
    assert len(decoder.feed(GOOD)) == 1


def test_a_trailer_inside_a_message_that_is_still_arriving_is_no_end() -> None:
    decoder = Decoder()
    whole = framed("FIX.4.4", "35=D|34=2|58=x|10=255|8=FIX.4.4|9=1|58=and more|")
    assert decoder.feed(whole[:45]) == []
    assert [frame.raw for frame in decoder.feed(whole[45:])] == [whole]


def test_a_start_cut_in_half_is_kept() -> None:
    decoder = Decoder()
    assert decoder.feed(b"rubbish8=F") == []
    assert len(decoder.feed(GOOD[3:])) == 1


@pytest.mark.parametrize(
    ("fields", "tag", "value", "flaw"),
    [
        ("35=B|95=5|96=a|b=c|58=x|", 96, "a|b=c", None),
        ("35=B|95=5|96=8=FIX|58=x|", 96, "8=FIX", None),
        ("35=B|95=99|96=short|58=x|", 96, "short", None),
        ("35=B|95=|96=short|58=x|", 96, "short", None),
        ("35=B|95=5|58=x|96=later|", 96, "later", None),
        ("35=B|95=5|96=a|b=c|58=x|y|", 58, "x", 58),
        ("35=B|58=x|y|", 58, "x", 58),
        ("35=B|58=x|123|", 58, "x", 58),
        ("35=B|58=|", 58, "", None),
        ("35=B|-7=x|", 35, "B", 0),
        ("35=B|12345678901=x|", 35, "B", 0),
        ("35=B|007=x|", 35, "B", 0),
    ],
)
def test_fields_are_cut(fields: str, tag: int, value: str, flaw: int | None) -> None:
    (frame,) = Decoder().feed(framed("FIX.4.4", fields))
    assert frame.fields[tag] == value.replace("|", "\x01")
    assert frame.flaw == flaw


def test_a_value_cannot_forge_a_field() -> None:
    with pytest.raises(ValueError, match="tag 58 contains the field delimiter"):
        join([(58, "x\x0138=999999")])
    assert join([(95, "3"), (96, "a\x01b")]) == "95=3\x0196=a\x01b\x01"
