"""What a TLS connection to a venue must satisfy, and what to do when it does not.

Rules of this room:
1. Chain and host name are verified, always: there is no setting that turns it off.
2. A setting that cannot be meant is a `ConfigError` at once; a file that cannot serve is one when it is read.
3. Every failure becomes one sentence that names the remedy, the same sentence for the same failure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigError

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
SHA256_BYTES = 32
DER_VERSION = 0xA0
NAME = re.compile(r"[\w.:%-]+")

UNKNOWN_ISSUER = "comes from an issuer this machine does not know: name the issuer's certificate in `ca_file`"
OTHER_NAME = "is not for {name}: correct `host`, or set `server_name` to the name the venue documents"
BAD_CERTIFICATE = {
    9: "is not valid yet: set this machine's clock",
    10: "has expired: ask the venue to renew it, or set this machine's clock",
    18: "is self-signed: get it from the venue by a safe way and name it in `ca_file`",
    19: UNKNOWN_ISSUER, 20: UNKNOWN_ISSUER, 21: UNKNOWN_ISSUER, 62: OTHER_NAME, 64: OTHER_NAME,
}  # fmt: skip
"""OpenSSL's verification codes."""

BAD_TLS = (
    (r"UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW",
     "offers no TLS version we allow: ask the venue for TLS 1.2 or later, or lower `minimum_version` to 1.2"),
    (r"WRONG_VERSION_NUMBER|PACKET_LENGTH|HTTP_REQUEST|RECORD_LAYER",
     "does not speak TLS: correct `port`, or leave TLS out for this session"),
    (r"ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)",
     "refused us: set `client_cert` and `client_key` to what the venue issued to you"),
    (r"EOF|(?i:reset by peer|broken pipe)",
     "closed the connection during the TLS handshake: correct `port`, or have the venue allow this machine"),
)  # fmt: skip
"""Patterns of OpenSSL's reasons, and what to do."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Describe how the venue proves who it is, and how we do.

    `ca_file` (PEM) stands in for the system's trusted issuers, `server_name` for the host in the
    certificate. `pinned_sha256` are hashes of the venue's public key (SubjectPublicKeyInfo) in base64
    or hex; when there are any, one must match as well. `minimum_version` is "1.2" or "1.3".
    """

    ca_file: Path | None = None
    server_name: str | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    pinned_sha256: tuple[str, ...] = ()
    minimum_version: str = "1.2"

    def __post_init__(self) -> None:
        if self.minimum_version not in VERSIONS:
            raise ConfigError(f'minimum_version is "{self.minimum_version}": write "1.2" or "1.3"')
        if self.server_name is not None:
            check_name("server_name", self.server_name)
        if self.client_key is not None and self.client_cert is None:
            raise ConfigError("client_key stands without client_cert: name the certificate's file too")
        self.pins()

    def pins(self) -> frozenset[bytes]:
        """Return the pinned hashes as bytes."""
        return frozenset(_pin(text) for text in self.pinned_sha256)

    def context(self) -> ssl.SSLContext:
        """Read the files and return the rules of a connection; `ConfigError` when a file cannot serve."""
        try:
            made = ssl.create_default_context(cafile=self.ca_file)
        except OSError as problem:
            raise ConfigError(f"ca_file {self.ca_file} {_unusable(problem)}") from problem
        made.minimum_version = max(made.minimum_version, VERSIONS[self.minimum_version])
        made.options |= ssl.OP_NO_RENEGOTIATION
        if self.client_cert is not None:
            try:
                # An empty password keeps OpenSSL from asking for one on the terminal.
                made.load_cert_chain(self.client_cert, self.client_key, password="")
            except OSError as problem:
                files = f"client_cert {self.client_cert} with client_key {self.client_key}"
                raise ConfigError(f"{files} {_unusable(problem)}, the key without a password") from problem
        return made


def public_key_sha256(certificate: bytes) -> bytes:
    """Return the SHA-256 of the SubjectPublicKeyInfo in a DER certificate (RFC 5280, 4.1)."""
    to_be_signed, _ = _der(certificate, 0)
    at, _ = _der(certificate, to_be_signed)
    before = 6 if certificate[at] == DER_VERSION else 5  # (version) serial signature issuer validity subject
    for _ in range(before):
        _, at = _der(certificate, at)
    _, end = _der(certificate, at)
    return hashlib.sha256(certificate[at:end]).digest()


def why_key_is_refused(certificate: bytes, pins: frozenset[bytes], at: str) -> str:
    """Return why the certificate's key is not one of the pinned ones, empty when it is or none are."""
    found = public_key_sha256(certificate)
    if not pins or found in pins:
        return ""
    text = base64.b64encode(found).decode()
    return (
        f"the public key of {at} has the SHA-256 {text}, which is not pinned: add it to `pinned_sha256` "
        "only if the venue announced it"
    )


def why_unreachable(problem: OSError, at: str) -> str:
    """Return why no connection to `at` came about, and the remedy."""
    if isinstance(problem, TimeoutError):
        return f"{at} does not answer: open the firewall, or have the venue allow this machine's address"
    if isinstance(problem, ConnectionRefusedError):
        return f"nobody listens at {at}: correct `host` and `port`, or wait until the venue opens"
    return f"{at} cannot be reached ({problem.strerror}): check this machine's network"


def why_no_tls(problem: OSError, at: str, name: str) -> str:
    """Return why TLS with `at` failed, and the remedy."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        remedy = BAD_CERTIFICATE.get(
            problem.verify_code, f"was refused ({problem.verify_message}): ask the venue"
        )
        return f"the certificate of {at} {remedy.replace('{name}', name)}"
    reason = (isinstance(problem, ssl.SSLError) and problem.reason) or problem.strerror or "no reason"
    for pattern, remedy in BAD_TLS:
        if re.search(pattern, reason):
            return f"{at} {remedy} ({reason})"
    return f"the TLS connection with {at} failed ({reason}): ask the venue"


def check_name(key: str, name: str) -> None:
    """Raise `ConfigError` when `name` cannot be a host's."""
    try:
        name.encode("idna")
        is_name = NAME.fullmatch(name) is not None
    except UnicodeError:
        is_name = False
    if not is_name:
        raise ConfigError(f'{key} is "{name}": write the name or the address of the venue\'s host')


def _unusable(problem: OSError) -> str:
    reason = (isinstance(problem, ssl.SSLError) and problem.reason) or problem.strerror
    return f"cannot be used ({reason}): name a readable PEM file"


def _pin(text: str) -> bytes:
    """Read one hash: 64 hex digits, colons allowed, or base64, `sha256//` before it allowed."""
    bare = re.sub(r"^sha256/{1,2}", "", text.strip())
    with_digits = bare.replace(":", "")
    try:
        is_hex = len(with_digits) == 2 * SHA256_BYTES
        pin = binascii.unhexlify(with_digits) if is_hex else base64.b64decode(bare, validate=True)
    except ValueError:
        pin = b""
    if len(pin) != SHA256_BYTES:
        raise ConfigError(
            f'pinned_sha256 holds "{text}": write a SHA-256 in base64 (44 characters) or hex (64)'
        )
    return pin


def _der(data: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the DER element at `at` begins and where it ends."""
    length, begin = data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, begin = int.from_bytes(data[begin : begin + size], "big"), begin + size
    return begin, begin + length
