"""Halts: every reason stands until it is released, and no other goes with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.oms.state import MAX_REASONS, State
from gateway.runtime.wire import decode_state, encode_state

NAMES = st.sampled_from(["", "main", "other"])
REASONS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True)


@given(st.lists(st.tuples(st.booleans(), NAMES, REASONS), max_size=25))
def test_a_reason_stands_from_when_it_came_to_when_it_is_released(
    steps: list[tuple[bool, str, list[str]]],
) -> None:
    state, meant = State(), {name: [] for name in ("", "main", "other")}
    for is_halt, name, reasons in steps:
        if is_halt:
            state.halt(name, reasons[0])
            if reasons[0] not in meant[name]:
                meant[name].append(reasons[0])
        else:
            state.release(name, reasons)
            meant[name] = [one for one in meant[name] if one not in reasons]
        for account, left in meant.items():
            assert state.halt_reasons(account) == left
            assert (account in state.halts) is bool(left)
            all_of_them = left + (meant[""] if account else [])
            assert state.halt_reason(account) == "; ".join(all_of_them)
        assert sorted(state.halted_for("a")) == sorted(one for one, left in meant.items() if "a" in left)
        assert decode_state(encode_state(state), State) == state


def test_released_without_a_word_all_of_an_account_go() -> None:
    state = State()
    for reason in ("first", "second"):
        state.halt("main", reason)
        state.halt("other", reason)
    state.release("main")
    assert (state.halts, state.halts_too) == ({"other": "first"}, {"other": ["second"]})
    state.release("nobody")


def test_of_far_too_many_the_first_and_the_newest_are_remembered() -> None:
    state = State()
    for number in range(MAX_REASONS + 5):
        state.halt("main", str(number))
    kept = state.halt_reasons("main")
    assert (len(kept), kept[0], kept[-1]) == (MAX_REASONS, "0", str(MAX_REASONS + 4))
