"""Which release is meant, and that it is refused unless both statements and the registry agree about it."""

from __future__ import annotations

from typing import Any

import pytest

from deploying.deployed import Project, at
from mlgate.commands import _release
from mlgate.errors import MlgateError
from mlgate.image import promote
from mlgate.image.engine import Engine
from mlgate.image.reference import Reference
from mlgate.ledger.kinds import Comparison, Promotion
from mlgate.model import Named, Verdict
from mlgate.signing import statement


def refused(project: Project, **how: Any) -> str:
    with pytest.raises(MlgateError) as caught:
        project.find(**how)
    return str(caught.value)


def test_the_image_of_the_model_that_the_commit_names(project: Project) -> None:
    project.two()
    found = project.find()
    assert found.release.image == project.images["two"].reference
    assert (found.version, found.release.commit, found.release.port) == ("v1.1.0", project.commits["two"], 8080)
    assert found.subject == project.digests("two")
    assert found.release.decision == found.decision.entry.entry.id


@pytest.mark.parametrize("word", ["v1.0.0", "1.0.0", "visits@v1.0.0"])
def test_a_version(project: Project, word: str) -> None:
    project.two()
    assert project.find(version=word).release.image == project.images["one"].reference


def test_an_image_by_its_digest(project: Project) -> None:
    project.two()
    assert project.find(image=project.images["one"].reference).version == "v1.0.0"


def test_an_image_is_known_in_a_repository_that_it_was_copied_to(project: Project) -> None:
    project.two()
    copied = f"{project.registry}/elsewhere/visits"
    source = Reference.parse(project.images["two"].reference)
    promote.promote(Engine("docker"), source, Reference.parse(f"{copied}@{source.digest}"))
    found = project.find(image=f"{copied}@{source.digest}")
    assert found.release.image == f"{copied}@{source.digest}"
    assert _release.in_registry(project.run(), found).verdict is Verdict.PASS


def test_an_image_listens_where_the_mlgate_yaml_that_it_was_built_of_says(project: Project) -> None:
    project.settings["serve"] = {"port": 9001}
    project.release("two", "v1.0.0")
    project.configure(serve={"port": 8080})
    assert project.find().release.port == 9001


def test_of_two_images_of_one_model_the_later_one_counts(project: Project) -> None:
    project.release("one", "v1.0.0")
    project.write(project.build("one", **{"org.opencontainers.image.created": "later"}))
    assert project.find().release.image == project.images["one"].reference


def test_an_entry_of_the_ledger_is_found_again(project: Project) -> None:
    project.two()
    run, records = project.run(), project.ledger().records()
    config = project.config(run)
    now = _release.there(config, records, "production")
    assert now is not None
    assert _release.of_entry(run, config, records, now).release.image == project.images["one"].reference


def test_a_promotion_alone_brings_nothing_anywhere(project: Project) -> None:
    project.release("one", "v1.0.0")
    who = {**project.who("one"), "at": at(1), "model": "visits", "environment": "production"}
    project.write(Promotion(**who, subject=project.digests("one"), version="v1.0.0"))
    assert _release.there(project.config(project.run()), project.ledger().records(), "production") is None


# -- refused ---------------------------------------------------------------------------------------------------------


def test_without_a_decision_nothing_is_deployed(project: Project) -> None:
    assert "no passing decision for visits with dvc-md5" in refused(project)


def test_without_an_image_nothing_is_deployed(project: Project) -> None:
    project.write(project.decide("one"))
    assert "the ledger has no image of visits" in refused(project)


def test_an_unknown_digest(project: Project) -> None:
    project.two()
    said = refused(project, image=f"{project.registry}/visits@sha256:{'f' * 64}")
    assert "nothing states which model is in it" in said
    assert "A preview is never deployed" in said


def test_a_tag_is_no_release(project: Project) -> None:
    project.two()
    assert "a tag can be another image tomorrow" in refused(project, image=f"{project.registry}/visits:latest")


def test_image_and_version_together(project: Project) -> None:
    assert "both say what to deploy" in refused(project, image="a@sha256:" + "0" * 64, version="v1.0.0")


def test_an_image_of_another_model(project: Project) -> None:
    project.two()
    project.configure(model="falls")
    assert "is an image of visits, not of falls" in refused(project, image=project.images["one"].reference)


def test_an_unknown_version_and_one_without_an_image(project: Project) -> None:
    project.release("one", "v1.0.0")
    assert "It has v1.0.0." in refused(project, version="v3.0.0")
    project.train("two")
    project.write(project.decide("two"), project.register("two", "v1.1.0"))
    assert "was registered without an image" in refused(project, version="v1.1.0")


def test_a_decision_about_another_digest(project: Project) -> None:
    """An image of a model that nobody judged, with the decision that another model got."""
    project.release("one", "v1.0.0")
    project.train("two")
    forged = project.stated(
        "one", f"sha256:{'e' * 64}", commit=project.commits["two"],
        subject=Named(name="models/visits.joblib", digest=project.digests("two")),
    )  # fmt: skip
    project.write(statement.entry(forged, project.who("two")))
    assert "is not the one that the decision is about" in refused(project)
    assert "is not the one that the decision is about" in refused(project, image=forged.reference)


def test_a_decision_that_came_after_the_image(project: Project) -> None:
    decided = project.decide("one")
    project.write(project.build("one"))
    project.write(decided)
    assert "which the ledger did not have before it" in refused(project)


def test_a_digest_whose_statement_is_not_its_entry(project: Project) -> None:
    project.release("one", "v1.0.0")
    entry = statement.entry(project.stated("one", f"sha256:{'e' * 64}"), project.who("one"))
    project.write(entry.model_copy(update={"image": {"sha256": "9" * 64}}))
    assert "the ledger has it for another image" in refused(project)


# -- a local target --------------------------------------------------------------------------------------------------


def test_a_local_target_needs_no_image(project: Project) -> None:
    project.write(project.decide("one"))
    found = project.find(local=True)
    assert found.release.image == f"local/visits@sha256:{project.digests('one')['sha256']}"
    assert (found.statement, found.image) == (None, None)
    assert project.find(local=True, image=found.release.image).release == found.release


def test_a_local_target_needs_the_decision(project: Project) -> None:
    assert "no passing decision" in refused(project, local=True)
    assert "no passing decision" in refused(project, local=True, image=f"local/visits@sha256:{'0' * 64}")


def test_a_model_without_an_image_is_for_local_targets_alone(project: Project) -> None:
    project.write(project.decide("one"))
    made = project.find(local=True).release.image
    assert "the ledger has no image" in refused(project, image=made)


# -- in the registry -------------------------------------------------------------------------------------------------


def test_an_image_that_its_registry_has_lost(project: Project) -> None:
    project.release("one", "v1.0.0")
    project.write(statement.entry(project.stated("one", f"sha256:{'e' * 64}"), project.who("one")))
    with pytest.raises(MlgateError, match="is not in its registry"):
        _release.in_registry(project.run(), project.find())


def test_a_registry_that_cannot_be_reached(project: Project) -> None:
    project.release("one", "v1.0.0")
    gone = f"localhost:9/visits@{project.images['one'].image}"
    with pytest.raises(MlgateError, match="localhost:9"):
        _release.in_registry(project.run(), project.find(image=gone))


@pytest.mark.parametrize("label", ["io.mlgate.decision", "io.mlgate.model-digest", "io.mlgate.model"])
def test_an_image_whose_labels_say_something_else(project: Project, label: str) -> None:
    project.write(project.decide("one"), project.build("one", **{label: "another"}))
    with pytest.raises(MlgateError, match=f"its label {label} is another"):
        _release.in_registry(project.run(), project.find())


def test_a_runner_without_docker_can_ask_a_registry(project: Project) -> None:
    project.release("one", "v1.0.0")
    found = _release.in_registry(
        project.run(), project.find(), environ={"PATH": "/nowhere", "HOME": str(project.folder)}
    )
    assert found.verdict is Verdict.PASS


def test_a_comparison_is_no_decision(project: Project) -> None:
    project.write(Comparison(**project.who("one"), model="visits", subject=project.digests("one"), verdict="pass"))
    assert "no passing decision" in refused(project)
