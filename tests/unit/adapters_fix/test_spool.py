"""The spool: what was appended is read, once, in order, whoever dies and whenever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fix.spool import SpoolReader, SpoolWriter, segments


def texts(reader: SpoolReader, limit: int = 1000) -> list[tuple[int, str]]:
    return [(one.seq, one.raw) for one in reader.read(limit)]


def test_what_was_written_is_read_in_order_with_its_reference(tmp_path: Path) -> None:
    writer, reader = SpoolWriter(tmp_path, 0), SpoolReader(tmp_path, 0)
    assert texts(reader) == []
    assert writer.append("a\nb\x01", "REF") == 1
    assert writer.append("c") == 2
    first, second = reader.read(10)
    assert (first.seq, first.ref, first.raw) == (1, "REF", "a\nb\x01")
    assert (second.seq, second.ref, second.raw) == (2, "", "c")
    assert texts(reader) == []
    writer.close()
    reader.close()


def test_a_reader_begins_behind_what_it_has(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, 0)
    for text in "abc":
        writer.append(text)
    reader = SpoolReader(tmp_path, 2)
    assert texts(reader) == [(3, "c")]
    assert reader.missing() == ""


def test_a_new_writer_goes_on_counting(tmp_path: Path) -> None:
    SpoolWriter(tmp_path, 0).append("a")
    writer = SpoolWriter(tmp_path, 1)
    assert writer.append("b") == 2


def test_a_writer_whose_spool_was_lost_counts_from_the_journal(tmp_path: Path) -> None:
    SpoolWriter(tmp_path, 0).append("a")
    reader = SpoolReader(tmp_path, 40)
    writer = SpoolWriter(tmp_path, 40)
    assert writer.append("b") == 41
    assert texts(reader) == [(41, "b")]


def test_a_torn_record_is_cut_off_and_the_reader_waits_for_the_next(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, 0)
    writer.append("a")
    whole = segments(tmp_path)[0].stat().st_size
    writer.append("second")
    os.truncate(segments(tmp_path)[0], whole + 9)
    reader = SpoolReader(tmp_path, 0)
    assert texts(reader) == [(1, "a")]
    again = SpoolWriter(tmp_path, 0)
    again.append("other second")
    assert texts(reader) == [(2, "other second")]


def test_a_record_with_a_wrong_check_sum_ends_the_spool(tmp_path: Path) -> None:
    SpoolWriter(tmp_path, 0).append("abc")
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert texts(SpoolReader(tmp_path, 0)) == []
    assert SpoolWriter(tmp_path, 0).seq == 0


def test_segments_follow_each_other_and_are_forgotten_when_safe(tmp_path: Path) -> None:
    writer, reader = SpoolWriter(tmp_path, 0, segment_bytes=60), SpoolReader(tmp_path, 0)
    for number in range(12):
        writer.append(f"message {number}")
    assert texts(reader) == [(number + 1, f"message {number}") for number in range(12)]
    count = len(segments(tmp_path))
    assert count > 3
    reader.forget(0)
    assert len(segments(tmp_path)) == count
    reader.forget(12)
    assert len(segments(tmp_path)) == 2
    late = SpoolReader(tmp_path, 0)
    assert "messages 1 to" in late.missing()
    assert SpoolReader(tmp_path, 11).missing() == ""


def test_a_reader_meets_the_last_record_of_a_segment_that_was_just_left(tmp_path: Path) -> None:
    writer, reader = SpoolWriter(tmp_path, 0, segment_bytes=10), SpoolReader(tmp_path, 0)
    writer.append("one")
    assert texts(reader, 1) == [(1, "one")]
    writer.append("two")
    writer.append("three")
    assert texts(reader) == [(2, "two"), (3, "three")]


def test_a_message_larger_than_one_read_is_read(tmp_path: Path) -> None:
    big = "x" * (3 << 20)
    SpoolWriter(tmp_path, 0).append(big)
    assert texts(SpoolReader(tmp_path, 0)) == [(1, big)]


def test_bytes_that_are_no_utf8_do_not_stop_the_reader(tmp_path: Path) -> None:
    raw = b"58=caf\xe9".decode("utf-8", "surrogateescape")
    SpoolWriter(tmp_path, 0).append(raw)
    assert texts(SpoolReader(tmp_path, 0)) == [(1, "58=caf\ufffd")]


def test_a_disk_that_takes_half_a_record_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SpoolWriter(tmp_path, 0)
    monkeypatch.setattr(os, "write", lambda _fd, data: len(data) // 2)
    with pytest.raises(OSError, match="part of a record"):
        writer.append("abc")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=30).map(lambda text: ("append", text)),
            st.just(("reopen", "")),
            st.integers(1, 30).map(lambda cut: ("tear", str(cut))),
            st.integers(1, 5).map(lambda limit: ("read", str(limit))),
        ),
        max_size=40,
    )
)
def test_nothing_is_lost_or_doubled_over_any_course(
    tmp_path_factory: pytest.TempPathFactory, course: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    writer, reader = SpoolWriter(folder, 0, segment_bytes=80), SpoolReader(folder, 0)
    written: list[str] = []
    seen: list[tuple[int, str]] = []
    for what, argument in course:
        if what == "append":
            writer.append(argument)
            written.append(argument)
        elif what == "read":
            seen += texts(reader, int(argument))
        else:
            writer.close()
            if what == "tear":  # a writer killed in the middle of a record
                with segments(folder)[-1].open("ab") as last:
                    last.write(b"\x00" * int(argument))
            writer = SpoolWriter(folder, len(seen), segment_bytes=80)
    seen += texts(reader)
    assert seen == [(number + 1, text) for number, text in enumerate(written)]
    writer.close()
    reader.close()
