"""Private keys: cosign's own format in both directions, keys that stay where they are, and damaged ones."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import KINDS, PASSWORD, cosign, cosign_pair, pem

from builder import environment
from mlgate.errors import MlgateError
from mlgate.ledger import dsse
from mlgate.signing import keys, locked
from mlgate.signing.cosign import Cosign

DATA = b'{"_type": "https://in-toto.io/Statement/v1"}'


def tool() -> Cosign:
    return Cosign(cosign(), environment())


@pytest.mark.parametrize("kind", list(KINDS))
def test_cosign_reads_the_keys_that_are_locked_here(kind: str, tmp_path: Path) -> None:
    private, public = pem(kind)
    key = keys.load("env://K", {"K": private}, tool)
    with key.for_cosign() as (found, named, env):
        assert found.public_key(named, env) == public
        if kind != "p384":  # cosign signs with SHA-256 whatever the curve
            made = dsse.wrap(DATA, [found.sign_blob(named, dsse.signed(DATA), env)])
            assert dsse.is_signed(made, DATA, public)
        assert private.splitlines()[1] not in json.dumps(dict(env))


def test_the_keys_that_cosign_locks_are_read_here(tmp_path: Path) -> None:
    private, public = cosign_pair(tmp_path)
    key = keys.load(str(tmp_path / "pair.key"), {"COSIGN_PASSWORD": PASSWORD}, tool)
    assert key.public == public
    assert dsse.is_signed(dsse.wrap(DATA, [key.sign(dsse.signed(DATA))]), DATA, public)
    assert private.splitlines()[1] not in repr(key)
    assert "PRIVATE" not in repr(key)


def test_a_key_that_stays_where_it_is_signs_through_cosign(tmp_path: Path) -> None:
    """An address that only cosign understands; here its own, in the place of a KMS."""
    private, public = cosign_pair(tmp_path)
    env = {"COSIGN_PRIVATE_KEY": private, "COSIGN_PASSWORD": PASSWORD}
    key = keys._by_cosign("env://COSIGN_PRIVATE_KEY", "awskms://alias/gate", env, tool)
    assert (key.public, key.pem) == (public, b"")
    assert dsse.is_signed(dsse.wrap(DATA, [key.sign(dsse.signed(DATA))]), DATA, public)
    with key.for_cosign() as (_, named, given_env):
        assert (named, given_env) == ("env://COSIGN_PRIVATE_KEY", env)


def test_an_address_of_a_kms_goes_to_cosign_as_it_is(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    fake = tmp_path / "cosign"
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{seen}"\necho "Error: no such key" >&2\nexit 1\n')
    fake.chmod(0o755)
    for address in ("awskms:///alias/gate", "gcpkms://projects/p/locations/l", "hashivault://gate", "gitlab://12"):
        with pytest.raises(MlgateError, match=r"`cosign public-key` failed: no such key\."):
            keys.load(address, {}, lambda: Cosign(str(fake), environment()))
    assert [line.split()[-1] for line in seen.read_text().splitlines()] == [
        "awskms:///alias/gate", "gcpkms://projects/p/locations/l", "hashivault://gate", "gitlab://12"
    ]  # fmt: skip


def test_a_damaged_key_of_cosigns_is_refused_in_one_sentence(tmp_path: Path) -> None:
    private, _ = cosign_pair(tmp_path)
    body = "".join(private.splitlines()[1:-1])
    told = json.loads(base64.b64decode(body))
    changes = (
        {"kdf": {**told["kdf"], "name": "none"}}, {"kdf": {**told["kdf"], "params": {"N": 2**40, "r": 8, "p": 1}}},
        {"kdf": {**told["kdf"], "params": {"N": 3, "r": 8, "p": 1}}}, {"cipher": {"name": "none"}}, {"ciphertext": 7},
        {"kdf": []},
    )  # fmt: skip
    for change in changes:
        text = base64.b64encode(json.dumps({**told, **change}).encode()).decode()
        key = f"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n{text}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
        with pytest.raises(MlgateError, match="K is no private key of cosign's"):
            keys.load("env://K", {"K": key, "COSIGN_PASSWORD": PASSWORD}, tool)


@settings(max_examples=30)
@given(data=st.binary(max_size=300), password=st.text(max_size=10))
def test_anything_in_the_place_of_a_key_is_refused_and_not_quoted(data: bytes, password: str) -> None:
    value = data.decode("latin-1").replace("\0", "")
    heads = ("", "-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\n")
    for text in (f"{head}{value}" for head in heads):
        with pytest.raises(MlgateError) as caught:
            keys.load("env://K", {"K": text, "COSIGN_PASSWORD": password}, tool)
        assert len(value) < 12 or value not in str(caught.value)


@settings(max_examples=3, deadline=None)
@given(der=st.binary(min_size=1, max_size=200), password=st.text(max_size=20))
def test_what_is_locked_opens_with_its_password_only(der: bytes, password: str) -> None:
    made = locked.lock(der, password)
    assert locked.is_locked(made)
    assert locked.unlock(made, password, "K") == der
    with pytest.raises(MlgateError, match="K is not opened by its password"):
        locked.unlock(made, f"{password}x", "K")


def test_cosign_is_not_asked_for_a_password_that_nobody_types(tmp_path: Path) -> None:
    private, _ = cosign_pair(tmp_path)
    env = {k: v for k, v in os.environ.items() if k != "COSIGN_PASSWORD"}
    with pytest.raises(MlgateError, match="`cosign public-key` failed"):
        Cosign(cosign(), env).public_key("env://COSIGN_PRIVATE_KEY", {"COSIGN_PRIVATE_KEY": private})


def test_a_cosign_of_another_version_is_spoken_to_in_its_words(tmp_path: Path) -> None:
    """Version 3 has a signing configuration that would send everything to the public log."""
    fake = tmp_path / "cosign"
    fake.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--help*) echo "--use-signing-config --new-bundle-format --tlog-upload";; esac\n'
        f'printf "%s\\n" "$*" >> "{tmp_path}/seen"\n'
    )
    fake.chmod(0o755)
    Cosign(str(fake), environment()).sign("r.test/x@sha256:1", "env://K", {})
    Cosign(str(fake), environment(), log=True, plain=True).sign("r.test/x@sha256:1", "env://K", {})
    quiet, logged = [line for line in (tmp_path / "seen").read_text().splitlines() if "--help" not in line]
    assert {"--use-signing-config=false", "--tlog-upload=false", "--new-bundle-format=false"} <= set(quiet.split())
    assert "--tlog-upload=false" not in logged
    assert {"--allow-http-registry", "--allow-insecure-registry"} <= set(logged.split())


def test_cosigns_own_tool_verifies_our_envelope(tmp_path: Path) -> None:
    """The signature in a DSSE envelope is one over its bytes, which `cosign verify-blob` can check by hand."""
    private, public = pem()
    key = keys.load("env://K", {"K": private}, tool)
    (tmp_path / "signed").write_bytes(dsse.signed(DATA))
    (tmp_path / "sig").write_text(base64.b64encode(key.sign(dsse.signed(DATA))).decode())
    (tmp_path / "key.pub").write_bytes(public)
    done = subprocess.run(
        [cosign(), "verify-blob", "--key", str(tmp_path / "key.pub"), "--signature", str(tmp_path / "sig"),
         "--private-infrastructure", str(tmp_path / "signed")],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
