"""Who signs logs in by itself where the image is, leaves nothing behind, and signs only what asks for it."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from parts import pem

from mlgate.commands._signing_login import logged_in
from mlgate.errors import MlgateError
from mlgate.forges.nouns import ImageRegistry

if TYPE_CHECKING:
    from conftest import Project

OWN = ImageRegistry("registry.example.com", "registry.example.com/acme/visits", "job", "job-password")
GITLAB = {"GITLAB_CI": "true", "CI_SERVER_URL": "https://gitlab.example.com", "CI_PIPELINE_SOURCE": "push"}


def logins(environ: dict[str, str]) -> dict[str, str]:
    """Registry -> user:password, of the configuration that cosign would read."""
    told = json.loads((Path(environ["DOCKER_CONFIG"]) / "config.json").read_text("utf-8"))
    return {host: base64.b64decode(entry["auth"]).decode() for host, entry in told["auths"].items()}


def test_the_jobs_own_registry_needs_no_word() -> None:
    with logged_in(["registry.example.com/acme/visits"], OWN, "", {"A": "b"}) as environ:
        assert logins(environ) == {"registry.example.com": "job:job-password"}
        assert environ["A"] == "b"
        file = Path(environ["DOCKER_CONFIG"]) / "config.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert not file.parent.exists()


def test_a_registry_elsewhere_gets_the_users_login_and_never_the_jobs() -> None:
    given = {"MLGATE_REGISTRY_PASSWORD": "p:w"}
    with logged_in(["ghcr.io/acme/visits", "acme/visits"], OWN, "ada", given) as environ:
        assert logins(environ) == {"ghcr.io": "ada:p:w", "https://index.docker.io/v1/": "ada:p:w"}
    with logged_in(["ghcr.io/acme/visits"], OWN, "", {}) as environ:
        assert environ == {}, "who is logged in there stays so"


@pytest.mark.parametrize(("user", "given"), [("", {"MLGATE_REGISTRY_PASSWORD": "pw"}), ("ada", {}), ("", {})])
def test_half_a_login_is_none(user: str, given: dict[str, str]) -> None:
    with logged_in(["ghcr.io/acme/visits"], None, user, given) as environ:
        assert environ == given


def test_other_logins_of_the_user_go_along(tmp_path: Path) -> None:
    elsewhere = {"auth": base64.b64encode(b"x:y").decode()}
    told = {"auths": {"ghcr.io": elsewhere}, "credsStore": "desktop", "credHelpers": {"registry.example.com": "ecr"}}
    (tmp_path / "config.json").write_text(json.dumps(told), "utf-8")
    with logged_in(["registry.example.com/a"], OWN, "", {"DOCKER_CONFIG": str(tmp_path)}) as environ:
        made = json.loads((Path(environ["DOCKER_CONFIG"]) / "config.json").read_text("utf-8"))
        assert logins(environ) == {"ghcr.io": "x:y", "registry.example.com": "job:job-password"}
        assert "credsStore" not in made
        assert made["credHelpers"] == {}
    assert json.loads((tmp_path / "config.json").read_text("utf-8")) == told
    (tmp_path / "config.json").write_text("{", "utf-8")
    with (
        pytest.raises(MlgateError, match="configuration of Docker"),
        logged_in(["registry.example.com/a"], OWN, "", {"DOCKER_CONFIG": str(tmp_path)}),
    ):
        pass


def ask(project: Project, sign: str) -> None:
    config = project.repo.path / "mlgate.yaml"
    config.write_text(f"{config.read_text()}image: {{sign: {sign}}}\n")
    project.repo.commit("Say how it is signed")


def signed(project: Project) -> list[str]:
    return sorted(file.name for file in (project.repo.path / ".mlgate").rglob("*.dsse.json"))


def test_where_nobody_asks_nothing_is_signed_and_no_key_is_needed(project: Project) -> None:
    assert "no image of this run asks for it" in project.audit("sign", "--where-asked")
    ask(project, "attest")
    assert "no image of this run asks for it" in project.audit("sign", "--where-asked", COSIGN_PRIVATE_KEY=pem()[0])
    assert signed(project) == []


def test_where_it_is_asked_for_it_is_done_or_is_an_error(project: Project) -> None:
    ask(project, "cosign")
    assert "COSIGN_PRIVATE_KEY is not set" in project.audit("sign", "--where-asked", code=2)
    assert signed(project) == []
    said = project.audit("sign", "--where-asked", COSIGN_PRIVATE_KEY=pem()[0])
    assert "signed in its registry: the image and its statement." in said
    assert signed(project) == ["visits.json.dsse.json", "visits.json.dsse.json"]


def test_what_only_github_can_sign_is_refused_elsewhere(project: Project) -> None:
    ask(project, "attest")
    commit = {"CI_COMMIT_SHA": project.repo.head, "CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}
    said = project.audit("sign", "--where-asked", code=2, **GITLAB, **commit)
    assert "mlgate.yaml" in said
    assert "on GitHub, and this job is elsewhere" in said
