"""Whether both statements of a release are signed by whom mlgate.yaml names: a key, or a workflow on GitHub.

With a key, the image's statement is looked for beside the record that a job left, then in the registry; the decision's
record is looked for beside the record too, and is else vouched for by the image's statement, which names it by sha256.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mlgate import extras
from mlgate.commands._deciding import FOLDER as DECISIONS
from mlgate.commands._records import SIGNED
from mlgate.commands._release import GROUP, Chosen, engine
from mlgate.commands._run import STATE, Run
from mlgate.commands._signing_login import logged_in
from mlgate.config import Config
from mlgate.config.deploying import Verify
from mlgate.errors import MlgateError
from mlgate.image.api import connect
from mlgate.image.reference import Reference
from mlgate.ledger import dsse
from mlgate.model import Check, Verdict
from mlgate.signing.statement import FOLDER as IMAGES
from mlgate.signing.statement import PREDICATE, Statement

_BEGINS = b"-----BEGIN CERTIFICATE-----"
_LARGEST = 20_000_000  # octets of an envelope


def check(
    run: Run, config: Config, chosen: Chosen, *, user: str = "", environ: Mapping[str, str] | None = None
) -> Check:
    """That both statements are signed, or a warning where mlgate.yaml asks for no signature.

    `user` is of the image's registry. Raises MlgateError where one is not signed, the signature is another's, the key
    has expired, or nothing says whose signature counts.
    """
    deploy = config.deploy
    if deploy.trust == "branch":
        return unasked(config)
    if not deploy.verify.key and not deploy.verify.attested_by:
        raise MlgateError(
            "says nowhere by whom the two statements have to be signed.", file=config.file, line=config.line("deploy"),
            key="deploy.verify",
            fix="Name the public key (`verify: {key: keys/cosign.pub}`) or the workflow (`attested_by`). "
            "`trust: branch` asks for no signature, and every report says so.",
        )  # fmt: skip
    names = [chosen.release.image.partition("@")[0]]
    with logged_in(names, run.forge.image_registry(), user, environ or os.environ) as env:
        said = [*_keyed(run, config, deploy.verify, chosen, env), *_attested(run, deploy.verify, chosen, env)]
    return Check(
        id="deploy.signed", group=GROUP, title="Both statements are signed", verdict=Verdict.PASS,
        reason=" ".join(said),
        observed=deploy.verify.key or deploy.verify.attested_by,
    )  # fmt: skip


def unasked(config: Config) -> Check:
    """What `trust: branch` comes to, for every report."""
    return Check(
        id="deploy.signed", group=GROUP, title="Both statements are signed", verdict=Verdict.WARN,
        reason="`deploy.trust: branch`: no signature was asked for. Whoever may write to the ledger's branch and to "
        "the registry can have a model deployed.",
        fix="Sign both statements (`image.sign`), and name the key or the workflow under `deploy.verify`.",
        location=config.location("deploy.trust"),
    )  # fmt: skip


# -- by a key --------------------------------------------------------------------------------------------------------


def _keyed(run: Run, config: Config, verify: Verify, chosen: Chosen, environ: Mapping[str, str]) -> Iterator[str]:
    if not verify.key:
        return
    path = config.path(verify.key)
    data = run.read(path)  # of the commit, in CI: what a job leaves there is no key
    if data is None:
        raise MlgateError("does not exist, and deploy.verify.key names it.", file=path, fix="Commit the public key.")
    pem = public(data, path)
    if chosen.statement is not None:
        yield _image(run, chosen, pem, path, environ)
    yield _decision(run, chosen, pem, path)


def public(data: bytes, name: str, *, now: datetime | None = None) -> bytes:
    """The public key in PEM form: of the file itself, or of the certificate that it is.

    Raises MlgateError for a certificate that has expired or is not valid yet, and for what is neither.
    """
    if _BEGINS not in data:
        return data
    extras.use("sign")
    from cryptography import x509  # noqa: PLC0415 -- had just now
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    try:
        found = x509.load_pem_x509_certificate(data)
    except ValueError:
        raise MlgateError("is no certificate in PEM form.", file=name, fix="Give a public key, or mend it.") from None
    moment = now or datetime.now(UTC)
    begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
    if moment > ends:
        raise MlgateError(
            f"has expired on {ends:%Y-%m-%d}: what is signed with its key is not taken any more.", file=name,
            fix="Sign the images with a new key (`mlgate audit sign`), and name its certificate.",
        )  # fmt: skip
    if moment < begins:
        raise MlgateError(f"is not valid before {begins:%Y-%m-%d %H:%M} UTC.", file=name)
    return found.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _image(run: Run, chosen: Chosen, pem: bytes, name: str, environ: Mapping[str, str]) -> str:
    """How the image's statement is signed. Raises MlgateError where it is not."""
    made = _stated(chosen)
    if _enveloped(run, IMAGES, made.to_bytes(), pem, name):
        return f"The image's statement is signed with {name}."
    from mlgate.signing import cosign  # noqa: PLC0415 -- most keep the envelope beside the record

    plain = connect(engine(environ), Reference.parse(chosen.release.image).registry).plain
    tool = cosign.find(environ, plain=plain)
    with _file(pem) as key:
        found, why = tool.attested(chosen.release.image, key, PREDICATE)
    wanted = made.to_dict()["predicate"]
    about = [each for each in found if _subject(each) == made.subject[0].digest and each.get("predicate") == wanted]
    if not about:
        told = why or "the statements that it has there say something else."
        raise MlgateError(
            f"{chosen.release.image} is not signed with {name}: {told}",
            fix="Sign it in the job that holds the key: `mlgate audit sign --registry true`.",
        )
    return f"The image's statement lies beside it in its registry, signed with {name}."


def _stated(chosen: Chosen) -> Statement:
    assert chosen.statement is not None  # noqa: S101 -- without an image nothing of it is asked
    return chosen.statement


def _subject(value: Mapping[str, object]) -> object:
    subject = value.get("subject")
    one = subject[0] if isinstance(subject, list) and len(subject) == 1 else None
    return one.get("digest") if isinstance(one, dict) else None


def _decision(run: Run, chosen: Chosen, pem: bytes, name: str) -> str:
    decided = chosen.decision.statement
    if _enveloped(run, DECISIONS, decided.to_bytes(), pem, name):
        return f"The decision's record is signed with {name}."
    if chosen.statement is None:
        raise MlgateError(
            f"the decision about {chosen.release.model} is not signed with {name}, and there is no image whose "
            "statement would vouch for it.",
            fix="Sign it in the job that holds the key (`mlgate audit sign`), and bring .mlgate/decisions here.",
        )
    return f"That statement names the decision's record by sha256 ({decided.digest[:12]}), which the ledger has."


def _enveloped(run: Run, folder: str, data: bytes, pem: bytes, name: str) -> bool:
    """Whether an envelope around just these bytes lies in .mlgate, signed with the key.

    Raises MlgateError where it is signed with another one: whoever signed it, it was not who may.
    """
    other = ""
    for path in sorted((run.cwd / STATE / folder).glob(f"*{SIGNED}")):
        if not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        envelope = path.read_bytes()
        if dsse.problem(envelope, data):
            continue
        try:
            if dsse.is_signed(envelope, data, pem):
                return True
        except MlgateError as error:
            raise MlgateError(error.message, file=name, fix=error.fix) from None
        other = path.name
    if other:
        raise MlgateError(
            f"{other} is signed with another key than {name}.",
            fix="Sign it in the job that holds the right key, or name the other one under `deploy.verify.key`.",
        )
    return False


@contextmanager
def _file(pem: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mlgate-verify-") as folder:
        path = Path(folder) / "key.pub"
        path.write_bytes(pem)
        yield path


# -- by a workflow ---------------------------------------------------------------------------------------------------


def _attested(run: Run, verify: Verify, chosen: Chosen, environ: Mapping[str, str]) -> Iterator[str]:
    if not verify.attested_by:
        return
    from mlgate.signing import attestations  # noqa: PLC0415

    branch = run.forge.event.default_branch or run.git.default_branch()
    if not branch:
        raise MlgateError("which branch is the default one is not known, and attestations are from one.")
    by = attestations.By.parse(verify.attested_by, branch)
    tool = attestations.find(environ)
    whose = by.workflow or by.repository
    if chosen.statement is not None and (why := tool.image(chosen.statement, by)):
        raise MlgateError(
            f"{chosen.release.image} has no attestation by {whose} on {branch}: {why}",
            fix="Attestations are made by the workflow that builds, with `image.sign: attest`.",
        )
    with tempfile.TemporaryDirectory(prefix="mlgate-verify-") as folder:
        file = Path(folder) / f"{chosen.release.model}.json"
        file.write_bytes(chosen.decision.statement.to_bytes())
        if why := tool.record(file, by):
            raise MlgateError(
                f"the decision about {chosen.release.model} has no attestation by {whose} on {branch}: {why}",
                fix="The workflow that decides attests the record, and the one that builds does where it did not.",
            )
    yield f"What is stated is attested by {whose} on {branch}."
