from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tws_desk import Tws

from simulator.venue import VenueError

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "short", "rest", "group", "child", "kept", "poor", "cancel", "change", "fill",
                         "close", "reopen", "locate", "lose", "restore", "manual", "bind", "rollback", "halt",
                         "correct", "plan", "wait"]),
        st.integers(1, 8),
        st.integers(1, 30),
    ),
    max_size=30,
)  # fmt: skip
SETTINGS = {"partials": 3, "fill_delay_ms": 700, "pending_ms": 300}
PLANS = ("change_doubles", "fill_after_cancel", "cancel_too_late", "reject_order", "reject_change")


def _act(tws: Tws, act: str, which: int, qty: int) -> None:
    client = tws.known
    ids, ref = tws.door.house.next_id(1), f"r{which}"
    orders = {
        "buy": {"action": "BUY"}, "short": {"action": "SELL"}, "rest": {"price": "90"},
        "group": {"price": "90", "oca": "g", "oca_type": str(which % 3 + 1)},
        "child": {"price": "110", "action": "SELL", "parent": which},
        "kept": {"price": "90", "transmit": False},
        "poor": {"qty": "100000"}, "change": {"price": "91", "order_id": which},
    }  # fmt: skip
    if act in orders:
        how = {
            "order_id": ids,
            "qty": str(qty),
            "ref": ref,
            "tif": "GTC" if qty % 2 else "DAY",
            **orders[act],
        }
        client.place(
            how.pop("order_id"), how.pop("action", "BUY"), how.pop("qty"), how.pop("price", None), **how
        )
    elif act == "cancel":
        client.cancel(which)
    elif act == "wait":
        tws.wait(qty / 10)
    elif act == "lose":
        tws.desk.lose()
    elif act == "restore":
        tws.desk.restore(1102)
    elif act == "plan":
        tws.plan(PLANS[which % len(PLANS)], seconds=1)
    else:
        done = [one.exec_id for one in tws.door.house.executions]
        arguments = {
            "fill": {"cl_ord_id": f"1:{which}", "qty": "1"}, "locate": {"symbol": "AAPL"},
            "manual": {"symbol": "AAPL", "side": "buy", "qty": str(qty), "price": "80"},
            "rollback": {"count": str(which)}, "halt": {"symbol": "MSFT"},
            "correct": {"exec_id": done[which % len(done)] if done else "x", "qty": "1", "price": "99"},
        }.get(act, {})  # fmt: skip
        tws.do(act, **arguments)


@given(ACTS)
def test_a_restart_finds_everything_as_it_was_whatever_was_done(acts: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tws = Tws(Path(folder), hard_to_borrow=["AAPL"], may_short=True, **SETTINGS)
        tws.known = tws.client()
        for act, which, qty in acts:
            try:
                _act(tws, act, which, qty)
            except VenueError:
                continue
        tws.desk.restore(1102)
        tws.journal.close()
        again = Tws(Path(folder), hard_to_borrow=["AAPL"], may_short=True, prefix="other-", **SETTINGS)
        assert again.door.record() == tws.door.record()
        assert again.door.house.next_ids == tws.door.house.next_ids
        assert [
            (one.perm_id, one.order_id, one.status, one.held, one.why) for one in again.door.house.tickets
        ] == [(one.perm_id, one.order_id, one.status, one.held, one.why) for one in tws.door.house.tickets]
        assert [(one.exec_id, one.qty, one.px, one.realized) for one in again.door.house.executions] == [
            (one.exec_id, one.qty, one.px, one.realized) for one in tws.door.house.executions
        ]
        again.journal.close()
