"""Names of images are read as the engine reads them, and what is wrong with one is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import MlgateError
from mlgate.image.reference import Reference, tag_from

DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("ghcr.io/Acme/Visits:v1", "ghcr.io/acme/visits:v1"),
        ("GHCR.io/acme/visits", "ghcr.io/acme/visits"),
        ("python:3.13-slim", "docker.io/library/python:3.13-slim"),
        ("acme/visits", "docker.io/acme/visits"),
        ("index.docker.io/library/python:3", "docker.io/library/python:3"),
        ("localhost/visits", "localhost/visits"),
        ("localhost:5000/visits:V1.Rc", "localhost:5000/visits:V1.Rc"),
        ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c"),
        ("[::1]:5000/visits", "[::1]:5000/visits"),
        (f"r.example.org/a__b/c-d.e:t@{DIGEST}", f"r.example.org/a__b/c-d.e:t@{DIGEST}"),
        (f"visits@{DIGEST}", f"docker.io/library/visits@{DIGEST}"),
        ("registry.gitlab.com/Grp/Sub-Grp/Proj/visits", "registry.gitlab.com/grp/sub-grp/proj/visits"),
        ("0123.dkr.ecr.eu-west-1.amazonaws.com/visits:v1", "0123.dkr.ecr.eu-west-1.amazonaws.com/visits:v1"),
    ],
)  # fmt: skip
def test_reads(text: str, whole: str) -> None:
    assert str(Reference.parse(text)) == whole
    assert str(Reference.parse(whole)) == whole


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no repository"),
        ("ghcr.io/", "no repository"),
        ("https://ghcr.io/acme/visits", "begins with a protocol"),
        ("ghcr.io/acme//visits", "empty part"),
        ("ghcr.io/acme/vi sits", "'vi sits' is no part"),
        ("ghcr.io/acme/visits-", "'visits-' is no part"),
        ("ghcr.io/acme/-visits", "'-visits' is no part"),
        ("ghcr.io/acme/visits:", "'' is no tag"),
        ("ghcr.io/acme/visits:a b", "'a b' is no tag"),
        ("ghcr.io/acme/visits:.a", "'.a' is no tag"),
        ("ghcr.io/acme/visits:" + "a" * 129, "is no tag"),
        ("ghcr.io/acme/visits@sha256:abc", "'sha256:abc' is no digest"),
        ("ghcr.io/acme/visits@" + DIGEST.upper(), "is no digest"),
        ("ghcr.io/acme/" + "a" * 256, "too long"),
        ("ghcr.io/acme/visité", "'visité' is no part"),
        ("ghcr..io:99x/visits", "is no host"),
    ],
)
def test_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(MlgateError) as error:
        Reference.parse(text)
    assert says in str(error.value)
    assert repr(text) in str(error.value)


def test_parts_and_other_names() -> None:
    one = Reference.parse(f"localhost:5000/Acme/Visits:v1@{DIGEST}")
    assert (one.registry, one.repository, one.tag, one.digest) == ("localhost:5000", "acme/visits", "v1", DIGEST)
    assert one.name == "localhost:5000/acme/visits"
    assert one.pinned == f"localhost:5000/acme/visits@{DIGEST}"
    assert str(one.tagged("v2")) == "localhost:5000/acme/visits:v2"
    with pytest.raises(MlgateError, match="no tag"):
        one.tagged("feature/x")


@given(st.text(max_size=60))
def test_never_fails_otherwise(text: str) -> None:
    try:
        found = Reference.parse(text)
    except MlgateError:
        return
    assert Reference.parse(str(found)) == found


@given(st.text(max_size=200))
def test_a_tag_can_be_made_of_anything(text: str) -> None:
    assert Reference.parse(f"visits:{tag_from(text)}").tag == tag_from(text)


@pytest.mark.parametrize(
    ("text", "tag"), [("v1.2.0", "v1.2.0"), ("feature/x y", "feature-x-y"), ("1.0+cu121", "1.0-cu121"), ("…", "none")]
)
def test_tags_of_branches_and_versions(text: str, tag: str) -> None:
    assert tag_from(text) == tag
