"""Who enters a room finds every module of it named in the room's README, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED_OTHERWISE = {
    "gateway/cli": "as their commands",
    "adapters/fix/dialects": "as their venues",
    "simulator/fix/dialects": "as their venues",
}
READMES = sorted(
    path
    for room in ("gateway", "adapters", "simulator", "benchmarks", "tools")
    for path in (ROOT / room).rglob("README.md")
)


def modules_of(readme: Path) -> list[Path]:
    """Return the modules below a README that have no nearer one."""
    found = []
    for path in sorted(readme.parent.rglob("*.py")):
        nearest = next(folder for folder in path.parents if (folder / "README.md").exists())
        places = {one.relative_to(ROOT).as_posix() for one in (path, path.parent)}
        if nearest == readme.parent and not path.name.startswith("__") and not places & set(NAMED_OTHERWISE):
            found.append(path)
    return found


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_of_a_room_is_named_in_its_readme(readme: Path) -> None:
    words = set(re.findall(r"\w+", readme.read_text(encoding="utf-8")))
    assert [path.name for path in modules_of(readme) if path.stem not in words] == []


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_a_readme_names_is_there(readme: Path) -> None:
    named = re.findall(r"`([\w/]+\.(?:py|lua|css))`", readme.read_text(encoding="utf-8"))
    places = [readme.parent, ROOT, ROOT / "gateway", ROOT / "benchmarks"]
    places += [folder for folder in readme.parent.rglob("*") if folder.is_dir()]
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
