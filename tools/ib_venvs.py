"""Make an environment for each Interactive Brokers client but ib_async; play the TWS door with all of them.

    python tools/ib_venvs.py            make what is missing, then run the tests that need them
    python tools/ib_venvs.py --only     make what is missing, print NAME=interpreter lines

1. ib_insync and ib_async write one and the same module (eventkit), so they never share an environment.
2. `ibapi` and `nautilus-ibapi`, the old and the current build of IBKR's own client, are under IBKR's own
   licence: they are installed for this test alone, each in an environment of its own. The current one needs
   `protobuf` and does not say so.
3. Standard library only. Any failure exits 1 with a sentence.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "ib-clients"
CLIENTS = {
    "GATEWAY_IB_INSYNC_PYTHON": ("ib_insync", "ib_insync==0.9.86"),
    "GATEWAY_IBAPI_PYTHON": ("ibapi", "ibapi==9.81.1.post1"),
    "GATEWAY_IBAPI_CURRENT_PYTHON": ("ibapi_current", "nautilus-ibapi==10.46.1 protobuf"),
}
TESTS = ("tests/integration/test_tws_door.py", "-k", "real_clients", "-q")


def make(name: str, requirements: str) -> Path:
    """Return the interpreter of an environment that has what is required, made if it is missing."""
    folder = FOLDER / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / ".installed"
    if not done.exists():
        print(f"making an environment for {requirements}", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        if subprocess.run([*pip, *requirements.split()], check=False).returncode:
            raise SystemExit(f"{requirements} could not be installed; is the package index within reach?")
        done.touch()
    return python


def main() -> int:
    """Make the environments; run the tests unless told not to."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--only", action="store_true", help="make them and print where they are")
    only = options.parse_args().only
    found = {variable: str(make(name, required)) for variable, (name, required) in CLIENTS.items()}
    if only:
        for variable, python in found.items():
            print(f"{variable}={python}")
        return 0
    command = [sys.executable, "-m", "pytest", *TESTS]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **found}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
