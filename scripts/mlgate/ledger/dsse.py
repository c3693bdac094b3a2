"""DSSE envelopes: who signed a statement, by a public key. https://github.com/secure-systems-lab/dsse

The arithmetic is that of `cryptography`, which is had on demand. Keys are what cosign makes and OpenSSL writes: PEM, of
Ed25519, ECDSA or RSA.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mlgate import extras
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

TYPE = "application/vnd.in-toto+json"
Verify = Callable[[bytes, bytes], None]  # signature, signed bytes; raises InvalidSignature


def signed(payload: bytes) -> bytes:
    """The bytes that a signature of this payload is over."""
    return b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)


def wrap(payload: bytes, signatures: Sequence[bytes]) -> bytes:
    """The envelope around a payload, with signatures over `signed(payload)`."""
    held = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": TYPE,
        "signatures": [{"sig": base64.b64encode(one).decode()} for one in signatures],
    }
    return json.dumps(held, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def problem(envelope: bytes, payload: bytes) -> str:
    """Why an envelope is not about this payload, as the end of a sentence that names it; empty where it is."""
    try:
        told = json.loads(envelope)
        held = base64.b64decode(told["payload"], validate=True)
        kind, signatures = (
            told["payloadType"],
            [base64.b64decode(one["sig"], validate=True) for one in told["signatures"]],
        )
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        return "is no DSSE envelope"
    if kind != TYPE or held != payload:
        return "signs something else"
    return "" if signatures else "has no signature"


def is_signed(envelope: bytes, payload: bytes, key: bytes) -> bool:
    """Whether one of its signatures is by that key. Raises MlgateError for something that is no public key.

    The envelope is one of which `problem` says nothing.
    """
    extras.use("sign")
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 -- had just now

    verify = _key(key)
    over = signed(payload)
    for one in json.loads(envelope)["signatures"]:
        try:
            verify(base64.b64decode(one["sig"]), over)
        except InvalidSignature:
            continue
        return True
    return False


def _key(data: bytes) -> Verify:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa  # noqa: PLC0415

    try:
        key: Any = serialization.load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MlgateError(
            "is no public key in PEM form.", fix="Give the file that `cosign generate-key-pair` calls cosign.pub."
        ) from None
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key.verify
    digest: HashAlgorithm = hashes.SHA256()
    if isinstance(key, ec.EllipticCurvePublicKey):
        digest = {384: hashes.SHA384(), 521: hashes.SHA512()}.get(key.curve.key_size, digest)
        return lambda signature, signed: key.verify(signature, signed, ec.ECDSA(digest))
    if isinstance(key, rsa.RSAPublicKey):
        return lambda signature, signed: key.verify(signature, signed, padding.PKCS1v15(), digest)
    raise MlgateError("is a key of a kind that signs no statements.", fix="Use Ed25519, ECDSA or RSA.")
