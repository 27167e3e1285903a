from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from gateway.runtime.logs import Redactor, setup_logging

CANARY = "hunter2-canary"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.mark.parametrize(
    "text",
    [
        f"8=FIX.4.4\x0135=A\x01554={CANARY}\x0110=1\x01",
        f"35=A|553=me|554={CANARY} x|925={CANARY}|10=1|",
        f"password={CANARY}",
        f"{{'password': '{CANARY}'}}",
        f'{{"api_secret": "{CANARY} more"}}',
        f"Authorization: Bearer {CANARY}",
        f"db_password : {CANARY}, next",
        f"redis://user:{CANARY}@host:6379/0",
        f"rediss://:{CANARY}@host",
        f"sig=v1,k,{CANARY}",
        f'"sig": "{CANARY}"',
        f"APCA_API_KEY={CANARY}",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    assert CANARY not in Redactor()(text)


def test_our_signatures_are_hidden_but_not_the_key_id() -> None:
    assert Redactor()("got v1,desk,QUJDRA== today") == "got v1,desk,*** today"


@pytest.mark.parametrize(
    "text",
    ["design: good", "order 1554=x", "price 187.23 at 14:30:00", "https://host/path", "assign = 5"],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor()(text) == text


def test_a_known_secret_is_hidden_wherever_it_stands() -> None:
    redact = Redactor([CANARY, CANARY[:7], "abc", ""])
    assert redact(f"x{CANARY}y abc") == "x***y abc"


def crash() -> None:
    local = CANARY
    raise RuntimeError("password=" + local)


@pytest.mark.parametrize("as_json", [True, False])
def test_no_line_and_no_traceback_shows_a_secret(root: logging.Logger, *, as_json: bool) -> None:
    stream = io.StringIO()
    setup_logging("debug", as_json=as_json, secrets=["s3cret-value"], stream=stream)
    root.debug("hello %s", "s3cret-value", extra={"account": "A1", "password": CANARY, "n": 3})
    try:
        crash()
    except RuntimeError:
        root.exception("it broke")
    text = stream.getvalue()
    assert CANARY not in text
    assert "s3cret-value" not in text
    assert "crash()" in text


def test_json_lines_carry_extra_fields(root: logging.Logger) -> None:
    stream = io.StringIO()
    setup_logging(as_json=True, stream=stream)
    root.info("sent\ntwo lines", extra={"cl_ord_id": "c-1", "qty": 5, "level": "x"})
    root.debug("not at this level")
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert (found["message"], found["cl_ord_id"], found["qty"]) == ("sent\ntwo lines", "c-1", 5)
    assert found["level"] == "INFO"
    assert found["at"].endswith("+00:00")


def test_a_person_sees_one_record_as_one_indented_block(root: logging.Logger) -> None:
    stream = io.StringIO()
    setup_logging(stream=stream)
    setup_logging(stream=stream)
    root.warning("two\nlines", extra={"account": "A1"})
    first, second = stream.getvalue().splitlines()
    assert "WARNING  root: two" in first
    assert second == "  lines account=A1"
