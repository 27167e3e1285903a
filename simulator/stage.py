"""The stage: Redis, a venue and the gateway as three processes on one machine.

Used by the demo, the torture harness and the benchmarks. It starts the same commands a user would
type, in a folder of its own, on free ports of 127.0.0.1, and ends only what it started.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.control import ask
from simulator.tls import AUTHORITY

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.02
ALPACA, TWS = "alpaca", "tws"
ALPACA_KEYS = ("SIMULATED-KEY", "SIMULATED-SECRET")


class StageError(Exception):
    """A process of the stage did not come up: says which, and shows the end of its log."""


_held: dict[int, socket.socket] = {}


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 for a process of ours to listen on; the system gives it to nobody else.

    A socket that is bound and never listens keeps it, until `let_go` or the end of this process. Linux lets a
    server that reuses addresses, as asyncio's do, listen beside it; elsewhere the port is free again at once.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    if sys.platform == "linux":
        _held[port] = probe
    else:
        probe.close()
    return port


def let_go(*ports: int) -> None:
    """Give ports of `free_port` back to the system."""
    for port in ports:
        if port in _held:
            _held.pop(port).close()


@atexit.register
def _let_all_go() -> None:
    let_go(*_held)


@dataclass(slots=True)
class Stage:
    """Run the three processes; `folder` holds their logs, stores and the configuration they share.

    The venue speaks `dialect` in `begin_string`, over TLS with an authority of its own when `has_tls`.
    `sessions` are further sessions of the gateway: their place in its environment, as in QUOTES__RATES, and
    their SenderCompID(49). With the dialect "alpaca" or "tws" it is no FIX venue at all.
    """

    folder: Path
    config: Path
    prices: Path
    accounts: Path
    venue_options: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    sender_comp_id: str = "GATEWAY"
    begin_string: str = "FIX.4.4"
    dialect: str = "plain"
    has_tls: bool = False
    sessions: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    control_port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_redis(self) -> None:
        """Start the embedded Redis as a process of its own and wait until it answers."""
        self._start("redis", [sys.executable, "-m", "gateway", "--config", str(self.config), "redis"])
        self._wait_for_log("redis", "answers at")

    def start_venue(self) -> None:
        """Start the simulator with its store, or start it again on the same ports."""
        commands = {ALPACA: self._alpaca_command, TWS: self._tws_command}
        self._start("venue", commands.get(self.dialect, self._fix_command)())
        self._wait_for_log("venue", '"listening"')

    def _alpaca_command(self) -> list[str]:
        return [
            sys.executable, "-m", "simulator", "alpaca", "--port", str(self.port),
            "--control-port", str(self.control_port), "--key", ALPACA_KEYS[0], "--secret", ALPACA_KEYS[1],
            "--store", str(self.folder / "venue"),
            "--prices", str(self.prices), "--accounts", str(self.accounts), *self.venue_options,
        ]  # fmt: skip

    def _tws_command(self) -> list[str]:
        return [
            sys.executable, "-m", "simulator", "tws", "--port", str(self.port),
            "--control-port", str(self.control_port), "--store", str(self.folder / "venue"),
            "--prices", str(self.prices), "--accounts", str(self.accounts), *self.venue_options,
        ]  # fmt: skip

    def _fix_command(self) -> list[str]:
        command = [
            sys.executable, "-m", "simulator", "fix", "--host", "127.0.0.1", "--port", str(self.port),
            "--control-port", str(self.control_port), "--profile", "venue", "--comp-id", "SIM",
            "--accept", f"{self.begin_string}:{self.sender_comp_id}",
            "--store", str(self.folder / "venue"),
            "--prices", str(self.prices), "--accounts", str(self.accounts), *self.venue_options,
        ]  # fmt: skip
        for place, sender_comp_id in self.sessions.items():
            command += ["--accept", f"{self.begin_string}:{sender_comp_id}"]
            if place.startswith("DROP_COPIES"):
                command += ["--drop-copy", sender_comp_id]
        if self.dialect != "plain":
            command += ["--dialect", self.dialect]
        if self.has_tls:
            command += ["--tls", str(self.folder / "tls")]
        return command

    def start_gateway(self) -> None:
        """Start `gateway run`; it is ready when it says so."""
        command = [sys.executable, "-m", "gateway", "--config", str(self.config), "run"]
        self._start("gateway", command)
        self._wait_for_log("gateway", "running: household")

    def gateway_command(self, *arguments: str) -> list[str]:
        """Return the command line of a `gateway` command against this stage."""
        return [sys.executable, "-m", "gateway", "--config", str(self.config), *arguments]

    def child_environment(self) -> dict[str, str]:
        """Return the environment that points a gateway command at this stage."""
        found = {**os.environ, **self.environment}
        if self.dialect == ALPACA:
            address = f"127.0.0.1:{self.port}"
            words = {"URL": f"http://{address}", "STREAM_URL": f"ws://{address}/stream"}
            words |= dict(zip(("KEY", "SECRET"), ALPACA_KEYS, strict=True))
            return {**found, **{f"GATEWAY_LINKS__SIM__{name}": word for name, word in words.items()}}
        if self.dialect == TWS:
            return {**found, "GATEWAY_LINKS__SIM__PORT": str(self.port)}
        for place in ("LINKS__SIM", *self.sessions):
            found[f"GATEWAY_{place}__PORT"] = str(self.port)
            if self.has_tls:
                found[f"GATEWAY_{place}__TLS__CA_FILE"] = str(self.folder / "tls" / AUTHORITY)
        return found

    def record(self) -> dict[str, Any]:
        """Return the venue's own record: orders, fills, cash and positions."""
        return ask(self.control_port, "record")

    def is_running(self, name: str) -> bool:
        """Say whether a process was started and has not ended."""
        process = self.processes.get(name)
        return process is not None and process.poll() is None

    def kill(self, name: str) -> None:
        """End a process of ours with SIGKILL, as a power cut to that process would."""
        process = self.processes[name]
        process.kill()
        process.wait()

    def stop(self, name: str) -> int:
        """End a process of ours with SIGTERM and return its exit code."""
        process = self.processes[name]
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def close(self) -> None:
        """End everything that still runs, the gateway first, and give the ports back."""
        for name in ("gateway", "venue", "redis"):
            if name in self.processes:
                with contextlib.suppress(ProcessLookupError):
                    self.stop(name)
        let_go(self.port, self.control_port)

    def log(self, name: str) -> str:
        """Return what a process has written since it was last started."""
        path = self._log_path(name)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _log_path(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _start(self, name: str, command: list[str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._log_path(name)
        if path.exists():
            with path.with_suffix(".log.before").open("ab") as before:
                before.write(path.read_bytes())
        with path.open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=self.child_environment(),
            )  # fmt: skip

    def _wait_for_log(self, name: str, words: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while words not in self.log(name):
            if not self.is_running(name):
                raise StageError(f"{name} did not start:\n{self.log(name)[-2000:]}")
            if time.monotonic() > deadline:
                raise StageError(
                    f"{name} was not ready in {START_TIMEOUT_S:.0f} s:\n{self.log(name)[-2000:]}"
                )
            time.sleep(POLL_S)
