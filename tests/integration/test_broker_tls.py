"""A link with a `tls` section, from the configuration to the venue's logon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fix_desk_venue import open_venue
from patience import PATIENCE_S
from test_relay import Certificates, certificates, tls_before

from gateway.config import load
from gateway.errors import ConfigError
from gateway.events import LinkUp
from gateway.links import make_broker
from gateway.runtime.clock import SystemClock

__all__ = ["certificates"]  # a fixture: pytest finds it by its name here

CONFIG = """
household = "h"
state_folder = "{state}"
[links.sim]
environment = "paper"
sender_comp_id = "GATEWAY"
target_comp_id = "SIM"
host = "{host}"
port = {port}
heartbeat_s = 5
{more}
[accounts.main]
link = "sim"
[instruments.AAPL]
"""


def write(folder: Path, port: int, more: str, host: str = "127.0.0.1") -> Path:
    path = folder / "gateway.toml"
    path.write_text(CONFIG.format(state=folder / "state", host=host, port=port, more=more))
    return path


async def test_a_link_with_tls_logs_on_over_a_verified_connection(
    certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(certificates.ca_file.read_bytes())
    async with open_venue() as desk, tls_before(desk, certificates.server()) as port:
        more = f'[links.sim.tls]\nca_file = "ca.pem"\nserver_name = "{certificates.trusting().server_name}"'
        config = load(write(tmp_path, port, more))
        broker = make_broker("sim", config.links["sim"], config, SystemClock())
        await broker.start(0)
        async with asyncio.timeout(PATIENCE_S):
            async for batch in broker.events():
                if any(isinstance(event, LinkUp) for event in batch):
                    await broker.stop()
                    break


async def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    config = load(write(tmp_path, 5001, '[links.sim.tls]\nca_file = "ca.pem"'))
    broker = make_broker("sim", config.links["sim"], config, SystemClock())
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        await broker.start(0)
    await broker.stop()


def test_another_machine_is_not_spoken_to_in_plain_text_unless_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"links\.sim\.host: fix\.example\.com is another machine"):
        load(write(tmp_path, 5001, "", host="fix.example.com"))
    assert load(write(tmp_path, 5001, "plaintext = true", host="fix.example.com")).links["sim"].tls is None
