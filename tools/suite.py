"""Run the whole suite in two halves side by side: what waits for processes, and what only computes.

The first half's output is shown as it comes, the other's when both have ended; exit code 1 when one failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

COMMAND = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q"]
WAITING = ["tests/integration"]
COMPUTING = ["tests", "--ignore=tests/integration"]


def main() -> int:
    """Run both halves; further arguments go to pytest."""
    words = sys.argv[1:]
    with tempfile.TemporaryFile("w+") as kept:
        print("two halves side by side; shown first: what waits for real processes", flush=True)
        other = subprocess.Popen([*COMMAND, *COMPUTING, *words], stdout=kept, stderr=subprocess.STDOUT)
        shown = subprocess.run([*COMMAND, *WAITING, *words], check=False)
        code = other.wait()
        kept.seek(0)
        print(kept.read(), flush=True)
    return 1 if code or shown.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
