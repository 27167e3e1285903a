"""Signatures of input messages: HMAC-SHA256 over the raw bytes, `v1,<key id>,<base64>`.

Rules of this room:
1. The signature covers exactly the bytes of field `d`; it stands beside them in field `sig`.
2. Several signatures may stand in `sig`, separated by a blank, and several keys be known: a key is
   rotated without a gap. One good signature is enough; the message names its own end (`expires_at`)
   and its own identity (`request_id`), so that a replay changes nothing.
3. Comparison takes the same time whatever is wrong. Neither key nor signature is ever shown.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from typing import Final, Protocol

from gateway.errors import InvalidTargets

VERSION: Final = "v1"
MAX_SIGNATURES: Final = 4
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")


class Secret(Protocol):
    """Hold a secret without showing it, as pydantic's SecretStr does."""

    def get_secret_value(self) -> str:
        """Return the secret."""
        ...


def _mac(raw: bytes, key: str) -> bytes:
    return hmac.digest(key.encode(), raw, "sha256")


def sign(raw: bytes, key: str, key_id: str = "default") -> str:
    """Return the signature of `raw` to be put in field `sig`."""
    if not _KEY_ID.fullmatch(key_id) or not key:
        raise ValueError("a key is not empty and its id holds 1 to 32 of A-Z a-z 0-9 . _ -")
    return f"{VERSION},{key_id},{base64.b64encode(_mac(raw, key)).decode()}"


def verify(raw: bytes, fields: Mapping[bytes, bytes], keys: Mapping[str, Secret], *, required: bool) -> str:
    """Return the id of the key that signed `raw`; '' when it is unsigned and that is allowed."""
    sig = fields.get(b"sig", b"")
    if not sig:
        if required:
            raise InvalidTargets("sig", "is missing, and this gateway accepts signed messages only: sign it")
        return ""
    signatures = sig.decode("ascii", "replace").split(" ")[:MAX_SIGNATURES]
    reason = "is not v1,<key id>,<base64>: sign the exact bytes of field d with HMAC-SHA256"
    for signature in signatures:
        version, _, rest = signature.partition(",")
        key_id, _, text = rest.partition(",")
        if version != VERSION or not _KEY_ID.fullmatch(key_id):
            continue
        if key_id not in keys:
            reason = f"names the key {key_id!r}, which this gateway does not know: add it or use another"
            continue
        try:
            given = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if hmac.compare_digest(given, _mac(raw, keys[key_id].get_secret_value())):
            return key_id
        reason = f"does not match the message under key {key_id!r}: sign the exact bytes of field d"
    raise InvalidTargets("sig", reason)
