"""`mlgate audit sign` and `verify`: both statements, with real keys, cosign, a registry and model-signing."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from parts import KINDS, PASSWORD, cosign, cosign_pair, pem

from builder import ROOT, environment
from mlgate.ledger import dsse
from mlgate.model import Named
from mlgate.signing.statement import PREDICATE

if TYPE_CHECKING:
    from conftest import Project


def verified(project: Project, public: str, *more: str, code: int = 0) -> str:
    return project.audit("verify", "--key", public, *more, code=code)


@pytest.mark.parametrize("kind", list(KINDS))
def test_both_statements_are_signed_beside_them_and_verify(project: Project, kind: str) -> None:
    private, public = pem(kind)
    said = project.audit("sign", COSIGN_PRIVATE_KEY=private)
    assert "decisions/visits.json: signed, in visits.json.dsse.json." in said
    assert "images/visits.json: signed, in visits.json.dsse.json." in said
    project.registered()
    key = project.public(public)
    said = verified(project, key)
    assert ".mlgate/decisions/visits.json: signed with cosign.pub." in said
    assert ".mlgate/images/visits.json: signed with cosign.pub." in said
    assert "1 image: every statement follows its schema and is what the ledger names." in said
    other = project.public(pem(kind)[1], "other.pub")
    said = verified(project, other, code=2)
    assert said.count("is not signed with other.pub.") == 2


def test_signing_again_changes_nothing_and_another_key_replaces(project: Project) -> None:
    private, public = pem()
    project.audit("sign", COSIGN_PRIVATE_KEY=private)
    beside = project.image_file.with_name("visits.json.dsse.json")
    before = beside.read_bytes()
    assert project.audit("sign", COSIGN_PRIVATE_KEY=private).count("signed with this key already.") == 2
    assert beside.read_bytes() == before
    project.audit("sign", COSIGN_PRIVATE_KEY=pem()[0])
    assert not dsse.is_signed(beside.read_bytes(), project.statement.to_bytes(), public)


def test_a_key_of_cosigns_own_signs_the_same_way(project: Project) -> None:
    private, public = cosign_pair(project.folder)
    project.audit("sign", COSIGN_PRIVATE_KEY=private, COSIGN_PASSWORD=PASSWORD)
    envelope = project.image_file.with_name("visits.json.dsse.json").read_bytes()
    assert dsse.is_signed(envelope, project.statement.to_bytes(), public)
    said = project.audit("sign", COSIGN_PRIVATE_KEY=private, COSIGN_PASSWORD="wrong", code=2)
    assert "COSIGN_PRIVATE_KEY is not opened by its password. Give the key's password in COSIGN_PASSWORD." in said
    assert "wrong" not in said


@pytest.mark.parametrize("form", ["base64", "one line", "path in a variable", "path", "locked"])
def test_every_place_a_key_can_be_in(project: Project, form: str) -> None:
    private, public = pem(password=PASSWORD if form == "locked" else "")
    file = project.folder / "a key.pem"
    file.write_text(private)
    env = {"COSIGN_PASSWORD": PASSWORD} if form == "locked" else {}
    args: tuple[str, ...] = ("--key", "env://GATE_KEY")
    value = {
        "base64": base64.b64encode(private.encode()).decode(), "one line": private.replace("\n", "\\n"),
        "path in a variable": str(file), "path": "", "locked": private,
    }[form]  # fmt: skip
    if form == "path":
        args = ("--key", str(file))
    project.audit("sign", *args, **env, GATE_KEY=value)
    envelope = project.decision_file.with_name("visits.json.dsse.json").read_bytes()
    assert dsse.is_signed(envelope, project.decision.to_bytes(), public)


def test_keys_that_cannot_be_used_are_refused_without_being_shown(project: Project) -> None:
    private, _ = pem(password=PASSWORD)
    secret = private.splitlines()[1]
    for args, env, said in (
        ((), {}, "there is no key: COSIGN_PRIVATE_KEY is not set."),
        ((), {"COSIGN_PRIVATE_KEY": private}, "COSIGN_PRIVATE_KEY holds no private key in PEM form that this password"),
        ((), {"COSIGN_PRIVATE_KEY": "hunter2 hunter2"}, "COSIGN_PRIVATE_KEY holds no private key in PEM form."),
        (("--key", pem()[0]), {}, "--key holds the key itself"),
        (("--key", "no-such.pem"), {}, "no-such.pem cannot be read as a key"),
        (("--key", "ftp://x"), {}, "--key has an address of no kind that is known."),
    ):
        shown = project.audit("sign", *args, code=2, **env)
        assert said in shown
        assert secret not in shown
        assert "hunter2" not in shown
    assert not list(project.image_file.parent.glob("*.dsse.json"))


def test_nothing_is_signed_that_does_not_hold(project: Project) -> None:
    private, _ = pem()

    def refused(said: str, *args: str) -> None:
        shown = project.audit("sign", *args, code=2, COSIGN_PRIVATE_KEY=private)
        assert said in shown
        assert not list(project.repo.path.glob(".mlgate/*/*.dsse.json"))

    good = project.image_file.read_bytes()
    project.image_file.write_bytes(json.dumps(json.loads(good), indent=1).encode())
    refused("images/visits.json is not signed: its bytes are not as mlgate writes them.")
    other = Named(name="models/visits", digest={"sha256": "9" * 64})
    made = project.stated(name=project.statement.name, image=project.statement.image, subject=other)
    project.image_file.write_bytes(made.to_bytes())
    refused("is not signed: the model in the image is not the one that the decision is about.")
    made = project.stated(name=project.statement.name, image=project.statement.image, decision="9" * 64)
    project.image_file.write_bytes(made.to_bytes())
    refused("is not signed: the ledger has no decision with the record 999999999999, which it names.")
    project.image_file.write_bytes(b"{")
    refused("is not signed: it cannot be read as a statement about an image.")
    project.image_file.write_bytes(good)
    told = json.loads(project.decision_file.read_bytes())
    told["predicate"]["url"] = "https://evil.test"
    project.decision_file.write_bytes(type(project.decision).parse(told).to_bytes())
    refused("is not signed: the ledger has no decision with this record")
    project.decision_file.unlink()
    project.image_file.unlink()
    refused("there is nothing to sign in .mlgate/decisions and .mlgate/images.")


def test_the_decision_of_an_image_is_brought_from_the_ledger(project: Project) -> None:
    """The job that decided had no key: the protected one has the image's statement only, and signs both."""
    private, public = pem()
    record = project.decision_file.read_bytes()
    project.decision_file.unlink()
    said = project.audit("sign", COSIGN_PRIVATE_KEY=private)
    assert project.decision_file.read_bytes() == record
    assert "decisions/visits.json: signed, in visits.json.dsse.json." in said
    project.registered()
    assert verified(project, project.public(public)).count("signed with cosign.pub.") == 2
    assert project.audit("sign", COSIGN_PRIVATE_KEY=private).count("signed with this key already.") == 2


# -- in the registry -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["cosign", "pem"])
def test_the_image_is_signed_in_its_registry_with_its_statement(project: Project, owner: str) -> None:
    private, public = cosign_pair(project.folder) if owner == "cosign" else pem()
    env = {"COSIGN_PRIVATE_KEY": private, "COSIGN_PASSWORD": PASSWORD if owner == "cosign" else ""}
    said = project.audit("sign", "--registry", "true", **env)
    assert f"{project.statement.reference}: signed in its registry: the image and its statement." in said
    assert "signed in its registry already." in project.audit("sign", "--registry", "true", **env)
    project.registered()
    key = project.public(public)
    said = verified(project, key, "--registry")
    assert "signed in its registry with cosign.pub." in said
    assert "its statement lies beside it in its registry" in said
    by_hand = subprocess.run(
        [cosign(), "verify-attestation", "--private-infrastructure", "--key", key, "--type", PREDICATE,
         project.statement.reference],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    told = json.loads(base64.b64decode(json.loads(by_hand.stdout.splitlines()[0])["payload"]))
    assert told["predicate"] == project.statement.to_dict()["predicate"]


def test_a_runner_without_files_verifies_an_image_by_ledger_and_registry(project: Project) -> None:
    private, public = pem()
    project.audit("sign", "--registry", "true", COSIGN_PRIVATE_KEY=private)
    project.registered()
    key = project.public(public)
    for folder in ("decisions", "images"):
        for file in (project.repo.path / ".mlgate" / folder).iterdir():
            file.unlink()
    for name in (project.statement.image, project.statement.reference, project.statement.image.removeprefix("sha256:")):
        said = verified(project, key, "--image", name, "--registry")
        assert f"{project.statement.reference}: signed in its registry with cosign.pub." in said
    said = verified(project, key, "--image", f"sha256:{'9' * 64}", "--registry", code=2)
    assert f"the ledger has no image sha256:{'9' * 64}." in said
    said = verified(project, key, "--image", f"other.test/x@{project.statement.image}", "--registry", code=2)
    assert "the ledger has no image other.test/x@" in said
    said = verified(project, key, "--image", project.statement.image, code=2)
    assert "--key was given, and there is no record in a file to verify with it." in said
    other = project.public(pem()[1], "other.pub")
    assert "finds no signature" in verified(
        project, other, "--image", project.statement.image, "--registry", code=2
    )  # fmt: skip


def test_an_image_that_is_not_signed_in_its_registry_is_found(project: Project) -> None:
    private, public = pem()
    project.audit("sign", COSIGN_PRIVATE_KEY=private)
    project.registered()
    said = verified(project, project.public(public), "--registry", code=2)
    assert "cosign finds no signature with this key" in said
    assert "cosign finds no statement with this key" in said
    assert "--registry needs --key" in project.audit("verify", "--registry", code=2)


def test_another_statement_beside_the_image_is_found(project: Project) -> None:
    private, public = cosign_pair(project.folder)
    env = {"COSIGN_PRIVATE_KEY": private, "COSIGN_PASSWORD": PASSWORD}
    project.audit("sign", "--registry", "true", **env)
    told = json.loads(project.statement.predicate_bytes())
    predicate = project.folder / "evil.json"
    predicate.write_text(json.dumps({**told, "inputs": "9" * 64}))
    subprocess.run(
        [cosign(), "attest", "--yes", "--key", "env://COSIGN_PRIVATE_KEY", "--tlog-upload=false", "--replace",
         "--type", PREDICATE, "--predicate", str(predicate), project.statement.reference],
        check=True, capture_output=True, env=environment(**env),
    )  # fmt: skip
    project.registered()
    said = verified(project, project.public(public), "--registry", code=2)
    assert "the statements beside it in the registry say something else." in said
    assert "the image" not in project.audit("sign", "--registry", "true", **env)
    assert "error" not in verified(project, project.public(public), "--registry")


def test_the_configuration_asks_for_cosign(project: Project) -> None:
    config = project.repo.path / "mlgate.yaml"
    config.write_text(config.read_text() + "image: {sign: cosign}\n")
    said = project.audit("sign", COSIGN_PRIVATE_KEY=pem()[0])
    assert "signed in its registry: the image and its statement." in said
    assert "signed in its registry" not in project.audit("sign", "--registry", "false", COSIGN_PRIVATE_KEY=pem()[0])


def test_without_cosign_a_pem_key_signs_and_the_registry_is_refused(project: Project, tmp_path: Path) -> None:
    private, _ = pem()
    bare = tmp_path / "bin"
    bare.mkdir()
    git = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    (bare / "git").symlink_to(git)
    env = {"PATH": str(bare), "MLGATE_COSIGN": "", "COSIGN_PRIVATE_KEY": private}
    assert "signed" in project.audit("sign", **env)
    said = project.audit("sign", "--registry", "true", code=2, **env)
    assert "there is no `cosign` on PATH." in said


def test_keys_are_in_no_argument_list(project: Project, tmp_path: Path) -> None:
    """Everything that is started is seen by a cosign that writes its arguments down."""
    private, _ = pem()
    seen = tmp_path / "seen"
    spy = tmp_path / "cosign"
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{seen}"\nexec "{cosign()}" "$@"\n')
    spy.chmod(0o755)
    pair, _ = cosign_pair(tmp_path)
    for key, password in ((private, ""), (pair, PASSWORD)):
        env = {"COSIGN_PRIVATE_KEY": key, "COSIGN_PASSWORD": password, "MLGATE_COSIGN": str(spy)}
        project.audit("sign", "--registry", "true", **env)
    said = seen.read_text()
    assert "env://COSIGN_PRIVATE_KEY" in said
    assert "BEGIN" not in said
    assert PASSWORD not in said
    for line in [*private.splitlines()[1:-1], *pair.splitlines()[1:-1]]:
        assert line not in said
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("mlgate-key-*/key.pem"))


# -- the model's own files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_the_model_is_signed_by_model_signing_and_verified_without_mlgate(project: Project, kind: str) -> None:
    private, public = pem(kind)
    model = str(project.model.parent)
    said = project.audit("sign", "--model-files", model, COSIGN_PRIVATE_KEY=private)
    assert "visits: signed by model-signing, in visits.model.sig." in said
    assert "signed with this key already." in project.audit("sign", "--model-files", model, COSIGN_PRIVATE_KEY=private)
    project.registered()
    key = project.public(public)
    assert "its model is signed with cosign.pub." in verified(project, key, "--model-files", model)
    signature = project.image_file.with_name("visits.model.sig")
    by_hand = subprocess.run(
        [sys.executable, "-m", "model_signing", "verify", "key", model, "--signature", str(signature),
         "--public_key", key],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert by_hand.returncode == 0, by_hand.stdout + by_hand.stderr
    other = project.public(pem(kind)[1], "other.pub")
    assert "model-signing does not verify visits.model.sig" in verified(project, other, "--model-files", model, code=2)
    project.model.write_text("other weights")
    assert "visits is not the model that is in it." in verified(project, key, "--model-files", model, code=2)
    said = project.audit("sign", "--model-files", model, code=2, COSIGN_PRIVATE_KEY=private)
    assert "it is not the model of the image's statement." in said


def test_one_key_of_cosigns_signs_the_model_too_and_others_may_not_fit(project: Project) -> None:
    model = str(project.model.parent)
    said = project.audit("sign", "--model-files", model, code=2, COSIGN_PRIVATE_KEY=pem("ed25519")[0])
    assert "model-signing takes ECDSA keys only" in said
    pair, public = cosign_pair(project.folder)
    env = {"COSIGN_PRIVATE_KEY": pair, "COSIGN_PASSWORD": PASSWORD}
    assert "signed by model-signing" in project.audit("sign", "--model-files", model, **env)
    project.registered()
    verified(project, project.public(public), "--model-files", model)


# -- verification ----------------------------------------------------------------------------------------------------


def test_what_is_asked_for_and_is_not_there_is_an_error(project: Project) -> None:
    public = project.public(pem()[1])
    said = verified(project, public, code=2)
    assert said.count("it is not signed, and --key asks for that.") == 2
    assert "the ledger has no image with this statement" in said
    project.decision_file.unlink()
    project.image_file.unlink()
    said = verified(project, public, code=2)
    assert "--key was given, and there is no record in a file to verify with it." in said
    assert "asks about an image, and there is no image statement" in verified(project, public, "--registry", code=2)


def test_an_image_of_the_ledger_that_names_no_decision_is_found(project: Project) -> None:
    from mlgate.signing import statement  # noqa: PLC0415

    made = project.stated(name=project.statement.name, image=project.statement.image, decision="9" * 64)
    project.append(statement.entry(made, project.who))
    told = json.loads(project.audit("verify", "--json", code=2))
    assert told["verdict"] == "error"
    assert told["images"]["statements"] == 1
    assert "has no decision with the record 999999999999, which it names" in told["images"]["wrong"][0]


def test_a_statement_on_a_registration_of_another_model_is_found(project: Project) -> None:
    from mlgate.ledger.kinds import Registration  # noqa: PLC0415

    project.registered()
    given = {**project.who, "model": "visits", "name": "visits", "decision": project.decision.digest}
    project.append(
        Registration(**given, version="v1.0.0", subject={"sha256": "7" * 64}),
        Registration(**given, version="v1.1.0", subject=project.subject.digest, image={"sha256": "7" * 64}),
        Registration(**{**given, "decision": "9" * 64}, version="v1.2.0", subject=project.subject.digest),
    )
    said = project.audit("verify", code=2)
    assert "visits@v1.0.0 names a decision for another model." in said
    assert "visits@v1.1.0 names an image that the ledger does not have." in said
    assert "visits@v1.2.0 names the decision 999999999999, which the ledger does not have." in said


def test_the_help_starts_without_what_signs() -> None:
    code = "import sys; from mlgate.cli import main\ntry: main(['audit', 'sign', '--help'])\nfinally: pass"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=False,
        env=environment(PYTHONPATH=str(ROOT / "scripts")),
    )  # fmt: skip
    assert done.returncode == 0
    assert "cryptography" not in done.stderr
    assert "model_signing" not in done.stderr
