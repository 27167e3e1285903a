from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.tws.frames import MAX_FRAME, FrameError, Frames, Greeting, frame, split, text
from simulator.tws.server import agree

WORDS = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=20
)
HELLO = b"API\0\0\0\0\x09v157..178"


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(marks)]


@given(st.lists(WORDS, max_size=8), st.lists(st.integers(0, 10_000), max_size=12))
def test_the_same_messages_come_out_however_the_bytes_were_cut(
    messages: list[list[str]], cuts: list[int]
) -> None:
    data = HELLO + b"".join(frame(one) for one in messages)
    frames, found = Frames(), []
    for piece in _cut(data, cuts):
        found += list(frames.feed(piece))
    assert found == [Greeting(157, 178), *messages]


@given(WORDS)
def test_a_message_survives_the_wire(words: list[str]) -> None:
    raw = frame(words)
    assert int.from_bytes(raw[:4]) == len(raw) - 4
    assert split(raw[4:]) == words


def test_a_greeting_may_name_one_version_and_options() -> None:
    said = list(Frames().feed(b"API\0\0\0\0\x0dv176 +PACEAPI"))
    assert said == [Greeting(176, 176, "+PACEAPI")]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1",
        b"63\0",
        b"API\0\0\0\0\x05hello",
        b"API\0" + (MAX_FRAME + 1).to_bytes(4) + b"v157",
    ],
    ids=["http", "old client", "no version", "too long"],
)
def test_what_is_no_client_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        list(Frames().feed(data))


def test_fields_are_written_as_tws_writes_them() -> None:
    assert [text(one) for one in (True, False, None, Decimal("1E+2"), Decimal("0.10"), 7, "a\0b")] == [
        "1", "0", "", "100", "0.10", "7", "ab",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("least", "most", "server", "spoken"),
    [
        (157, 178, 178, 178),
        (157, 176, 178, 176),
        (100, 157, 178, 157),
        (100, 225, 178, 178),
        (157, 178, 160, 160),
        (100, 158, 178, 157),
        (158, 158, 178, None),
        (179, 225, 178, None),
        (100, 150, 178, None),
    ],
)
def test_the_newest_version_both_speak_but_never_158(
    least: int, most: int, server: int, spoken: int | None
) -> None:
    assert agree(Greeting(least, most), server) == spoken
