"""Reproduce every figure of the README on deciding, backtesting and learning: data to page, one command.

Each part is a command of this repository, run as a user would run it, one after the other: this only starts
them, keeps what they say, and writes `build/report/index.html` and `report.json` beside the pages they make.
Parts whose extra is not installed are left out and said to be. With `--quick` everything is smaller: for a
look, not for figures.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Part:
    """Name one part: what it shows, its command, what it needs, and the pages it writes."""

    name: str
    title: str
    command: Sequence[str]
    needs: Sequence[str] = ()
    pages: Sequence[str] = ()


def parts(folder: Path, *, quick: bool) -> list[Part]:
    """Return all parts, in the order of the page."""
    gateway = [sys.executable, "-m", "gateway"]
    python = [sys.executable]
    backtest = [*gateway, "backtest", "config/backtests/sp500.toml"]
    if quick:
        backtest += ["--only", "monthly", "--only", "smart"]
    return [
        Part("rules", "One asset: each rule over the optimum", [*python, "benchmarks/policies.py"]),
        Part("planning", "Weights to whole lots", [*python, "benchmarks/planning.py"]),
        Part("decisions", "Speed of a whole decision", [*python, "benchmarks/policies_speed.py"]),
        Part("optimiser", "The optimiser beside a known solver", [*python, "benchmarks/solve.py"]),
        Part(
            "one-asset", "One asset, the optimum known exactly: every rule and both learners",
            [*python, "benchmarks/learners.py", "--world", "one-asset", *(["--quick"] if quick else [])],
        ),
        Part(
            "twenty-names", "Twenty real names, out of sample: both learners in the same budget",
            [
                *python, "benchmarks/learners.py", "--world", "twenty-names", "--out", str(folder),
                *(["--quick"] if quick else []),
            ],
            needs=("skfolio",),
        ),
        Part(
            "policies", "Policies side by side through the engine",
            [*backtest, "--json", str(folder / "policies.json"), "--html", str(folder / "policies.html")],
            needs=("skfolio",), pages=("policies.html",),
        ),
        Part(
            "household", "A household of three accounts, wash sales between them",
            [
                *gateway, "backtest", "config/backtests/household.toml", "--json",
                str(folder / "household.json"), "--html", str(folder / "household.html"),
            ],
            needs=("skfolio",), pages=("household.html",),
        ),
        Part(
            "timing", "Timing by trends and the measured regime: each rule with and without it",
            [
                *gateway, "backtest", "config/backtests/timing.toml",
                *(["--only", "no_trade"] if quick else []),
                "--json", str(folder / "timing.json"), "--html", str(folder / "timing.html"),
            ],
            needs=("skfolio",), pages=("timing.html",),
        ),
        Part(
            "harvesting", "Tax-loss harvesting by year of beginning",
            [
                *gateway, "harvest-study", "config/backtests/harvest.toml", "--every", "8" if quick else "1",
                "--json", str(folder / "harvesting.json"), "--html", str(folder / "harvesting.html"),
            ],
            needs=("skfolio",), pages=("harvesting.html",),
        ),
        Part("environment", "Speed of the learners' environment", [*python, "benchmarks/environment.py"]),
        Part(
            "backtest", "Speed of a backtest",
            [*python, "benchmarks/backtest.py", *(["--days", "1000"] if quick else [])],
        ),
    ]  # fmt: skip


def played(part: Part) -> dict[str, Any]:
    """Run one part; return what it printed, how it ended and how long it took."""
    missing = [name for name in part.needs if importlib.util.find_spec(name) is None]
    if missing:
        text = f"left out: it needs {missing[0]} (pip install 'rebalance-gateway[data]')"
        return {"name": part.name, "title": part.title, "text": text, "code": None, "seconds": 0.0}
    begun = time.perf_counter()
    done = subprocess.run(part.command, cwd=ROOT, capture_output=True, text=True, check=False)
    text = done.stdout if done.returncode in (0, 1) and done.stdout else f"{done.stdout}{done.stderr}"
    return {
        "name": part.name, "title": part.title, "text": text.strip(), "code": done.returncode,
        "seconds": round(time.perf_counter() - begun, 1), "pages": list(part.pages),
    }  # fmt: skip


def figures(text: str) -> Any:
    """Return the JSON object a benchmark ends with, None where it ends with none."""
    last = text.splitlines()[-1] if text else ""
    return json.loads(last) if last.startswith("{") else None


def page(found: Sequence[dict[str, Any]]) -> str:
    """Return the index: every part's output as it was printed, with links to its own pages."""
    css = (ROOT / "gateway" / "views" / "page.css").read_text(encoding="utf-8")
    sections = []
    for one in found:
        lines = [line for line in one["text"].splitlines() if not line.startswith("{")]
        links = "".join(f'<a href="{name}">the whole page</a> ' for name in one.get("pages", ()))
        state = (
            "" if one["code"] in (0, None) else f'<p class="critical">It ended with code {one["code"]}.</p>'
        )
        sections.append(
            f"<h2>{escape(one['title'])}</h2><p class=soft>{one['seconds']} s. {links}</p>{state}"
            f"<div class=wide><pre>{escape(chr(10).join(lines).strip())}</pre></div>"
        )
    total = sum(one["seconds"] for one in found)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>Figures</title><style>{css} pre {{ font-size: .82rem; line-height: 1.4; }}</style></head>"
        "<body>"
        "<header><h1>Figures on deciding, backtesting and learning</h1>"
        f'<p class="soft wideline">Made by `make report` in {total / 60:.1f} minutes.</p></header>'
        f"<main>{''.join(sections)}</main></body></html>\n"
    )


def main() -> int:
    """Play every part; exit 1 when one did not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "report")
    parser.add_argument("--only", action="append", default=[], help="play this part alone; may be repeated")
    parser.add_argument("--quick", action="store_true", help="everything smaller")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for part in parts(folder, quick=options.quick):
        if options.only and part.name not in options.only:
            continue
        print(f"{part.title} ...", flush=True)
        one = played(part)
        print(f"{one['text']}\n({one['seconds']} s)\n", flush=True)
        found.append({**one, "figures": figures(one["text"])})
    (folder / "report.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    (folder / "index.html").write_text(page(found), encoding="utf-8")
    spent = sum(os.times()[2:4])
    print(
        f"{len(found)} parts in {sum(one['seconds'] for one in found) / 60:.1f} minutes, "
        f"{spent / 60:.1f} of one core's; page: {folder / 'index.html'}"
    )
    return 0 if all(one["code"] in (0, None) for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
