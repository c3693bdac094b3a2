"""Private keys: where they are, and how they sign. A key is read from a variable or a file, or is used where it is.

    key = keys.load("env://COSIGN_PRIVATE_KEY", os.environ, cosign.find)
    key.sign(data)                               # as DSSE wants it: over these bytes
    key.public                                   # PEM, by which it is verified

Keys in PEM form (Ed25519, ECDSA, RSA; PKCS #8, SEC 1, or as cosign locks them) sign in this process. Those of a KMS
(`awskms://`, `gcpkms://`, `azurekms://`, `hashivault://`, `k8s://`, `gitlab://`) sign through cosign.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.signing import locked
from mlgate.signing.cosign import PASSWORD, PRIVATE, Cosign

DEFAULT = f"env://{PRIVATE}"
_KMS = re.compile(r"(awskms|gcpkms|azurekms|hashivault|k8s|gitlab)://\S+")
_ENV = re.compile(r"env://([A-Za-z_][A-Za-z0-9_]*)")
_LARGEST = 100_000  # octets of a key
Find = Callable[[], Cosign]


@dataclass(frozen=True)
class Key:
    """A key that can sign. `pem` is the private key itself, empty where this process does not have it."""

    name: str  # for people: the variable, the file's name, or the address
    public: bytes  # PEM
    _sign: Callable[[bytes], bytes] = field(repr=False)
    _tool: Find = field(repr=False)
    _named: str = field(default="", repr=False)  # as cosign is told it, where it is used through cosign
    _env: Mapping[str, str] = field(default_factory=dict, repr=False)
    pem: bytes = field(default=b"", repr=False)

    def sign(self, data: bytes) -> bytes:
        """Raises MlgateError where the key is used by cosign and that fails."""
        return self._sign(data)

    @contextmanager
    def for_cosign(self) -> Iterator[tuple[Cosign, str, Mapping[str, str]]]:
        """cosign, the key as it is told it, and the environment that opens it. Raises MlgateError without cosign."""
        tool = self._tool()
        if self._named:
            yield tool, self._named, self._env
            return
        password = secrets.token_hex(32)
        made = locked.lock(_der(self.pem), password)
        yield tool, DEFAULT, {PRIVATE: made.decode(), PASSWORD: password}


@contextmanager
def private_file(path: Path, data: bytes) -> Iterator[Path]:
    """A file that only this user can read, for as long as somebody needs a path: overwritten, then removed."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        yield path
    finally:
        path.write_bytes(b"\0" * len(data))
        path.unlink()


def load(spec: str, environ: Mapping[str, str], tool: Find) -> Key:
    """The key that `spec` names: `env://NAME`, a file, or an address of a KMS.

    A variable may hold the key, the key in base64 (where a masked variable must have one line), or the path of a file
    (GitLab's variables of the type File). Raises MlgateError, which never quotes what it read.
    """
    if _KMS.fullmatch(spec):
        return _by_cosign(spec, spec, {}, tool)
    data, name = _read(spec, environ)
    return _local(data, name, environ.get(PASSWORD, ""), tool)


def _read(spec: str, environ: Mapping[str, str]) -> tuple[bytes, str]:
    if "://" in spec:
        found = _ENV.fullmatch(spec)
        if found is None:
            raise MlgateError(
                "--key has an address of no kind that is known.",
                fix="Use env://NAME, a file, or awskms://, gcpkms://, azurekms://, hashivault://, k8s://, gitlab://.",
            )
        name = found[1]
        value = environ.get(name, "").strip()
        if not value:
            raise MlgateError(
                f"there is no key: {name} is not set.",
                fix=f"Put it into a secret of the protected environment and hand it to this job as {name}.",
            )
        return _unfolded(value), name
    if "-----BEGIN" in spec:
        raise MlgateError(
            "--key holds the key itself, and arguments can be seen by every process of this machine.",
            fix=f"Put it into a variable, make a new key, and give --key {DEFAULT}.",
        )
    return _file(Path(spec)), Path(spec).name


def _unfolded(value: str) -> bytes:
    """The key of a variable: as it is, out of base64, or from the file that it names."""
    if "-----BEGIN" in value:
        return value.replace("\\n", "\n").encode() if "\n" not in value else value.encode()
    with suppress(binascii.Error, ValueError):
        decoded = base64.b64decode("".join(value.split()), validate=True)
        if b"-----BEGIN" in decoded:
            return decoded
    with suppress(OSError, ValueError):  # what is no name of a file at all
        if Path(value).is_file():
            return _file(Path(value))
    return value.encode()


def _file(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise MlgateError("is too large for a key.", file=path.name)
        return path.read_bytes()
    except OSError as error:
        raise MlgateError(f"cannot be read as a key ({error.strerror}).", file=path.name) from None


def _by_cosign(named: str, name: str, env: Mapping[str, str], tool: Find) -> Key:
    cosign = tool()
    public = cosign.public_key(named, env)
    return Key(name, public, lambda data: cosign.sign_blob(named, data, env), tool, named, env)


def _local(data: bytes, name: str, password: str, tool: Find) -> Key:
    extras.use("sign")
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 -- had just now
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    shut = b"ENCRYPTED" in data
    try:
        key: Any = (
            serialization.load_der_private_key(locked.unlock(data, password, name), None)
            if locked.is_locked(data)
            else serialization.load_pem_private_key(data, password.encode() if shut and password else None)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MlgateError(
            f"{name} holds no private key in PEM form{' that this password opens' if shut else ''}.",
            fix=f"Give its password in {PASSWORD}." if shut else "Make one with `cosign generate-key-pair`.",
        ) from None
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Key(name, public, _signer(key), tool, pem=pem)


def _der(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")))


def _signer(key: Any) -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa  # noqa: PLC0415

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return lambda data: bytes(key.sign(data))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        sized: dict[int, hashes.HashAlgorithm] = {384: hashes.SHA384(), 521: hashes.SHA512()}
        digest = sized.get(key.curve.key_size, hashes.SHA256())
        return lambda data: key.sign(data, ec.ECDSA(digest))
    if isinstance(key, rsa.RSAPrivateKey):
        return lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    raise MlgateError("is a key of a kind that signs no statements.", fix="Use Ed25519, ECDSA or RSA.")
