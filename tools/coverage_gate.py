"""Hold the coverage gates: 100 % of branches in the pure rooms, 95 % at the edges."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

PURE = (
    "gateway/domain/",
    "gateway/decision/",
    "gateway/oms/",
    "gateway/events.py",
    "gateway/reported.py",
    "gateway/effects.py",
    "gateway/desk.py",
    "gateway/monitor.py",
    "gateway/outlook.py",
    "gateway/engine.py",
)
PURE_PERCENT = 100.0
EDGE_PERCENT = 95.0


def percent(files: list[dict[str, dict[str, int]]]) -> float:
    """Return covered statements and branches of all statements and branches, in percent."""
    covered = sum(f["summary"]["covered_lines"] + f["summary"].get("covered_branches", 0) for f in files)
    total = sum(f["summary"]["num_statements"] + f["summary"].get("num_branches", 0) for f in files)
    return 100.0 * covered / total if total else 100.0


def main() -> int:
    """Print one line per gate and what is missing; exit 1 when a gate does not hold."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", str(target)], check=True)
        files = json.loads(target.read_text())["files"]
    pure = {name: data for name, data in files.items() if name.startswith(PURE)}
    edges = {name: data for name, data in files.items() if name not in pure}
    held = True
    for title, group, floor in (("pure rooms", pure, PURE_PERCENT), ("edges", edges, EDGE_PERCENT)):
        reached = percent(list(group.values()))
        held = held and reached >= floor
        print(f"coverage of {title}: {reached:.2f} % (gate {floor:.0f} %)")
        for name, data in sorted(group.items()):
            if data["summary"]["percent_covered"] < floor:
                lines = data["missing_lines"][:12]
                print(f"  {data['summary']['percent_covered']:6.2f} %  {name}  lines {lines}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
