"""The house's own rules, as tests: sizes, names, clocks, paths and promises."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("gateway", "adapters", "simulator")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PURE = [
    path
    for path in MODULES
    if path.relative_to(ROOT)
    .as_posix()
    .startswith(
        (
            "gateway/domain/",
            "gateway/decision/",
            "gateway/oms/",
            "gateway/events.py",
            "gateway/effects.py",
            "gateway/reported.py",
            "gateway/desk.py",
            "gateway/monitor.py",
            "gateway/outlook.py",
            "gateway/engine.py",
        )
    )
]
MODULE_LINES = 400
FUNCTION_LINES = 50
ROOM_README_LINES = 60
FORBIDDEN_NAMES = {"utils", "helpers", "common", "service", "manager2"}
CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("time", "time"),
    ("time", "monotonic"),
    ("date", "today"),
}


def _id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=_id)
def test_modules_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES, f"{node.name}: {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=_id)
def test_names_say_what_a_room_is(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "a module begins with its purpose"


@pytest.mark.parametrize("path", PURE, ids=_id)
def test_pure_rooms_read_no_clock(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else ""
            assert (name, node.func.attr) not in CLOCKS, f"line {node.lineno}"


def test_one_module_reads_the_clock_in_the_gateway() -> None:
    readers = {
        _id(path)
        for path in MODULES
        if _id(path).startswith("gateway/")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr) in CLOCKS
    }
    assert readers <= {"gateway/runtime/clock.py"}


def test_every_room_has_a_short_readme() -> None:
    for room in (*ROOMS, "fix_specs", "config", "tests"):
        readme = ROOT / room / "README.md"
        assert readme.exists(), f"{room}/README.md"
        assert readme.read_text(encoding="utf-8").count("\n") <= ROOM_README_LINES, room


def test_what_catches_everything_raises_it_again_except_in_quickfix_callbacks() -> None:
    doors = {"adapters/fix/child.py"}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                caught = node.type.id if isinstance(node.type, ast.Name) else None
                is_catch_all = node.type is None or caught in ("Exception", "BaseException")
                last = node.body[-1]
                raises_again = isinstance(last, ast.Raise) and last.exc is None
                assert not is_catch_all or raises_again or _id(path) in doors, f"{_id(path)}:{node.lineno}"


def test_every_room_of_the_gateway_has_its_place_in_the_directions() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one["type"] == "layers"]
    named = {name.strip() for layer in layers for name in layer.split("|")}
    rooms = {path.stem for path in (ROOT / "gateway").iterdir() if not path.name.startswith("__init__")}
    rooms -= {"README", "__pycache__"}
    assert {f"gateway.{room}" for room in rooms} | {"adapters", "simulator"} == named


def test_nothing_names_a_machine_or_a_home() -> None:
    rooms = (*ROOMS, "fix_specs", "config", "tests", "benchmarks", "tools", ".ci")
    files = [path for room in rooms for path in (ROOT / room).rglob("*")]
    files += [
        path
        for path in ROOT.iterdir()
        if path.suffix in (".md", ".toml", "")
        and path.name != ".git"  # in a worktree it is a file that names its place
        and not path.name.startswith(".coverage")
    ]
    pattern = re.compile(r"/(?:home|root|Users|work)/[a-z]")
    texts = {
        _id(path): path.read_text(encoding="utf-8", errors="replace")
        for path in files
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".sh", ".cfg", ".xml", ""}
    }
    assert len(texts) > 200
    found = [name for name, text in texts.items() if pattern.search(text)]
    assert found == []


def test_no_two_test_files_share_a_name() -> None:
    """Test folders are no packages, so pytest knows a file by its name alone and cannot collect two."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
