"""The model's own files, signed by model-signing (OpenSSF): a bundle that anyone can verify without mlgate.

    model_signing verify key models/visits --signature visits.model.sig --public_key cosign.pub

It signs every file of a model by its sha256. Keys are ECDSA (P-256, P-384, P-521) in PEM form.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.signing.keys import Key, private_file

SUFFIX = ".model.sig"  # <model>.model.sig beside the statements


def sign(model: Path, signature: Path, key: Key) -> None:
    """Sign a model, a file or a folder. The signature replaces one that is there, whole or not at all.

    Raises MlgateError for a key that this process does not have or that is of another kind, and for a model with links.
    """
    if not key.pem:
        raise MlgateError(
            f"model-signing needs the key itself, and {key.name} is used through cosign.",
            fix="Give a key in PEM form (`openssl ecparam -name prime256v1 -genkey`), or leave --model out: the "
            "statements name the model by digest.",
        )
    extras.use("sign-model")
    from model_signing import signing  # noqa: PLC0415 -- had just now

    fresh: Any = signing.Config

    signature.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mlgate-key-") as name:
        made = Path(name) / "model.sig"
        with private_file(Path(name) / "key.pem", key.pem) as pem:
            try:
                config = fresh().use_elliptic_key_signer(private_key=pem)
            except (ValueError, TypeError, AttributeError):
                raise MlgateError("model-signing takes ECDSA keys only (P-256, P-384, P-521).") from None
        try:
            config.set_hashing_config(_hashing()).sign(model, made)
        except (ValueError, OSError) as error:
            raise MlgateError(f"cannot be signed by model-signing: {_first(error)}.", file=str(model)) from None
        beside = signature.with_name(f".{signature.name}.{os.getpid()}")
        beside.write_bytes(made.read_bytes())
        os.replace(beside, signature)


def unsigned(model: Path, signature: Path, public: Path) -> str:
    """Why a model is not signed with a key as it is now, as a sentence; empty where it is."""
    if not signature.is_file():
        return f"there is no {signature.name}."
    extras.use("sign-model")
    from model_signing import verifying  # noqa: PLC0415

    fresh: Any = verifying.Config
    try:
        config = fresh().use_elliptic_key_verifier(public_key=public)
        config.set_hashing_config(_hashing()).verify(model, signature)
    except Exception as error:  # whatever it raises, it has not verified
        return f"model-signing does not verify {signature.name}: {_first(error)}."
    return ""


def _hashing() -> Any:
    """Every file counts, those of git too: nothing is left out by its name. Links are not followed."""
    from model_signing import hashing  # noqa: PLC0415

    fresh: Any = hashing.Config
    config = fresh().use_file_serialization(allow_symlinks=False)
    return config.set_ignored_paths(paths=[], ignore_git_paths=False)


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0][:300] if lines else type(error).__name__).rstrip(".")
