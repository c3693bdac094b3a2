"""cosign's own private keys: PKCS #8, locked with a password by scrypt and NaCl's secretbox, in PEM form.

Reading them here lets one key sign everything: statements and models in this process, images by cosign. Writing them
lets cosign use a key that it does not make: it takes no other private keys.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import textwrap

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.signing.cosign import PASSWORD

_KINDS = ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")
_N, _R, _P = 65536, 8, 1  # of scrypt, as cosign writes them
_MOST_N = 2**18  # a file that asks for more is no key of cosign's
_MEMORY = 2**30  # octets that scrypt may take


def is_locked(data: bytes) -> bool:
    return data.lstrip().startswith(tuple(f"-----BEGIN {kind}-----".encode() for kind in _KINDS))


def unlock(data: bytes, password: str, name: str) -> bytes:
    """The key in DER form (PKCS #8). Raises MlgateError for a wrong password and for what is no such key."""
    extras.use("sign")
    from nacl.exceptions import CryptoError  # noqa: PLC0415 -- had just now
    from nacl.secret import SecretBox  # noqa: PLC0415

    try:
        body = b"".join(line for line in data.split(b"\n") if not line.strip().startswith(b"-----"))
        told = json.loads(base64.b64decode(body))
        kdf, cipher = told["kdf"], told["cipher"]
        n, r, p = (int(kdf["params"][key]) for key in ("N", "r", "p"))
        if kdf["name"] != "scrypt" or cipher["name"] != "nacl/secretbox" or n > _MOST_N or r * p > 64:
            raise ValueError
        salt, nonce, locked = (base64.b64decode(part) for part in (kdf["salt"], cipher["nonce"], told["ciphertext"]))
        key = hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)
        box = SecretBox(key)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MlgateError(
            f"{name} is no private key of cosign's.", fix="Make one with `cosign generate-key-pair`."
        ) from None
    try:
        return box.decrypt(locked, nonce)
    except (CryptoError, ValueError, TypeError):
        raise MlgateError(
            f"{name} is not opened by its password.", fix=f"Give the key's password in {PASSWORD}."
        ) from None


def lock(der: bytes, password: str) -> bytes:
    """A key in DER form (PKCS #8) as cosign keeps it."""
    extras.use("sign")
    from nacl.secret import SecretBox  # noqa: PLC0415

    salt, nonce = os.urandom(32), os.urandom(SecretBox.NONCE_SIZE)
    key = hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=_MEMORY, dklen=32)
    made = {
        "kdf": {"name": "scrypt", "params": {"N": _N, "r": _R, "p": _P}, "salt": _text(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": _text(nonce)},
        "ciphertext": _text(SecretBox(key).encrypt(der, nonce).ciphertext),
    }
    body = textwrap.fill(_text(json.dumps(made).encode()), 64)
    return f"-----BEGIN {_KINDS[0]}-----\n{body}\n-----END {_KINDS[0]}-----\n".encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
