"""What survives a restart, a torn line, a second simulator, a full disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from simulator.fix import store as store_module
from simulator.fix.store import FileStore, Memory, MemoryStore, StoreError

if TYPE_CHECKING:
    from pathlib import Path


def filled(folder: Path) -> FileStore:
    """Write three lines: two with a message each, one a reset of another session."""
    store = FileStore(folder, "ISLD")
    one, two = store.memory("one"), store.memory("two")
    for number in (1, 2):
        one.next_in, one.next_out = number + 1, number + 1
        one.keep(number, b"8=FIX\x01raw\xff%d" % number)
        store.save([one], {"number": number})
    two.next_in = 9
    two.keep(1, b"gone")
    two.reset()
    two.next_out = 2
    store.save([two], None)
    return store


def reopened(folder: Path) -> tuple[FileStore, Memory, Memory, list]:
    store = FileStore(folder, "ISLD")
    return store, store.memory("one"), store.memory("two"), list(store.records())


@pytest.mark.parametrize("times", [1, 3])
def test_everything_survives_restarts(tmp_path: Path, times: int) -> None:
    filled(tmp_path).close()
    for _ in range(times):
        store, one, two, records = reopened(tmp_path)
        store.close()
    assert (one.next_in, one.next_out, list(one.sent)) == (
        3,
        3,
        [(1, b"8=FIX\x01raw\xff1"), (2, b"8=FIX\x01raw\xff2")],
    )
    assert (two.next_in, two.next_out, list(two.sent)) == (1, 2, [])
    assert records == [{"number": 1}, {"number": 2}]


def test_a_torn_last_line_is_dropped_whole(tmp_path: Path) -> None:
    filled(tmp_path).close()
    path = tmp_path / "ISLD.fixlog"
    whole = path.read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(ends[0] + 1, ends[1]):
        path.write_bytes(whole[:size])
        store, one, _, records = reopened(tmp_path)
        store.close()
        assert (one.next_in, len(one.sent), len(records)) == (2, 1, 1)


def test_a_damaged_line_in_the_middle_refuses_the_start(tmp_path: Path) -> None:
    filled(tmp_path).close()
    path = tmp_path / "ISLD.fixlog"
    path.write_bytes(b"{nonsense\n" + path.read_bytes())
    with pytest.raises(StoreError, match="line 1"):
        FileStore(tmp_path, "ISLD")
    path.unlink()
    FileStore(tmp_path, "ISLD").close()


def test_one_simulator_at_a_time(tmp_path: Path) -> None:
    first = FileStore(tmp_path, "ISLD")
    with pytest.raises(StoreError, match="in use by another simulator"):
        FileStore(tmp_path, "ISLD")
    first.close()


def test_one_write_a_save_and_none_without_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    real = os.write
    store = FileStore(tmp_path, "ISLD")
    monkeypatch.setattr(store_module.os, "write", lambda file, data: writes.append(data) or real(file, data))
    one, two = store.memory("one"), store.memory("two")
    one.next_in = two.next_out = 2
    store.save([one, two], {"a": 1})
    store.save([one, two], None)
    store.close()
    assert len(writes) == 1


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path, "ISLD")
    monkeypatch.setattr(store_module.os, "write", lambda _file, _data: 3)
    with pytest.raises(StoreError, match="make room"):
        store.save([], {"a": 1})
    store.close()


def test_resending_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_RESENDABLE", 2)
    memory = Memory("one")
    for number in (1, 2, 3):
        memory.keep(number, b"x")
    assert [number for number, _ in memory.sent] == [2, 3]


def test_the_memory_store_remembers_while_it_lives() -> None:
    store = MemoryStore()
    memory = store.memory("one")
    memory.next_in = 5
    store.save([memory], {"a": 1})
    assert store.memory("one") is memory
    assert not memory.is_changed()
    assert store.records() == []
    store.close()
