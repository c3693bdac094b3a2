"""Who let a release through, in which order it comes, and against whom it was decided."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from deploying.deployed import INPUTS, Project
from jobs import environ
from mlgate.commands import _authority
from mlgate.commands._order import tier
from mlgate.config.deploying import Environment
from mlgate.errors import MlgateError
from mlgate.ledger.kinds import Comparison, Promotion
from mlgate.model import Verdict

PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL


def refused(project: Project, environment: str = "production", **how: Any) -> str:
    with pytest.raises(MlgateError) as caught:
        project.checks(environment, **how)
    return str(caught.value)


def test_everything_in_order(project: Project) -> None:
    project.two()
    found = project.checks()
    assert {name: check.verdict for name, check in found.items()} == {
        "deploy.decided": PASS, "deploy.signed": WARN, "deploy.image": PASS, "deploy.standing": PASS,
        "deploy.order": PASS, "deploy.newer": PASS, "deploy.champion": PASS,
    }  # fmt: skip
    assert "no signature was asked for" in found["deploy.signed"].reason
    assert "came into staging on 2026-10-04" in found["deploy.order"].reason
    assert "The decision was made against it" in found["deploy.champion"].reason


def test_an_environment_that_is_not_there(project: Project) -> None:
    project.release("one", "v1.0.0")
    assert "It has staging, production." in refused(project, "canary")


# -- the order of environments ---------------------------------------------------------------------------------------


def test_out_of_order(project: Project) -> None:
    project.release("one", "v1.0.0")
    assert "was never in staging, and staging comes before production" in refused(project)
    assert "deploy.order" not in project.checks("staging")


@pytest.mark.parametrize(("state", "said"), [("aborted", "was turned back in"), ("failed", "failed in")])
def test_the_last_word_of_the_environment_before_counts(project: Project, state: str, said: str) -> None:
    project.release("one", "v1.0.0")
    project.write(project.deployed("one", environment="staging", day=1))
    project.write(project.deployed("one", environment="staging", day=2, state=state))
    assert f"{said} staging on 2026-10-03" in refused(project)


@pytest.mark.parametrize("state", ["started", "advanced", "held"])
def test_what_has_only_begun_is_no_word(project: Project, state: str) -> None:
    project.release("one", "v1.0.0")
    project.write(project.deployed("one", environment="staging", day=1, state=state))
    assert "was never in staging" in refused(project)


def test_a_drill_or_a_shadow_that_went_well_counts(project: Project) -> None:
    project.release("one", "v1.0.0")
    project.write(project.deployed("one", environment="staging", day=1, state="judged"))
    assert project.checks()["deploy.order"].verdict is PASS


def test_what_was_taken_back_from_staging_does_not_go_on(project: Project) -> None:
    project.two()
    project.write(project.rolled_back("one", "two", environment="staging", day=5))
    assert "was taken away from staging again on 2026-10-06: it was worse" in refused(project)


def test_another_image_of_the_same_model_was_not_in_staging(project: Project) -> None:
    """Nothing is rebuilt between environments."""
    project.two()
    project.write(project.build("two", **{"org.opencontainers.image.created": "later"}))
    assert "was never in staging" in refused(project)


# -- older -----------------------------------------------------------------------------------------------------------


def test_older_than_what_is_there(project: Project) -> None:
    project.two()
    project.write(project.deployed("two", "v1.1.0", day=4))
    said = refused(project, find={"version": "v1.0.0"})
    assert "v1.1.0, which is there, was registered after v1.0.0" in said
    assert "mlgate rollback" in said


def test_a_rollback_is_not_asked_for_its_age(project: Project) -> None:
    project.two()
    project.write(project.deployed("two", "v1.1.0", day=4))
    found = project.checks(find={"version": "v1.0.0"}, rollback=True)
    assert set(found) == {"deploy.decided", "deploy.signed", "deploy.image"}


def test_without_versions_what_was_decided_first_is_older(project: Project) -> None:
    project.write(project.decide("one"), project.build("one"))
    project.train("two")
    project.write(project.decide("two", against="one"), project.build("two"))
    project.write(project.deployed("two", environment="staging", day=1))
    assert "was decided on" in refused(project, "staging", find={"image": project.images["one"].reference})


def test_a_model_that_came_back_through_the_gate_is_not_older(project: Project) -> None:
    """Reverted on main and judged against what is there: that is a new decision, and a new image."""
    project.two()
    project.write(project.deployed("two", "v1.1.0", day=4))
    project.train("one")
    project.write(project.decide("one", against="two"), project.build("one"))
    assert project.checks("staging")["deploy.newer"].verdict is PASS


def test_an_older_image_of_the_same_model(project: Project) -> None:
    project.release("one", "v1.0.0")
    old = project.images["one"]
    project.write(project.build("one", **{"org.opencontainers.image.created": "later"}))
    project.write(project.deployed("one", environment="staging", day=1))
    assert "built of the same model later" in refused(project, "staging", find={"image": old.reference})


def test_the_same_release_again(project: Project) -> None:
    project.two()
    found = project.checks("staging")
    assert "staging has this very model" in found["deploy.newer"].reason
    assert found["deploy.champion"].verdict is PASS


# -- the last word ---------------------------------------------------------------------------------------------------


def test_judged_again_since_and_failed(project: Project) -> None:
    project.two()
    again = Comparison(**project.who("two"), model="visits", subject=project.digests("two"), verdict="fail")
    project.write(again)
    assert "was judged again on" in refused(project)
    with pytest.raises(MlgateError, match="was judged again on"):
        project.checks(going_on=True)  # what has begun does not go on
    project.write(project.decide("two", against="one"))
    assert project.checks()["deploy.standing"].verdict is PASS


# -- the champion ----------------------------------------------------------------------------------------------------


def another_champion(project: Project, seed: str) -> None:
    """Production still has the first release, and `seed` was decided against the second."""
    project.two()
    project.release(seed, "v1.2.0", against="two")
    project.write(project.deployed(seed, "v1.2.0", environment="staging", day=5))


def test_decided_against_another_champion_it_is_compared_again(project: Project) -> None:
    another_champion(project, "three")
    found = project.checks()["deploy.champion"]
    assert found.verdict in (PASS, WARN), found.reason
    assert "it was compared again" in found.reason


def test_compared_again_and_worse(project: Project) -> None:
    another_champion(project, "worse")
    found = project.checks()
    assert found["deploy.champion"].verdict is FAIL
    assert "mlgate compare --champion ledger:production" in found["deploy.champion"].fix
    assert any(name.startswith("again.rules.log_loss") and check.verdict is FAIL for name, check in found.items())


def test_compared_again_by_the_rules_of_today(project: Project) -> None:
    """Rules that came after the decision bind, too."""
    another_champion(project, "three")
    compare = yaml.safe_load(yaml.safe_dump(project.settings["compare"]))
    compare["rules"]["auc"]["threshold"] = 0.99
    project.configure(compare=compare)
    assert project.checks()["deploy.champion"].verdict is FAIL


def test_a_champion_at_a_commit_that_has_another_model(project: Project) -> None:
    """Metrics of another model would be compared."""
    another_champion(project, "three")
    wrong = project.deployed("one", "v1.0.0", day=6).model_copy(update={"commit": project.commits["two"]})
    project.write(wrong)
    assert "its metrics are another model's" in refused(project)


def test_costs_are_said_not_to_be_compared_again(project: Project) -> None:
    project.settings["compare"]["costs"] = {"model_mb": {"max_relative_regression": "20%"}}
    another_champion(project, "three")
    found = project.checks()["deploy.champion"]
    assert found.verdict is WARN
    assert "Costs were not compared again" in found.reason


def test_an_environment_without_a_model(project: Project) -> None:
    project.release("one", "v1.0.0")
    assert "There is no model in staging" in project.checks("staging")["deploy.champion"].reason


def test_a_decision_against_nobody_and_a_champion(project: Project) -> None:
    project.two()
    project.train("three")
    project.write(project.decide("three"), project.build("three"), project.register("three", "v1.2.0"))
    assert "it was compared again" in project.checks("staging")["deploy.champion"].reason


# -- production ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said", "kind"),
    [
        ("production", None, "production"), ("prod-eu", None, "production"), ("Live", None, "production"),
        ("preprod", None, "staging"), ("non-prod", None, "staging"), ("stg", None, "staging"),
        ("qa", None, "testing"), ("review/42", None, "development"), ("shop", None, "other"),
        ("shop", "production", "production"), ("production", "staging", "staging"),
    ],
)  # fmt: skip
def test_what_kind_of_environment_it_is(name: str, said: str | None, kind: str) -> None:
    assert tier(name, Environment.model_validate({"target": "local", "tier": said})) == kind


def test_where_none_is_called_production_the_last_one_is(project: Project) -> None:
    target = project.platform("staging")
    for names, production in ((("first", "second"), "second"), (("live", "shop"), "live")):
        deploy = {"trust": "branch", "environments": {name: {"target": target} for name in names}}
        project.configure(deploy=deploy)
        config = project.config(project.run())
        assert [name for name in names if _authority.is_production(config, name)] == [production]


def test_production_asks_for_papers(project: Project) -> None:
    project.two()
    project.configure(governance={"require": ["documentation"], "tags": {"approval_status": "pending_review"}})
    found = project.checks()
    assert found["checklist.documentation"].verdict is FAIL
    assert found["deploy.approval"].verdict is FAIL
    assert not {"checklist.documentation", "deploy.approval"} & set(project.checks("staging"))


def test_papers_of_another_model_are_no_papers(project: Project) -> None:
    project.two()
    project.train("three")
    project.configure(governance={"require": ["documentation"]})
    assert "which has another visits" in refused(project, find={"version": "v1.1.0"})


# -- where it may run ------------------------------------------------------------------------------------------------


def binding(project: Project, monkeypatch: pytest.MonkeyPatch, name: str, payload: dict[str, Any], **more: str) -> Any:
    for key, value in environ(project.folder / "job", project.repo, name, payload, **more).items():
        monkeypatch.setenv(key, value)
    run = project.run()
    return _authority.binding(run, project.config(run))


def test_only_the_default_branch_deploys(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.repo.git("checkout", "--quiet", "-b", "change")
    push = {"before": "0" * 40, "after": project.repo.head, "ref": "refs/heads/change"}
    refs = {"GITHUB_REF": "refs/heads/change", "GITHUB_REF_NAME": "change"}
    with pytest.raises(MlgateError, match="this run is for the branch change"):
        binding(project, monkeypatch, "push", push, **refs)


def test_the_default_branch_does(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    push = {"before": "0" * 40, "after": project.repo.head, "ref": "refs/heads/main"}
    refs = {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"}
    assert binding(project, monkeypatch, "push", push, **refs).model == "visits"


def test_a_tag_brings_no_older_rules(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put on a commit whose mlgate.yaml asked for less."""
    old = project.repo.head
    project.configure(deploy={**project.settings["deploy"], "trust": "signed", "verify": {"key": "cosign.pub"}})
    project.repo.git("checkout", "--quiet", "--detach", old)
    tag = {"after": old, "ref": "refs/tags/visits#production#1"}
    refs = {"GITHUB_REF": "refs/tags/visits#production#1", "GITHUB_REF_NAME": "visits#production#1",
            "GITHUB_REF_TYPE": "tag"}  # fmt: skip
    found = binding(project, monkeypatch, "push", tag, **refs)
    assert (found.deploy.trust, found.deploy.verify.key) == ("signed", "cosign.pub")


def test_a_tag_on_what_is_not_merged(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.repo.git("checkout", "--quiet", "-b", "change")
    project.repo.write("more", "more")
    project.repo.commit()
    tag = {"after": project.repo.head, "ref": "refs/tags/visits#production#1"}
    refs = {"GITHUB_REF": "refs/tags/visits#production#1", "GITHUB_REF_NAME": "visits#production#1",
            "GITHUB_REF_TYPE": "tag"}  # fmt: skip
    with pytest.raises(MlgateError, match="is not merged into the default branch"):
        binding(project, monkeypatch, "push", tag, **refs)


# -- a promotion that another tool made ------------------------------------------------------------------------------


def test_a_promotion_counts_as_what_is_there(project: Project) -> None:
    """`register --alias champion` of a newer model: an older one is not deployed over it."""
    project.two()
    who = {**project.who("two"), "model": "visits", "environment": "staging"}
    project.write(Promotion(**who, subject=project.digests("two"), version="v1.1.0"))
    assert "is older than what is in staging" in refused(project, "staging", find={"version": "v1.0.0"})


def test_checks_can_be_kept(project: Project) -> None:
    """They are evidence: JSON without NaN, with titles and reasons."""
    project.two()
    for check in project.checks().values():
        assert json.loads(check.model_dump_json())["title"]
        assert check.reason
    assert INPUTS in project.images["two"].to_bytes().decode()
