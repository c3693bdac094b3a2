"""Which version comes next, and what several entries about one version say together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import MlgateError
from mlgate.ledger import registrations
from mlgate.ledger.kinds import Entry, Promotion, Registration
from mlgate.ledger.registrations import FIRST, Bump, following, known, of_model, parse, spelled

numbers = st.integers(0, 999_999_999)
versions = st.builds(lambda a, b, c: f"v{a}.{b}.{c}", numbers, numbers, numbers)


def entry(version: str, n: int = 1, *, name: str = "visits", **more: object) -> Registration:
    given: dict[str, object] = {"model": "visits", "subject": {"dvc-md5": f"{n:032x}"}, "decision": "d" * 64}
    return Registration(name=name, version=version, **{**given, **more})  # type: ignore[arg-type]


@given(st.lists(versions, min_size=1), st.sampled_from(["major", "minor", "patch"]))
def test_the_next_one_is_higher_than_all(taken: list[str], bump: Bump) -> None:
    made = following(taken, bump)
    if max(map(parse, taken)) < (999_999_999,) * 3:
        numbers = [int(part) for part in made[1:].split(".")]
        assert tuple(numbers) > max(map(parse, taken))


def test_the_first_one() -> None:
    assert following([], "patch") == FIRST
    assert following(["v1.0.0-rc.1", "nonsense", "1.0.0"], "minor") == FIRST
    assert following(["v1.9.0", "v1.10.0"], "minor") == "v1.11.0"


@given(versions)
def test_a_version_with_or_without_its_letter(version: str) -> None:
    assert spelled(version) == spelled(version[1:]) == version


@pytest.mark.parametrize(
    "text", ["", "v1", "1.2", "v01.2.3", "v1.2.3-rc.1", "v1.2.3 ", "vv1.2.3", "latest", "v1.2.\u0663"]
)
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(MlgateError, match="is no version"):
        spelled(text)


def test_entries_of_one_version_are_one() -> None:
    entries: list[Entry] = [
        entry("v1.0.0", 1, at="2026-01-01T00:00:00Z"),
        Promotion(model="visits", environment="production", subject={"dvc-md5": f"{1:032x}"}),
        entry("v1.1.0", 2),
        entry("v1.0.0", 1, registries={"mlflow": "7"}),
        entry("v1.0.0", 1, image={"sha256": "a" * 64}, subject={"dvc-md5": f"{1:032x}", "sha256": "b" * 64}),
        entry("v9.0.0", 3, name="another"),
    ]
    first, second = known(entries, "visits")
    assert (first.version, first.id, first.first.at) == ("v1.0.0", entries[0].id, "2026-01-01T00:00:00Z")
    assert (first.registries, first.image) == ({"mlflow": "7"}, {"sha256": "a" * 64})
    assert first.subject["sha256"] == "b" * 64
    assert second.version == "v1.1.0"
    assert of_model([first, second], {"sha256": "b" * 64}) == first
    assert of_model([first, second], {"sha256": "c" * 64}) is None


def test_a_version_is_not_given_to_another_model_later() -> None:
    (one,) = known([entry("v1.0.0", 1), entry("v1.0.0", 2, registries={"git": "visits@v1.0.0"})], "visits")
    assert one.subject == {"dvc-md5": f"{1:032x}"}
    assert one.registries == {}
    assert registrations.of_model([one], {"dvc-md5": f"{2:032x}"}) is None
