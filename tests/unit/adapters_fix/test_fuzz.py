"""Two thousand broken messages a run; `python -m tests.fuzz_decoder` has more."""

from __future__ import annotations

import pytest
from fuzz_decoder import Outcome, run, try_one, venues

from adapters.fix import decoder


def test_no_broken_message_crashes_hangs_or_fills_wrongly() -> None:
    outcome = run(2_000, seed=7)
    assert outcome.failures == []
    assert outcome.messages == 2_000
    assert min(outcome.kinds[one] for one in ("ReportReceived", "unreadable", "NoneType")) > 100


def test_the_judge_sees_a_wrong_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    right = decoder.number
    monkeypatch.setattr(decoder, "number", lambda fields, tag: right(fields, "14" if tag == "32" else tag))
    outcome = Outcome(0)
    raw = "35=8|37=O1|11=ABCDEFGHIJKLMNOP|17=E|150=F|39=1|32=4|31=1|14=40|6=1|".replace("|", "\x01")
    for venue in venues():
        try_one(raw, venue, outcome)
    assert len(outcome.failures) >= 3
