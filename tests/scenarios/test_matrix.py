"""The order-state matrices of FIX 4.4 volume 4 appendix D, on both sides; and that a wrong line is seen."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import fix_on_gateway
import fix_on_venue
import pytest
from fix_on_venue import Mismatch
from fix_script import FOLDER, Line, Script, ScriptError, every_script, read

from simulator.fix.dictionary import load

SCRIPTS = every_script()
BEGIN_STRINGS = ("FIX.4.4", "FIX.4.2")
WAYS = [
    pytest.param(script, profile, begin_string, id=f"{script.name} {profile} {begin_string}")
    for script in SCRIPTS
    for profile in script.profiles
    for begin_string in BEGIN_STRINGS
]
ROWS = {
    "A.1": "ab", "B.1": "abcdef", "C.1": "abc", "C.2": "a", "C.3": "abc", "D.1": "abc", "D.2": "abcd",
    "E.1": "abcd", "F.1": "abc", "G.1": "abc", "H.1": "abcd", "I.1": "ab", "J.1": "abcd", "K.1": "ab",
    "L.1": "ab",
}  # fmt: skip


@pytest.mark.parametrize(("script", "profile", "begin_string"), WAYS)
async def test_the_simulated_venue_follows_the_matrix(
    script: Script, profile: str, begin_string: str
) -> None:
    await fix_on_venue.play(script, profile, begin_string)


@pytest.mark.parametrize(("script", "profile", "begin_string"), WAYS)
def test_the_order_manager_follows_the_matrix(script: Script, profile: str, begin_string: str) -> None:
    fix_on_gateway.play(script, profile, begin_string)


def test_every_row_has_its_scenario() -> None:
    assert {script.row for script in SCRIPTS} == {
        f"{group}.{letter}" for group, letters in ROWS.items() for letter in letters
    }


def test_every_tag_has_its_name() -> None:
    dictionary = load("FIX.4.4")
    for script in SCRIPTS:
        for line in script.lines:
            for tag, name in line.names.items():
                if tag != 35:
                    assert dictionary.fields[tag].name == name, f"{script.name} line {line.number}"


def _doctored(script: Script, number: int, tag: int, value: str) -> Script:
    def changed(line: Line) -> Line:
        return replace(line, fields={**line.fields, tag: value}) if line.number == number else line

    return replace(script, lines=tuple(changed(line) for line in script.lines))


@pytest.mark.parametrize("tag", [39, 14, 151])
async def test_a_line_that_does_not_hold_shows_both_sides(tag: int) -> None:
    script = next(one for one in SCRIPTS if one.name == "B.1.b")
    for line in script.lines:
        if line.verb != "expect" or tag not in line.fields:
            continue
        wrong = _doctored(script, line.number, tag, "7" if tag == 39 else "4711")
        shown = rf"line {line.number}: expected +received[\s\S]*\({tag}\) +(7|4711) +\S+ +<-- differs"
        with pytest.raises(Mismatch, match=shown):
            await fix_on_venue.play(wrong, "verbose", "FIX.4.4")
        if tag == 14:  # a status is believed; quantities must add up
            with pytest.raises(Mismatch, match=rf"line {line.number}: "):
                fix_on_gateway.play(wrong, "verbose", "FIX.4.4")


async def test_a_message_too_many_or_too_few_is_seen() -> None:
    script = next(one for one in SCRIPTS if one.name == "A.1.a")
    with pytest.raises(Mismatch, match="nothing more was expected"):
        await fix_on_venue.play(replace(script, lines=script.lines[:-1]), "verbose", "FIX.4.4")
    with pytest.raises(Mismatch, match="received nothing"):
        await fix_on_venue.play(
            replace(script, lines=(*script.lines, script.lines[-1])), "verbose", "FIX.4.4"
        )


def test_a_halt_that_does_not_come_or_comes_unasked_is_seen() -> None:
    by_name = {one.name: one for one in SCRIPTS}
    with pytest.raises(Mismatch, match="was to halt for 'storm'"):
        fix_on_gateway.play(replace(by_name["A.1.a"], halts="storm"), "verbose", "FIX.4.4")
    with pytest.raises(Mismatch, match="it halted for"):
        fix_on_gateway.play(replace(by_name["E.1.a"], halts=""), "verbose", "FIX.4.4")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "the first line is"),
        ("# A.1.a  Shown.\n", "name the file A.1.a.fix"),
        ("# A.1.b  Shown.\nsend NewOrderSingle(D) ClOrdID(11)=X\n", "name the file A.1.b.fix"),
        ("# A.1.a  Shown.\nprofiles loud\nsend NewOrderSingle(D) ClOrdID(11)=X\n", "profiles are verbose"),
        ("# A.1.a  Shown.\nlisten NewOrderSingle(D)\n", "line 2: write send, expect or do"),
        ("# A.1.a  Shown.\nsend NewOrderSingle(D) 11=X\n", "line 2: write Message"),
        ("# A.1.a  Shown.\n\ndo fill X\n", "line 3: write name=value"),
    ],
)
def test_a_scenario_that_cannot_be_read_names_the_line(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "A.1.a.fix"
    path.write_text(text)
    with pytest.raises(ScriptError, match=re.escape(wrong)):
        read(path)


def test_no_scenario_is_left_unread() -> None:
    assert {script.path for script in SCRIPTS} == set(FOLDER.glob("*.fix"))
