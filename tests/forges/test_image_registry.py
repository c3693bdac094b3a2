"""Where a forge keeps images, and who this job is there."""

from __future__ import annotations

import pytest

from mlgate.forges import detect

GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "Acme/Health", "GITHUB_ACTOR": "ada", "GITHUB_TOKEN": "ghs_x"}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_REGISTRY": "registry.gitlab.com",
    "CI_REGISTRY_IMAGE": "registry.gitlab.com/acme/Health",
    "CI_REGISTRY_USER": "gitlab-ci-token",
    "CI_REGISTRY_PASSWORD": "glcbt-x",
}


@pytest.mark.parametrize(
    ("more", "host", "repository"),
    [
        ({}, "ghcr.io", "ghcr.io/acme/health"),
        ({"GITHUB_SERVER_URL": "https://ghe.acme.example"}, "containers.ghe.acme.example", None),
        ({"GITHUB_SERVER_URL": "https://acme.ghe.com"}, "containers.acme.ghe.com", None),
        ({"GITHUB_SERVER_URL": "http://git.acme:3000", "GITEA_ACTIONS": "true"}, "git.acme:3000", None),
    ],
)
def test_github_and_its_relatives(more: dict[str, str], host: str, repository: str | None) -> None:
    found = detect(GITHUB | more).image_registry()
    assert found is not None
    assert (found.host, found.repository) == (host, repository or f"{host}/acme/health")
    assert (found.user, found.password) == ("ada", "ghs_x")
    assert "ghs_x" not in repr(found)


def test_gitlab() -> None:
    found = detect(GITLAB).image_registry()
    assert found is not None
    assert (found.host, found.repository) == ("registry.gitlab.com", "registry.gitlab.com/acme/health")
    assert (found.user, found.password) == ("gitlab-ci-token", "glcbt-x")
    assert "glcbt-x" not in repr(found)


def test_none_where_there_is_none() -> None:
    assert detect({"GITLAB_CI": "true"}).image_registry() is None
    assert detect({"GITHUB_ACTIONS": "true"}).image_registry() is None
    assert detect({}).image_registry() is None
