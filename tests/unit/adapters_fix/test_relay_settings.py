"""What the TLS settings accept, and that every refusal names its remedy."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from adapters.fix import sockets
from adapters.fix.relay import TlsRelay, TlsSettings
from adapters.fix.sockets import owner_of
from adapters.fix.tls import public_key_sha256, why_no_tls, why_unreachable
from gateway.errors import ConfigError

HEX = "ab" * 32
BASE64 = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="


def test_verification_is_always_on_and_old_versions_are_always_out() -> None:
    for version, floor in (("1.2", ssl.TLSVersion.TLSv1_2), ("1.3", ssl.TLSVersion.TLSv1_3)):
        context = TlsSettings(minimum_version=version).context()
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version is floor


def test_a_ca_file_stands_in_for_the_systems_store(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    found = TlsSettings(ca_file=tmp_path / "ca.pem").context().cert_store_stats()
    assert found["x509"] == 1


@pytest.mark.parametrize(
    "text", [HEX, HEX.upper(), ":".join(["ab"] * 32), BASE64, f"sha256//{BASE64}", f" sha256/{BASE64} "]
)
def test_pins_are_read_in_every_usual_spelling(text: str) -> None:
    assert TlsSettings(pinned_sha256=(text,)).pins() == {b"\xab" * 32}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"minimum_version": "1.1"}, "minimum_version"),
        ({"server_name": ""}, "server_name"),
        ({"server_name": ".venue"}, "server_name"),
        ({"server_name": "a b"}, "server_name"),
        ({"server_name": "a\0b"}, "server_name"),
        ({"client_key": Path("key.pem")}, "client_cert"),
        ({"pinned_sha256": ("",)}, "44 characters"),
        ({"pinned_sha256": (HEX[2:],)}, "44 characters"),
        ({"pinned_sha256": ("x" * 64,)}, "44 characters"),
        ({"pinned_sha256": (BASE64, "é")}, "44 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_key(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TlsSettings(**changes)  # type: ignore[arg-type]


def test_a_host_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="host"):
        TlsRelay("fix .example", 1, TlsSettings())


def test_a_ca_file_that_cannot_serve_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path in (tmp_path / "absent.pem", empty):
        with pytest.raises(ConfigError, match=f"ca_file .*{path.name}.*readable PEM"):
            TlsSettings(ca_file=path).context()


def test_a_client_certificate_is_read_and_an_unusable_one_is_named(tmp_path: Path) -> None:
    leaf, other = trustme.CA().issue_cert("us.example"), trustme.CA().issue_cert("them.example")
    both, key = tmp_path / "both.pem", tmp_path / "key.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(str(both))
    leaf.private_key_pem.write_to_path(str(key))
    TlsSettings(client_cert=both).context()
    TlsSettings(client_cert=both, client_key=key).context()
    other.private_key_pem.write_to_path(str(key))
    with pytest.raises(ConfigError, match=r"client_key .*key\.pem cannot be used"):
        TlsSettings(client_cert=both, client_key=key).context()
    locked = load_pem_private_key(leaf.private_key_pem.bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )
    key.write_bytes(locked)
    with pytest.raises(ConfigError, match="without a password"):
        TlsSettings(client_cert=both, client_key=key).context()


@pytest.mark.parametrize("kind", list(trustme.KeyType))
def test_the_hash_of_a_public_key_is_the_one_everybody_computes(kind: trustme.KeyType) -> None:
    pem = trustme.CA().issue_cert("venue.example", key_type=kind).cert_chain_pems[0].bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public_key_sha256(certificate.public_bytes(Encoding.DER)) == hashlib.sha256(key).digest()


def test_a_certificate_without_a_version_field_is_read_too() -> None:
    def element(tag: int, content: bytes) -> bytes:
        return bytes((tag, len(content))) + content

    key = element(0x30, b"the key")
    fields = element(0x02, b"\1") + element(0x30, b"") * 4 + key + element(0xA3, b"")
    assert public_key_sha256(element(0x30, element(0x30, fields))) == hashlib.sha256(key).digest()


def _tls_error(reason: str) -> ssl.SSLError:
    made = ssl.SSLError(1, "as OpenSSL says")
    made.reason = reason
    return made


def test_every_failure_is_one_sentence_with_a_remedy() -> None:
    refused = ssl.SSLCertVerificationError()
    refused.verify_code, refused.verify_message = 23, "certificate revoked"
    told = [
        why_unreachable(TimeoutError(), "a:1"),
        why_unreachable(ConnectionRefusedError(), "a:1"),
        why_unreachable(OSError(101, "Network is unreachable"), "a:1"),
        why_no_tls(refused, "a:1", "a"),
        why_no_tls(_tls_error("WRONG_VERSION_NUMBER"), "a:1", "a"),
        why_no_tls(_tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "a:1", "a"),
        why_no_tls(_tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), "a:1", "a"),
        why_no_tls(_tls_error("SOMETHING_NEW"), "a:1", "a"),
        why_no_tls(ConnectionResetError(104, "Connection reset by peer"), "a:1", "a"),
        why_no_tls(_tls_error(""), "a:1", "a"),
    ]
    assert len(set(told)) == len(told)
    for sentence in told:
        assert "a:1" in sentence
        assert ": " in sentence
        assert "\n" not in sentence
    assert "certificate revoked" in told[3]
    assert "SOMETHING_NEW" in told[7]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


def test_the_owner_of_a_connection_is_known_where_the_system_tells(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ports = pair[0].getsockname()[1], pair[1].getsockname()[1]
    us = int(subprocess.run(["id", "-u"], capture_output=True, text=True, check=True).stdout)  # noqa: S607
    assert owner_of(*ports) in (us, None)
    head = "sl local_address rem_address st queues tr tm->when retrnsmt uid timeout inode\n"
    rows = (
        f"0: 0100007F:{ports[0]:04X} 0100007F:{ports[1]:04X} 06 0:0 03:0 00 0 0 0\n"
        f"1: 0100007F:{ports[1]:04X} 0100007F:{ports[0]:04X} 01 0:0 00:0 00 7 0 9\n"
        f"2: 0100007F:{ports[0]:04X} 0100007F:{ports[1]:04X} 01 0:0 00:0 00 4321 0 8\n"
    )
    table = tmp_path / "tcp"
    monkeypatch.setattr(sockets, "SOCKETS", table)
    assert owner_of(*ports) is None
    table.write_text(head + rows)
    assert owner_of(*ports) == 4321
    table.write_text(head)
    assert owner_of(*ports) is None
