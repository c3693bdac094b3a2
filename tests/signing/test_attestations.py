"""Attestations on GitHub, asked of a stand-in for `gh`: the real one needs GitHub itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from parts import pem
from statement_samples import stated

from builder import environment
from mlgate.errors import MlgateError
from mlgate.signing.attestations import PROVENANCE, By, GitHub
from mlgate.signing.statement import PREDICATE

if TYPE_CHECKING:
    from conftest import Project

BY = By("acme/visits", "acme/visits/.github/workflows/model.yml", "main")


def answer(predicate: Any, ref: str = "refs/heads/main") -> dict[str, Any]:
    """As `gh attestation verify --format json` prints one."""
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": PREDICATE, "predicate": predicate}
    certificate = {"sourceRepositoryRef": ref, "sourceRepositoryURI": "https://github.com/acme/visits"}
    return {
        "attestation": {"bundle": {}},
        "verificationResult": {"signature": {"certificate": certificate}, "statement": statement},
    }


def gh(folder: Path, said: object, code: int = 0, err: str = "") -> GitHub:
    folder.mkdir(exist_ok=True)
    (folder / "said").write_text(said if isinstance(said, str) else json.dumps(said))
    (folder / "err").write_text(err)
    fake = folder / "gh"
    fake.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$*" > "{folder}/args"\ncat "{folder}/err" >&2\ncat "{folder}/said"\nexit {code}\n'
    )
    fake.chmod(0o755)
    return GitHub(str(fake), environment())


def test_an_image_is_asked_about_by_digest_repository_workflow_and_predicate(tmp_path: Path) -> None:
    made = stated()
    found = gh(tmp_path, [answer({"other": 1}), answer(made.to_dict()["predicate"])])
    assert found.image(made, BY) == ""
    args = (tmp_path / "args").read_text().split()
    assert args == [
        "attestation", "verify", f"oci://{made.reference}", "--repo", "acme/visits",
        "--signer-workflow", "acme/visits/.github/workflows/model.yml",
        "--predicate-type", PREDICATE, "--format", "json",
    ]  # fmt: skip


def test_what_does_not_say_the_same_on_that_branch_is_none(tmp_path: Path) -> None:
    made = stated()
    predicate = made.to_dict()["predicate"]
    for said, why in (
        ([answer({**predicate, "inputs": "9" * 64})], "say something else than its statement"),
        ([answer(predicate, "refs/heads/evil")], "were signed on refs/heads/evil, not on the branch main."),
        ([answer(predicate, "refs/pull/1/merge")], "were signed on refs/pull/1/merge, not on the branch main."),
        ([{"verificationResult": {"statement": {"predicate": predicate}}}], "were signed on no branch"),
        ([], "finds none."),
        ([1], "cannot be read."),
        ([{"verificationResult": 1}], "cannot be read."),
        ({}, "finds none."),
        ("", "cannot be read."),
    ):
        assert why in gh(tmp_path, said).image(made, BY), said


def test_a_refusal_is_quoted_in_one_line(tmp_path: Path) -> None:
    found = gh(tmp_path, "", 1, "Loaded digest\n✗ Loading attestations failed\n\nError: no attestations found\n")
    assert found.image(stated(), BY) == "`gh attestation verify` finds none: Loading attestations failed."
    assert GitHub(str(tmp_path / "gone"), environment()).image(stated(), BY).startswith("gh cannot be started")


def test_a_decision_record_is_vouched_for_by_its_files_provenance(tmp_path: Path) -> None:
    found = gh(tmp_path, [answer({})])
    assert found.record(tmp_path / "visits.json", BY) == ""
    assert f"--predicate-type {PROVENANCE}" in (tmp_path / "args").read_text()
    assert "not on the branch main" in gh(tmp_path, [answer({}, "refs/heads/x")]).record(tmp_path / "visits.json", BY)


@pytest.mark.parametrize("text", ["", "acme", "acme/", "a/b/c", "a/b/.github/model.yml", "https://github.com/a/b"])
def test_what_names_no_repository_is_refused(text: str) -> None:
    with pytest.raises(MlgateError, match="names no repository or workflow"):
        By.parse(text)


def test_repositories_and_workflows_are_told_apart() -> None:
    assert By.parse("acme/visits", "main") == By("acme/visits", "", "main")
    called = "org/gates/.github/workflows/model-build.yml"
    assert By.parse(called) == By("org/gates", called)


def test_verify_asks_about_both_statements(project: Project, tmp_path: Path) -> None:
    project.registered()
    folder = tmp_path / "tools"
    gh(folder, [answer(project.statement.to_dict()["predicate"])])
    env = {"PATH": f"{folder}:{environment()['PATH']}"}
    said = project.audit("verify", "--attested-by", "acme/visits", "--attested-on", "main", **env)
    assert ".mlgate/decisions/visits.json: attested by acme/visits on main." in said
    assert f"{project.statement.reference}: attested by acme/visits on main." in said
    gh(folder, [], 1, "Error: HTTP 404")
    said = project.audit("verify", "--attested-by", "acme/visits", code=2, **env)
    assert said.count("`gh attestation verify` finds none: HTTP 404.") == 2
    project.decision_file.unlink()
    project.image_file.unlink()
    gh(folder, [answer(project.statement.to_dict()["predicate"])])
    by_digest = ("verify", "--attested-by", "acme/visits", "--attested-on", "main", "--image", project.statement.image)
    said = project.audit(*by_digest, **env)
    assert f"visits-{project.decision.digest[:12]}.json: attested by acme/visits on main." in said
    assert f"{project.statement.reference}: attested by acme/visits on main." in said
    said = project.audit("verify", "--attested-by", "acme/visits", code=2, **env)
    assert "--attested-by asks about a decision record, and there is none in a file." in said


def test_it_is_not_enough_to_be_signed_by_somebody(project: Project) -> None:
    """A key that nobody named verifies nothing: it is said, and where a key is asked for it is an error."""
    project.audit("sign", COSIGN_PRIVATE_KEY=pem()[0])
    project.registered()
    assert project.audit("verify").count("by whom was not verified") == 2
