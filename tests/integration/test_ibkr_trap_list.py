"""The traps of TWS and its client libraries, and the test of each: a trap without its test fails here.

Each shows in its own body that the plain reading of the library fails, and that ours does not.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TRAPS, LIBRARY, BROKER, READING = (
    "test_ibkr_traps.py", "test_ibkr_library_traps.py", "test_ibkr_broker.py", "test_ibkr_reading_traps.py",
)  # fmt: skip
LISTED = {
    "10349 on a living order is read as a cancel": (TRAPS, "test_10349_says_nothing_about_the_order"),
    "any code on a working order ends it locally": (TRAPS, "test_a_code_on_a_working_order_ends_nothing"),
    "10148 with state: Filled is read as cancelled": (TRAPS, "test_10148_filled_is_a_fill"),
    "a refused cancel is read as a cancel": (
        LIBRARY, "test_a_cancel_that_was_refused_leaves_the_order_alive"
    ),
    "a refused change hides a living order": (
        LIBRARY, "test_a_change_that_was_refused_leaves_the_order_alive"
    ),
    "a replayed fill raises no event": (TRAPS, "test_a_fill_while_we_were_away_is_told"),
    "a corrected execution is counted twice": (TRAPS, "test_a_corrected_execution_replaces_the_first"),
    "a commission before its execution is dropped": (
        TRAPS, "test_a_commission_may_come_before_its_execution"
    ),
    "a missing End passes for an empty answer": (TRAPS, "test_an_answer_without_its_end_is_not_empty"),
    "order ids roll back over a restart": (
        TRAPS, "test_order_ids_that_went_back_over_a_restart_change_no_old_order"
    ),
    "a NUL in the reference injects fields": (TRAPS, "test_a_nul_in_the_reference_never_reaches_the_wire"),
    "a time zone nobody knows loses a fill": (TRAPS, "test_a_time_zone_nobody_knows_loses_no_fill"),
    "filled, and its executions never came": (TRAPS, "test_a_lost_execution_is_asked_for"),
    "a completed order says 0 filled": (TRAPS, "test_a_completed_order_says_zero_filled_and_means_all"),
    "the first of two questions waits for ever": (TRAPS, "test_two_questions_at_once_are_both_answered"),
    "326 is a time-out without a word": (
        TRAPS, "test_a_client_id_in_use_is_seen_at_once_and_the_spare_one_taken"
    ),
    "async handlers are lost in another loop": (
        LIBRARY, "test_a_loop_that_is_not_the_threads_own_loses_nothing"
    ),
    "trades are orphaned by a drop": (LIBRARY, "test_an_order_is_the_same_order_after_a_drop"),
    "a finished order leaves again before the assertion": (
        LIBRARY, "test_a_finished_order_is_not_sent_again"
    ),
    "an unknown status is neither active nor done": (
        LIBRARY, "test_a_word_nobody_knows_is_neither_alive_nor_dead_to_the_library"
    ),
    "Inactive is an end to one library only": (LIBRARY, "test_inactive_is_no_end"),
    "each 1102 adds a summary until 322": (LIBRARY, "test_an_outage_multiplies_no_subscription"),
    "a cancel queues behind orders": (LIBRARY, "test_a_cancel_of_the_librarys_waits_behind_its_orders"),
    "a what-if hangs, or has margins of 300 digits": (
        LIBRARY, "test_a_what_if_that_is_never_answered_holds_nothing_up"
    ),
    "a refused question is an empty answer": (LIBRARY, "test_a_refused_question_is_not_an_empty_answer"),
    "a late commission": (TRAPS, "test_a_late_commission_is_waited_for_or_made_good"),
    "a slow answer is taken for the next one": (
        TRAPS, "test_an_answer_that_is_slow_is_not_taken_for_the_next_ones"
    ),
    "103, 104: the id was used before": (
        TRAPS, "test_an_id_that_was_used_before_costs_a_try_and_no_order"
    ),
    "NaN, 0, negative quantities are sent": (TRAPS, "test_no_impossible_quantity_is_sent"),
    "executions while 1100 holds are dropped": (
        TRAPS, "test_fills_count_while_tws_has_lost_ibkr_and_nothing_is_sent"
    ),
    "1100 for hours": (TRAPS, "test_an_outage_that_is_told_for_hours_is_told_once"),
    "never arrived, or the answer was lost": (
        TRAPS, "test_an_order_lost_on_the_way_and_an_answer_lost_are_told_apart"
    ),
    "the pace is all clients' together": (TRAPS, "test_one_pace_for_all_and_cancels_first"),
    "one reference, two permIds": (BROKER, "test_one_reference_on_two_orders_stops_the_account"),
    "a change in an outage": (
        BROKER, "test_a_change_in_an_outage_that_made_a_second_order_stops_the_account"
    ),
    "orders of people and other clients": (
        BROKER, "test_what_a_person_did_is_a_strangers_unless_another_link_answers_for_it"
    ),
    "planned restarts": (BROKER, "test_a_planned_restart_pauses_sending_and_is_told_once"),
    "a half-open socket": (BROKER, "test_a_line_that_is_dead_and_does_not_say_so_is_made_anew"),
    "1300: another port": (BROKER, "test_a_port_that_moved_is_followed"),
    "10243: a fraction is refused": (
        BROKER, "test_fractions_are_wanted_or_refused_and_fall_back_to_whole_shares"
    ),
    "a fill after the cancel's answer": (
        BROKER, "test_a_cancel_that_is_confirmed_is_not_the_end_of_fills"
    ),
    "a market order is never Submitted, openOrder comes first": (
        READING, "test_a_market_order_is_never_submitted"
    ),
    "duplicates, and a status before its executions": (
        READING, "test_whatever_comes_twice_or_first_is_booked_once"
    ),
    "every code, on a working order": (
        READING, "test_every_code_said_of_a_working_order_leaves_it_working"
    ),
    "an id above 32 bits": (READING, "test_an_id_beyond_32_bits_is_never_sent"),
    "an unknown message id": (READING, "test_a_message_nobody_knows_is_told_once"),
    "an order of an earlier process": (READING, "test_an_order_of_an_earlier_process_can_be_cancelled"),
}  # fmt: skip


def body_of(file: str, name: str) -> str:
    """Return the text of a test; fails when there is none of that name."""
    text = (HERE / file).read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return ast.get_source_segment(text, node) or ""
    raise AssertionError(f"{file} has no {name}")


@pytest.mark.parametrize("trap", LISTED)
def test_a_trap_is_shown_to_catch_the_naive(trap: str) -> None:
    body = body_of(*LISTED[trap])
    assert "# naive" in body
    assert ".start(" in body or "await live(" in body  # and ours, over the same wire
