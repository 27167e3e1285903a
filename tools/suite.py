"""Run the whole suite in four parts side by side: brokers, FIX sessions, other processes, what only computes.

The first part's output is shown as it comes, the others' when they have ended; exit code 1 when one failed.
No test is left out: what no word of `WORDS` names is with the processes, or computes if it is elsewhere.
Tests of processes wait more than they compute, so more parts than cores end sooner.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q"]
PROCESSES = "tests/integration"
WORDS = {
    "brokers": ("alpaca", "ibkr", "tws"),
    "sessions": ("certify", "fix", "quotes", "relay", "tls", "venue"),
}
"""Words in the names of integration tests, by the part they belong to."""

CONTRACT = "tests/contract"
"""A folder beside `PROCESSES` that goes with what is left of it: the broker contract, over every venue."""


def parts() -> dict[str, list[str]]:
    """Return each part's arguments to pytest, by its name."""
    rest = [path.as_posix() for path in sorted(Path(PROCESSES).glob("test_*.py"))]
    found = {}
    for part, words in WORDS.items():
        own = [path for path in rest if any(word in Path(path).name for word in words)]
        rest = [path for path in rest if path not in own]
        found[part] = own
    computing = ["tests", f"--ignore={PROCESSES}", f"--ignore={CONTRACT}"]
    return {"processes": [*rest, CONTRACT], **found, "computing": computing}


def main() -> int:
    """Run all parts; further arguments go to pytest."""
    words = sys.argv[1:]
    (first, shown), *rest = parts().items()
    print(f"four parts side by side; shown first: {first}", flush=True)
    others = []
    for name, chosen in rest:
        kept = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        others.append((name, kept, subprocess.Popen([*COMMAND, *chosen, *words], stdout=kept, stderr=kept)))
    codes = [subprocess.run([*COMMAND, *shown, *words], check=False).returncode]
    for name, kept, process in others:
        codes.append(process.wait())
        kept.seek(0)
        print(f"{name}:\n{kept.read()}", flush=True)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
