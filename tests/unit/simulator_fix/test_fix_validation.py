"""The dictionary and what it refuses: one line a fault, for both versions where they differ."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from fix_desk import ORDER, frame
from hypothesis import given
from hypothesis import strategies as st

from simulator.fix import dictionary
from simulator.fix.reasons import Reason, Rejection, is_defined
from simulator.fix.validation import Validator, _Examination

HEAD = "34=2|49=TW|52=20240506-12:00:00|56=ISLD|"
MAIL = "164=T|94=0|147=S|33=1|58=x|"
VALIDATORS = {name: Validator(name) for name in dictionary.FILES}


def verdict(fields: str, begin_string: str = "FIX.4.4") -> tuple[int, int | None] | None:
    rejection = VALIDATORS[begin_string].check(frame(begin_string, fields))
    return None if rejection is None else (int(rejection.reason), rejection.tag)


@pytest.mark.parametrize("begin_string", ["FIX.4.2", "FIX.4.4"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(f"35=D|{HEAD}{ORDER}", None, id="a good order"),
        pytest.param(f"35=D|56=ISLD|52=20240506-12:00:00|49=TW|34=2|{ORDER}", None, id="header in any order"),
        pytest.param(f"35=D|{HEAD}{ORDER}5001=x|", None, id="a user-defined tag"),
        pytest.param(f"35=D|{HEAD}{ORDER}93=3|89=abc|", None, id="signed"),
        pytest.param(f"35=U1|{HEAD}1=x|", None, id="a user-defined type"),
        pytest.param(f"35=|{HEAD}", (4, 35), id="empty MsgType"),
        pytest.param(f"35=zz|{HEAD}", (11, None), id="invalid MsgType"),
        pytest.param(f"35=D|{HEAD}{ORDER}2999=x|", (0, 2999), id="undefined tag"),
        pytest.param(f"35=D|{HEAD}{ORDER}2999=|", (0, 2999), id="undefined tag without value"),
        pytest.param(f"35=D|{HEAD}{ORDER}0=x|", (0, 0), id="tag zero"),
        pytest.param(f"35=D|{HEAD}{ORDER}-1=x|", (0, -1), id="tag below zero"),
        pytest.param(f"35=D|{HEAD}{ORDER.replace('54=1|', '')}", (1, 54), id="required tag missing"),
        pytest.param(f"35=D|34=2|49=TW|56=ISLD|{ORDER}", (1, 52), id="required header tag missing"),
        pytest.param(f"35=D|{HEAD}{ORDER}45=1|", (2, 45), id="not for this message"),
        pytest.param(f"35=D|{HEAD}{ORDER}45=|", (4, 45), id="not for this message and empty"),
        pytest.param(f"35=D|{HEAD}{ORDER}58=|", (4, 58), id="empty value"),
        pytest.param(f"35=D|{HEAD}{ORDER.replace('54=1', '54=Z')}", (5, 54), id="value out of range"),
        pytest.param(f"35=D|{HEAD}{ORDER.replace('38=100', '38=abc')}", (6, 38), id="bad quantity"),
        pytest.param(f"35=D|{HEAD}{ORDER.replace('60=2024', '60=x024')}", (6, 60), id="bad timestamp"),
        pytest.param(f"35=D|{HEAD}43=X|{ORDER}", (6, 43), id="bad boolean"),
        pytest.param(f"35=D|{HEAD}{ORDER}18=G 1|", None, id="several instructions"),
        pytest.param(f"35=D|{HEAD}{ORDER}18=G ~|", (5, 18), id="one unknown instruction"),
        pytest.param(f"35=D|{HEAD}{ORDER}18=G  1|", (6, 18), id="two spaces"),
        pytest.param(f"35=D|{HEAD}{ORDER}38=100|", (13, 38), id="tag twice in the body"),
        pytest.param(f"35=D|{HEAD}34=2|{ORDER}", (13, 34), id="tag twice in the header"),
        pytest.param(f"35=D|{HEAD}{ORDER}49=TW|", (13, 49), id="header tag again after the body"),
        pytest.param(f"35=D|{HEAD}{ORDER}97=Y|", (14, 97), id="header tag after the body"),
        pytest.param(f"35=D|{HEAD}{ORDER}93=1|89=x|58=x|", (14, 58), id="body tag in the trailer"),
        pytest.param(f"35=D|{HEAD}93=1|89=x|{ORDER}", (14, 11), id="trailer before the body"),
        pytest.param(f"35=D|{HEAD}{ORDER}58=x|y|", (17, 58), id="delimiter inside a value"),
        pytest.param(f"35=C|{HEAD}{MAIL}", None, id="a mail"),
        pytest.param(f"35=C|{HEAD}{MAIL.replace('33=1', '33=2')}", (16, 33), id="too few lines"),
        pytest.param(f"35=C|{HEAD}{MAIL}58=y|", (16, 33), id="too many lines"),
        pytest.param(f"35=C|{HEAD}{MAIL.replace('33=1', '33=-1')}", (6, 33), id="a negative count"),
        pytest.param(f"35=C|{HEAD}{MAIL}146=0|", None, id="an empty group"),
        pytest.param(f"35=C|{HEAD}{MAIL}215=1|216=1|217=R|", None, id="an optional group"),
        pytest.param(f"35=C|{HEAD}{MAIL}215=1|217=R|216=1|", (15, 217), id="group opens with the wrong tag"),
        pytest.param(f"35=C|{HEAD}{MAIL}215=1|216=1|217=R|217=R|", (13, 217), id="tag twice in a member"),
        pytest.param(f"35=C|{HEAD}{MAIL}215=1|216=7|217=R|", (5, 216), id="bad value in a member"),
        pytest.param(f"35=C|{HEAD}{MAIL}215=2|216=1|", (16, 215), id="one member of two"),
        pytest.param(f"35=C|{HEAD}164=T|94=0|147=S|", (1, 33), id="required group missing"),
        pytest.param(f"35=C|{HEAD}{MAIL}217=R|", (2, 217), id="a member's tag without its group"),
    ],
)
def test_verdicts(begin_string: str, fields: str, expected: tuple[int, int | None] | None) -> None:
    if "33=-1" in fields and begin_string == "FIX.4.2":
        expected = (16, 33)  # NumInGroup is an INT there
    assert verdict(fields, begin_string) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("453=1|448=X|447=D|452=1|802=1|523=S|803=1|", None),
        ("453=1|448=X|452=1|447=D|", (15, 447)),
        ("453=1|448=X|802=2|523=S|803=1|", (16, 802)),
        ("453=2|448=X|447=D|448=Y|447=D|", None),
    ],
)
def test_nested_groups(fields: str, expected: tuple[int, int | None] | None) -> None:
    assert verdict(f"35=D|{HEAD}{ORDER}{fields}") == expected


def test_a_required_member_tag() -> None:
    assert verdict(f"35=W|{HEAD}55=X|268=1|269=0|", "FIX.4.2") == (1, 270)


def test_the_hops_of_the_header_are_a_group() -> None:
    assert verdict(f"35=D|{HEAD}627=1|628=HOP|630=3|{ORDER}") is None
    assert verdict(f"35=D|{HEAD}627=2|628=HOP|{ORDER}") == (16, 627)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("58=a|11=b|5001=c|1=d", "1=d|11=b|58=a|5001=c"),
        ("453=2|448=X|447=D|448=A|447=D|11=a", "11=a|453=2|448=X|447=D|448=A|447=D"),
        ("453=1|448=X|802=1|523=S|803=1|11=a", "11=a|453=1|448=X|802=1|523=S|803=1"),
        ("454=0|453=1|448=X|78=1|79=x", "78=1|79=x|453=1|448=X|454=0"),
    ],
)
def test_a_body_is_sorted_around_its_groups(body: str, expected: str) -> None:
    pairs = [(int(tag), value) for tag, _, value in (part.partition("=") for part in body.split("|"))]
    order = dictionary.load("FIX.4.4").messages["D"]
    assert "|".join(f"{tag}={value}" for tag, value in order.ascending(pairs)) == expected


def test_user_tags_may_be_refused() -> None:
    strict = Validator("FIX.4.4", check_user_tags=True)
    assert strict.check(frame("FIX.4.4", f"35=D|{HEAD}{ORDER}5001=x|")) == Rejection(
        Reason.INVALID_TAG_NUMBER, 5001
    )


def test_credentials_belong_to_a_4_2_logon_when_they_are_asked_for() -> None:
    logon = frame("FIX.4.2", f"35=A|{HEAD}98=0|108=30|553=me|554=x|")
    assert VALIDATORS["FIX.4.2"].check(logon) == Rejection(Reason.INVALID_TAG_NUMBER, 553)
    assert Validator("FIX.4.2", also_tags={"A": frozenset({553, 554})}).check(logon) is None


@given(st.lists(st.sampled_from([*ORDER.split("|")[:-1], "58=", "54=Z", "5001=x", "45=1", "97=Y", "2999=x"])))
def test_the_quick_pass_never_vouches_for_what_the_examination_refuses(fields: list[str]) -> None:
    validator = VALIDATORS["FIX.4.4"]
    item = frame("FIX.4.4", f"35=D|{HEAD}" + "".join(f"{field}|" for field in fields))
    thorough = _Examination(validator, item, validator.dictionary.messages["D"]).verdict()
    assert validator.check(item) == thorough


def test_only_defined_reasons_exist_in_4_2() -> None:
    assert is_defined(Reason.INVALID_MSG_TYPE, "FIX.4.2")
    assert not is_defined(Reason.TAG_MORE_THAN_ONCE, "FIX.4.2")
    assert is_defined(Reason.OTHER, "FIX.4.4")


def test_layouts_know_their_tags() -> None:
    mail = dictionary.load("FIX.4.4").messages["C"]
    assert {58, 217, 164} <= mail.every_tag()
    assert mail.groups[33].delimiter == 58


def test_a_missing_dictionary_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(_name: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(dictionary.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(dictionary.metadata, "files", absent)
    with pytest.raises(dictionary.DictionaryMissingError, match="pip install quickfix"):
        dictionary.locate("FIX44.xml")


def test_a_dictionary_is_found_beside_the_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = tmp_path / "share" / "quickfix" / "FIX44.xml"
    found.parent.mkdir(parents=True)
    found.write_text("<fix><messages/></fix>")
    monkeypatch.setattr(dictionary.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(dictionary.metadata, "files", lambda _name: None)
    assert dictionary.locate("FIX44.xml") == found
    with pytest.raises(dictionary.DictionaryMissingError, match="no header"):
        dictionary.load.__wrapped__("FIX.4.4")
