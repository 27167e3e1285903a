"""The gate between sending and filling a gap: never both, and never shut for good."""

from __future__ import annotations

import threading
import time

import pytest
from patience import PATIENCE_S

from adapters.fix import gate as gate_module
from adapters.fix.gate import Gate


def test_nothing_leaves_while_a_gap_is_filled() -> None:
    gate, order = Gate(), list[str]()
    gate.shut()

    def send() -> None:
        with gate:
            order.append("sent")

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.05)
    order.append("filled")
    gate.open()
    sender.join(PATIENCE_S)
    assert order == ["filled", "sent"]


def test_a_gap_is_filled_when_what_is_leaving_has_left() -> None:
    gate, order = Gate(), list[str]()

    def fill() -> None:
        gate.shut()
        order.append("filled")
        gate.open()

    with gate:
        filler = threading.Thread(target=fill)
        filler.start()
        time.sleep(0.05)
        order.append("sent")
    filler.join(PATIENCE_S)
    assert order == ["sent", "filled"]


def test_a_gap_that_is_never_filled_holds_up_one_message_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "FILL_TIMEOUT_S", 0.05)
    gate = Gate()
    gate.shut()
    with gate:
        pass
    assert gate._lock.acquire(timeout=0)
    gate.shut()
    gate.open()
    assert gate._lock.locked(), "a gate nobody shut is not opened"
