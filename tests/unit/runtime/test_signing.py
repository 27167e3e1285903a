from __future__ import annotations

import pytest
from pydantic import SecretStr

from gateway.errors import InvalidTargets
from gateway.runtime.signing import sign, verify

RAW = b'{"request_id": "r1"}'
KEYS = {"old": SecretStr("first key"), "new": SecretStr("second key")}


def fields(*signatures: str) -> dict[bytes, bytes]:
    return {b"d": RAW, b"sig": " ".join(signatures).encode()}


def test_a_signature_has_a_known_value() -> None:
    assert sign(RAW, "first key", "old") == "v1,old,JHZG0otoqxgbmSvfX8rv45F+WHAaUStIUgbDsbum2Ho="


def test_every_known_key_is_good_while_keys_are_rotated() -> None:
    assert verify(RAW, fields(sign(RAW, "first key", "old")), KEYS, required=True) == "old"
    assert verify(RAW, fields(sign(RAW, "second key", "new")), KEYS, required=True) == "new"
    both = fields(sign(RAW, "unknown", "lost"), "v2,new,x", sign(RAW, "second key", "new"))
    assert verify(RAW, both, KEYS, required=True) == "new"


def test_unsigned_is_refused_only_where_signatures_are_required() -> None:
    assert verify(RAW, {b"d": RAW}, KEYS, required=False) == ""
    with pytest.raises(InvalidTargets, match="sign it") as caught:
        verify(RAW, {b"d": RAW}, KEYS, required=True)
    assert caught.value.field == "sig"


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    ("signature", "words"),
    [
        ("nonsense", "v1,<key id>,<base64>"),
        ("\u00e9", "v1,<key id>,<base64>"),
        ("v2,old,AAAA", "v1,<key id>,<base64>"),
        ("v1,old,%%%", "v1,<key id>,<base64>"),
        (sign(RAW, "first key", "nobody"), "does not know"),
        (sign(RAW, "second key", "old"), "does not match"),
        (sign(RAW + b" ", "first key", "old"), "does not match"),
        ("v1,old,AAAA", "does not match"),
        (" ".join(["x"] * 4 + [sign(RAW, "first key", "old")]), "v1,<key id>"),
    ],
)
def test_a_wrong_signature_is_refused_even_where_none_is_required(
    signature: str, words: str, *, required: bool
) -> None:
    with pytest.raises(InvalidTargets, match=words) as caught:
        verify(RAW, fields(signature), KEYS, required=required)
    assert caught.value.field == "sig"
    assert "key\n" not in str(caught.value)
    assert "first key" not in str(caught.value)


@pytest.mark.parametrize(("key", "key_id"), [("", "k"), ("secret", "a b"), ("secret", "")])
def test_a_key_without_name_or_content_is_refused(key: str, key_id: str) -> None:
    with pytest.raises(ValueError, match="not empty"):
        sign(RAW, key, key_id)
