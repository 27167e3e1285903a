"""Run the whole suite in four parts side by side: brokers, FIX sessions, other processes, what only computes.

The first part's output is shown as it comes, the others' when they have ended; exit code 1 when one failed.
No test is left out: what no word of `WORDS` names is with the processes, or computes if it is elsewhere.
Tests of processes wait more than they compute, so more parts than cores end sooner. Some of them hold real
clocks to account: what failed beside the others is shown, and played once more with the machine to itself.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q"]
CACHE = "build/pytest"
FAILED = 1
"""Exit code of pytest when tests failed; any other trouble is not played again."""
PROCESSES = "tests/integration"
WORDS = {
    "brokers": ("alpaca", "ibkr", "tws"),
    "sessions": ("certify", "fix", "quotes", "relay", "tls", "venue"),
}
"""Words in the names of integration tests, by the part they belong to."""

ELSEWHERE = {"brokers": ["tests/contract"]}
"""Folders beside `PROCESSES` that a part has, too."""


def parts() -> dict[str, list[str]]:
    """Return each part's arguments to pytest, by its name."""
    rest = [path.as_posix() for path in sorted(Path(PROCESSES).glob("test_*.py"))]
    found = {}
    for part, words in WORDS.items():
        own = [path for path in rest if any(word in Path(path).name for word in words)]
        rest = [path for path in rest if path not in own]
        found[part] = own + ELSEWHERE.get(part, [])
    besides = [f"--ignore={one}" for folders in ELSEWHERE.values() for one in folders]
    return {"processes": rest, **found, "computing": ["tests", f"--ignore={PROCESSES}", *besides]}


def command(name: str, chosen: list[str], *words: str) -> list[str]:
    """Return the command of one part, which remembers its own failures."""
    return [*COMMAND, "-o", f"cache_dir={CACHE}/{name}", *chosen, *words]


def main() -> int:
    """Run all parts; further arguments go to pytest."""
    words = sys.argv[1:]
    every = parts()
    (first, shown), *rest = every.items()
    print(f"four parts side by side; shown first: {first}", flush=True)
    others = []
    for name, chosen in rest:
        kept = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        process = subprocess.Popen(command(name, chosen, *words), stdout=kept, stderr=kept)
        others.append((name, kept, process))
    codes = {first: subprocess.run(command(first, shown, *words), check=False).returncode}
    for name, kept, process in others:
        codes[name] = process.wait()
        kept.seek(0)
        print(f"{name}:\n{kept.read()}", flush=True)
    for name, code in codes.items():
        if code == FAILED:
            print(f"{name}: once more, alone, what failed", flush=True)
            again = command(name, every[name], *words, "--last-failed", "--last-failed-no-failures", "none")
            codes[name] = subprocess.run(again, check=False).returncode
    return 1 if any(codes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
