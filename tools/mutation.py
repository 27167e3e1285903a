"""Mutation testing of the rooms where a wrong sign costs money: change the code, see whether a test notices.

Runs mutmut (https://mutmut.readthedocs.io; no part of the development extra: `pip install mutmut`) in a copy
of the repository, on the modules named below and with the unit tests that are about them. Prints how many
mutants were killed and every one that lived, as a diff.

Run: ``python tools/mutation.py [wash_sale lots ...] [--floor 90]``; exit 1 below the floor.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DECISION = "tests/unit/decision/test_decision_"
WASH_SALES = ("wash_sale", "wash_choice", "wash_numbers", "basket")
MODULES = {
    "wash_sale": ("gateway/decision/wash_sale.py", (*WASH_SALES, "partial_fills", "window")),
    "window": ("gateway/decision/window.py", (*WASH_SALES, "partial_fills", "window")),
    "tax_record": ("gateway/decision/tax_record.py", WASH_SALES),
    "costs": ("gateway/decision/costs.py", ("costs", "tariffs", "basket", "policy")),
    "triggers": ("gateway/decision/triggers.py", ("triggers", "policy", "policies")),
    "lots": ("gateway/domain/lots.py", ("costs", "basket")),
    "matching": ("gateway/domain/tax/matching.py", ()),
    "tax_lots": ("gateway/domain/tax/lots.py", ()),
    "ledger": ("gateway/domain/tax/ledger.py", ()),
    "year": ("gateway/domain/tax/year.py", ()),
}
"""Each module with the decision tests that are about it; the tests of the domain are always run."""
USUAL = ("wash_sale", "lots", "costs", "triggers")
KILLED = ("killed", "timeout", "segfault", "caught by type check")
COPIED = ("gateway", "adapters", "simulator", "config", "fix_specs", "tests", "tools", "README.md", "LICENSE")
SETTINGS = """
[tool.mutmut]
source_paths = ["gateway/"]
only_mutate = {modules}
also_copy = ["adapters", "simulator", "config", "fix_specs", "tools", "README.md"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-x", "-q", "-p", "no:cacheprovider", "-W", "default"]
"""


FEWER = """
from hypothesis import settings as _settings

_settings.register_profile("mutation", max_examples=20, deadline=None, database=None)
_settings.load_profile("mutation")
"""
"""A property is asked 20 times a mutant, not 100: what only a later example would find counts as alive."""


def copy(modules: list[str], place: Path) -> None:
    """Copy what the tests need, and tell mutmut what to change."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place / name)
    with (place / "tests" / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(FEWER)
    chosen = {test for name in modules for test in MODULES[name][1]}
    tests = ["tests/unit/domain", *(f"{DECISION}{test}.py" for test in sorted(chosen))]
    settings = SETTINGS.format(modules=[MODULES[name][0] for name in modules], tests=tests)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (place / "pyproject.toml").write_text(text + settings.replace("'", '"'), encoding="utf-8")


def mutmut(place: Path, *words: str) -> str:
    """Run mutmut in the copy; return what it printed."""
    command = [sys.executable, "-m", "mutmut", *words]
    return subprocess.run(command, cwd=place, check=False, capture_output=True, text=True).stdout


def main() -> int:
    """Mutate, test, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(USUAL), help=f"of {', '.join(MODULES)}")
    parser.add_argument("--floor", type=float, default=90.0, help="percent that must be killed")
    parser.add_argument("--children", default="2", help="how many at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        copy(options.modules, place)
        printed = mutmut(place, "run", "--max-children", options.children)
        fates: dict[str, list[str]] = {}
        results = mutmut(place, "results", "--all", "true")
        for name, fate in re.findall(r"^\s+(\S+): (\S.*)$", results, re.MULTILINE):
            fates.setdefault(fate.strip(), []).append(name)
        if not fates or "not checked" in fates:
            print(printed[-3000:])
            return 1
        lived = [name for fate, names in fates.items() if fate not in KILLED for name in names]
        for name in lived:
            print(mutmut(place, "show", name))
    total = sum(map(len, fates.values()))
    killed = total - len(lived)
    print({fate: len(names) for fate, names in fates.items()})
    print(f"{', '.join(options.modules)}: {killed} of {total} mutants killed, {100 * killed / total:.1f} %")
    return 0 if 100 * killed / total >= options.floor else 1


if __name__ == "__main__":
    sys.exit(main())
