"""The week's report, written beside the trading gateway by a process of its own.

Rules of this room:
1. It is the command `gateway report`, with the configuration this gateway runs with; a report that stands
   there already is not written again.
2. The process is lowered in priority where the system can; the loop only waits for it to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError

NICENESS: Final = 10
TIMEOUT_S: Final = 600.0


async def write_report(config_file: Path, folder: Path, week: str) -> str:
    """Write the page and the JSON of a week into `folder`; return the page's name, empty when it is there.

    Raises `ConfigError` with the reason when it could not be written.
    """
    page = folder / f"{week}.html"
    if page.exists():
        return ""
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "--config", str(config_file), "report", "--week", week,
            "--html", str(page), "--json", str(page.with_suffix(".json")),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as problem:
        raise ConfigError(f"no process can be started: {problem.strerror}") from None
    with contextlib.suppress(AttributeError, OSError):  # not every system has it; the child may have ended
        os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, errors = await child.communicate()
    except TimeoutError:
        raise ConfigError(f"it took longer than {TIMEOUT_S:.0f} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        lines = errors.decode("utf-8", "replace").strip().splitlines() or ["no answer"]
        raise ConfigError(lines[-1][:300])
    return str(page)
