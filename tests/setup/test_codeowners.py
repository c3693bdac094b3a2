"""CODEOWNERS as the two forges document it: each case is an example of their own pages."""

from __future__ import annotations

import pytest

from mlgate.setup import codeowners

GITHUB = """
*       @global-owner1 @global-owner2
*.js    @js-owner #This is an inline comment.
*.go docs@example.com
*.txt @octo-org/octocats
/build/logs/ @doctocat
docs/*  docs2@example.com
apps/ @octocat
/scripts/ @doctocat @octocat
**/logs @logs-owner
/apps2/ @octocat
/apps2/github
/with\\ space/ @space
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("README.md", ("@global-owner1", "@global-owner2")),
        ("deep/down/x.js", ("@js-owner",)),
        ("x.go", ("docs@example.com",)),
        ("a/b.txt", ("@octo-org/octocats",)),
        ("build/logs/deep/x", ("@logs-owner",)),
        ("docs/getting-started.md", ("docs2@example.com",)),
        ("docs/build-app/troubleshooting.md", ("@global-owner1", "@global-owner2")),
        ("deep/apps/x/y", ("@octocat",)),
        ("scripts/x/y", ("@doctocat", "@octocat")),
        ("deeply/nested/logs/x", ("@logs-owner",)),
        ("apps2/x", ("@octocat",)),
        ("apps2/github/x", ()),
        ("with space/x", ("@space",)),
    ],
)
def test_github_last_match_decides(path: str, expected: tuple[str, ...]) -> None:
    assert codeowners.owners(codeowners.parse(GITHUB, "github"), path) == expected


GITLAB = """
* @admin
/docs/ @all-docs
/docs/* @root-docs
/db/**/index.md @index-docs
internal/README.md @internal
/plain @exact
/config/ @@maintainer
!pom.xml

[Docs][2] @docs-team
docs/
handbook/ @special
^[Optional]
*.rb @rubyist
[Both]
*.py @pythonista
^[both]
*.pyx @cython
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("x", ("@admin",)),
        ("docs/index.md", ("@root-docs", "@docs-team")),
        ("docs/projects/index.md", ("@all-docs", "@docs-team")),
        ("db/a/b/index.md", ("@index-docs",)),
        ("deep/internal/README.md", ("@internal",)),
        ("plain", ("@exact",)),
        ("plain/x", ("@admin",)),
        ("config/x/y", ("@@maintainer",)),
        ("pom.xml", ()),
        ("handbook/x", ("@admin", "@special")),
        ("x.rb", ("@admin",)),
        ("x.pyx", ("@admin", "@cython")),
    ],
)
def test_gitlab_sections_defaults_and_exclusions(path: str, expected: tuple[str, ...]) -> None:
    assert codeowners.owners(codeowners.parse(GITLAB, "gitlab"), path) == expected


def test_sections_are_gitlabs_alone() -> None:
    assert codeowners.owners(codeowners.parse("[x] @a\n", "github"), "mlgate.yaml") == ()


def test_the_first_place_wins() -> None:
    files = ["docs/CODEOWNERS", "CODEOWNERS", ".github/CODEOWNERS", ".gitlab/CODEOWNERS"]
    assert codeowners.place("github", files) == ".github/CODEOWNERS"
    assert codeowners.place("gitlab", files) == "CODEOWNERS"
    assert codeowners.place("gitlab", [".github/CODEOWNERS"]) is None
