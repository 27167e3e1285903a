"""Where to connect next: what TWS says, and what nobody answers on."""

from __future__ import annotations

import pytest

from adapters.ibkr.ports import Ports


@pytest.mark.parametrize(
    ("text", "port"),
    [
        (
            "TWS socket port has been reset and this connection is dropped. Reconnect on the new port - 7498",
            7498,
        ),
        ("Reset after 12 clients (build 10301); reconnect on the new port - 4002.", 4002),
        ("no number at all", 7497),
        ("a port nobody has - 99999", 7497),
        ("the new port - 0", 7497),
        ("port 7497 is port 7499 now, of 20 clients", 7499),
    ],
)
def test_the_new_port_is_the_one_the_text_names_last(text: str, port: int) -> None:
    ports = Ports(7497)
    ports.move(text)
    assert ports.now == port


def test_a_port_nobody_answers_on_is_changed_for_the_other() -> None:
    ports = Ports(7497)
    ports.fail(7497)
    assert ports.now == 7497
    ports.move("new port - 7498")
    ports.fail(7497)  # somebody else's old news
    assert ports.now == 7498
    ports.fail(7498)
    assert ports.now == 7497
    ports.fail(7497)
    assert ports.now == 7498
