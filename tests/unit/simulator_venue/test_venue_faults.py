"""The plan of faults: what strikes, how often, and what reaches the wire."""

from __future__ import annotations

import pytest
from venue_hand import T0, at

from simulator import faults
from simulator.faults import MEANINGS, Fault, FaultError, Kind, Plan


def raw(number: int, exec_type: str = "0") -> bytes:
    return f"8=FIX.4.4\x019=5\x0135=8\x0134={number}\x01150={exec_type}\x01".encode()


def planned(*things: Fault, seed: int = 1) -> Plan:
    plan = Plan(seed)
    for fault in things:
        plan.add(fault, T0)
    return plan


def sent(plan: Plan, count: int, ms: float = 0.0, client: str = "C") -> list[list[tuple[float, bytes]]]:
    return [plan.send(client, raw(number), at(ms), is_app=True) for number in range(1, count + 1)]


def test_without_faults_everything_passes() -> None:
    plan = planned()
    assert sent(plan, 2) == [[(0.0, raw(1))], [(0.0, raw(2))]]
    assert plan.is_idle(T0)
    assert plan.order(3) == [0, 1, 2]
    assert not any((plan.is_lost("D"), plan.cuts_before("D"), plan.cuts_after("D"), plan.is_silent(T0)))
    assert plan.refusal("D") is None
    assert not plan.repeats("F")


def test_a_dropped_report_never_leaves_and_the_fault_is_used_up() -> None:
    plan = planned(Fault(Kind.DROP, count=2, skip=1))
    assert plan.planned() == {"drop": 2}
    assert [len(one) for one in sent(plan, 5)] == [1, 0, 0, 1, 1]
    assert plan.planned() == {}
    assert plan.is_idle(T0)


def test_only_reports_are_struck_and_only_those_meant() -> None:
    plan = planned(Fault(Kind.DROP, exec_type="F"))
    assert plan.send("C", b"8=FIX.4.4\x0135=0\x01", T0, is_app=False)
    assert plan.send("C", raw(1), T0, is_app=True)
    assert plan.send("C", b"8=FIX.4.4\x0135=9\x01", T0, is_app=True)
    assert plan.send("C", raw(2, "F"), T0, is_app=True) == []


def test_a_repeated_report_is_written_twice() -> None:
    assert sent(planned(Fault(Kind.REPEAT)), 2) == [[(0.0, raw(1)), (0.0, raw(1))], [(0.0, raw(2))]]


def test_a_reordered_report_is_overtaken_by_the_next_message() -> None:
    plan = planned(Fault(Kind.REORDER))
    assert sent(plan, 1) == [[]]
    assert not plan.is_idle(T0)
    assert plan.send("C", b"heartbeat", T0, is_app=False) == [(0.0, b"heartbeat"), (0.0, raw(1))]
    assert plan.is_idle(T0)


def test_a_new_connection_forgets_what_was_held_for_the_old_one() -> None:
    plan = planned(Fault(Kind.REORDER))
    sent(plan, 1)
    logon = b"8=FIX.4.4\x019=5\x0135=A\x0134=7\x01"
    assert plan.send("C", logon, T0, is_app=False) == [(0.0, logon)]
    assert plan.send("C", raw(8), T0, is_app=True) == [(0.0, raw(8))]


def test_what_is_behind_a_late_report_does_not_overtake_it() -> None:
    plan = planned(Fault(Kind.DELAY, seconds=0.5))
    leaves = [(at(ms), plan.send("C", raw(ms), at(ms), is_app=True)) for ms in (0, 0, 100, 499, 503, 600)]
    moments = [round(now.timestamp() * 1000 + sending[0][0] * 1000) for now, sending in leaves]
    assert moments == sorted(moments)
    assert leaves[0][1][0][0] == leaves[1][1][0][0] == 0.5
    assert leaves[5][1] == [(0.0, raw(600))]
    assert plan.is_idle(at(600))
    assert not planned_late().is_idle(at(520))


def planned_late() -> Plan:
    plan = planned(Fault(Kind.DELAY, count=2, seconds=0.5))
    sent(plan, 2)
    return plan


def test_other_clients_do_not_wait() -> None:
    plan = planned(Fault(Kind.DELAY, seconds=0.5))
    sent(plan, 1)
    assert sent(plan, 1, client="D") == [[(0.0, raw(1))]]


def test_silence_begins_at_once_and_ends() -> None:
    plan = planned(Fault(Kind.SILENCE, seconds=2))
    assert plan.is_silent(at(1999))
    assert not plan.is_idle(at(1999))
    assert not plan.is_silent(at(2000))
    plan = planned(Fault(Kind.SILENCE, seconds=2), Fault(Kind.DROP))
    plan.clear()
    assert plan.is_idle(T0)


def test_what_comes_in_can_be_lost_cut_or_rejected() -> None:
    plan = planned(
        Fault(Kind.LOSE, msg_type="H"),
        Fault(Kind.DISCONNECT_BEFORE),
        Fault(Kind.DISCONNECT_AFTER),
        Fault(Kind.REJECT, text="no"),
        Fault(Kind.REJECT_CANCEL),
    )
    assert [plan.is_lost(kind) for kind in "DHH"] == [False, True, False]
    assert [plan.cuts_before(kind) for kind in "HDD"] == [False, True, False]
    assert [plan.cuts_after(kind) for kind in "HFF"] == [False, True, False]
    assert [plan.refusal(kind) for kind in "HDD"] == [None, "no", None]
    assert [plan.refusal(kind) for kind in "GF"] == ["rejected by the fault plan", None]
    assert plan.is_idle(T0)


def test_answers_are_shuffled_and_said_again() -> None:
    plan = planned(Fault(Kind.SHUFFLE), Fault(Kind.DUPLICATE, exec_type="F"))
    assert plan.order(1) == [0]
    assert plan.order(2) == [1, 0]
    assert plan.order(2) == [0, 1]
    assert [plan.repeats(kind) for kind in "0FF"] == [False, True, False]


def test_probability_is_seeded() -> None:
    def pattern(seed: int) -> list[int]:
        plan = planned(Fault(Kind.DROP, count=100, probability=0.3), seed=seed)
        return [len(one) for one in sent(plan, 200)]

    assert pattern(1) == pattern(1) != pattern(2)
    assert 100 < sum(pattern(1)) < 200


def test_faults_of_one_kind_are_served_in_order() -> None:
    plan = planned(Fault(Kind.REJECT, text="one"), Fault(Kind.REJECT, text="two"))
    assert [plan.refusal("D"), plan.refusal("D")] == ["one", "two"]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ({"kind": Kind.DROP, "count": 0}, "count must be"),
        ({"kind": Kind.DROP, "skip": -1}, "skip 0 to"),
        ({"kind": Kind.DROP, "probability": 0}, "is not above 0"),
        ({"kind": Kind.DROP, "seconds": -1}, "needs seconds"),
        ({"kind": Kind.DELAY}, "delay needs seconds above 0"),
        ({"kind": Kind.SILENCE}, "silence needs seconds above 0"),
    ],
)
def test_a_fault_that_cannot_be_says_why(words: dict[str, object], wrong: str) -> None:
    with pytest.raises(FaultError, match=wrong):
        Fault(**words)


def test_a_plan_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "MAX_PLANNED", 1)
    plan = planned(Fault(Kind.DROP))
    with pytest.raises(FaultError, match="planned already"):
        plan.add(Fault(Kind.DROP), T0)


def test_every_kind_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Kind)
