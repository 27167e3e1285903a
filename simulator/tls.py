"""TLS for the simulated venue: an authority of its own, and a certificate for 127.0.0.1.

Rules of this room:
1. The authority is made anew in every folder and is trusted by nobody who is not told to.
2. A folder keeps its authority: a venue that starts again shows the certificate it had.
"""

from __future__ import annotations

import ssl
from pathlib import Path

AUTHORITY = "ca.pem"
_SERVER = "server.pem"
_NAMES = ("127.0.0.1", "localhost")


class TlsUnavailable(Exception):
    """No certificate can be made; the text says what to install."""


def server_context(folder: Path) -> ssl.SSLContext:
    """Return what a server in `folder` speaks TLS with; `folder/ca.pem` is whom its clients must trust."""
    server = folder / _SERVER
    if not server.exists():
        _make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(server)
    return context


def _make(folder: Path) -> None:
    try:
        import trustme  # noqa: PLC0415 - only a venue with TLS needs it
    except ImportError:
        raise TlsUnavailable(
            "a venue with TLS makes its own certificate: pip install 'rebalance-gateway[simulator]'"
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / AUTHORITY))
    new = folder / "server.new"
    new.touch(mode=0o600)
    authority.issue_cert(*_NAMES).private_key_and_cert_chain_pem.write_to_path(str(new))
    new.replace(folder / _SERVER)
