"""Run the whole suite in three parts side by side: brokers with venues, other processes, what only computes.

The first part's output is shown as it comes, the others' when they have ended; exit code 1 when one failed.
No test is left out: what no word of `BROKERS` names is with the processes, or computes if it is elsewhere.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q"]
PROCESSES = "tests/integration"
BROKERS = ("alpaca", "certify", "ibkr", "tws", "venue")
"""Words in the names of integration tests that speak to one broker or venue."""


def parts() -> dict[str, list[str]]:
    """Return each part's arguments to pytest, by its name."""
    files = sorted(path.as_posix() for path in Path(PROCESSES).glob("test_*.py"))
    brokers = [path for path in files if any(word in Path(path).name for word in BROKERS)]
    return {
        "processes": [path for path in files if path not in brokers],
        "brokers": [*brokers, "tests/contract"],
        "computing": ["tests", f"--ignore={PROCESSES}", "--ignore=tests/contract"],
    }


def main() -> int:
    """Run all parts; further arguments go to pytest."""
    words = sys.argv[1:]
    (first, shown), *rest = parts().items()
    print(f"three parts side by side; shown first: {first}", flush=True)
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
