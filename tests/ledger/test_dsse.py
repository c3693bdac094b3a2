"""Signatures of decision records: by which key, and over what."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from mlgate.errors import MlgateError
from mlgate.ledger import dsse

PAYLOAD = b'{"_type": "https://in-toto.io/Statement/v1"}\n'


def signer(kind: str) -> tuple[Any, Any]:
    """A private key, and how it signs."""
    if kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
        return key, key.sign
    if kind == "rsa":
        one = rsa.generate_private_key(65537, 2048)
        return one, lambda data: one.sign(data, padding.PKCS1v15(), hashes.SHA256())
    curve, digest = {"p256": (ec.SECP256R1(), hashes.SHA256()), "p384": (ec.SECP384R1(), hashes.SHA384())}[kind]
    other = ec.generate_private_key(curve)
    return other, lambda data: other.sign(data, ec.ECDSA(digest))


def public(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


def encoded(kind: str, payload: bytes) -> bytes:
    """The bytes that are signed, as the protocol writes them."""
    return (
        b"DSSEv1 " + str(len(kind)).encode() + b" " + kind.encode() + b" " + str(len(payload)).encode() + b" " + payload
    )


def envelope(*signatures: bytes, payload: bytes = PAYLOAD, kind: str = dsse.TYPE) -> bytes:
    told = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"sig": base64.b64encode(one).decode()} for one in signatures],
    }
    return json.dumps(told).encode()


@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384", "rsa"])
def test_a_signature_by_the_key_and_by_another_one(kind: str) -> None:
    key, sign = signer(kind)
    made = envelope(sign(encoded(dsse.TYPE, PAYLOAD)))
    assert dsse.problem(made, PAYLOAD) == ""
    assert dsse.is_signed(made, PAYLOAD, public(key))
    assert not dsse.is_signed(made, PAYLOAD, public(signer(kind)[0]))


def test_one_of_several_signatures_is_enough() -> None:
    key, sign = signer("ed25519")
    _, foreign = signer("ed25519")
    data = encoded(dsse.TYPE, PAYLOAD)
    assert dsse.is_signed(envelope(foreign(data), sign(data)), PAYLOAD, public(key))


def test_the_payload_alone_is_not_what_is_signed() -> None:
    key, sign = signer("ed25519")
    assert not dsse.is_signed(envelope(sign(PAYLOAD)), PAYLOAD, public(key))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"nothing", "is no DSSE envelope"),
        (b"[]", "is no DSSE envelope"),
        (b'{"payload": "!", "payloadType": "x", "signatures": []}', "is no DSSE envelope"),
        (envelope(), "has no signature"),
        (envelope(b"x", payload=b"{}"), "signs something else"),
        (envelope(b"x", kind="text/plain"), "signs something else"),
    ],
)
def test_what_signs_nothing(text: bytes, says: str) -> None:
    assert dsse.problem(text, PAYLOAD) == says


@pytest.mark.parametrize("text", [b"", b"a key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key(text: bytes) -> None:
    with pytest.raises(MlgateError, match="no public key"):
        dsse.is_signed(envelope(b"x"), PAYLOAD, text)
