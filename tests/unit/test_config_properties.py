"""What holds for every mlgate.yaml, and for bytes that are none."""

from __future__ import annotations

import json
import random
import string
from decimal import Decimal
from typing import Any

import pytest
import yaml
from config_samples import FULL, SMALL, WIDE, read
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlgate.config import known, load, yamlfile
from mlgate.errors import MlgateError

SOURCE: dict[str, Any] = yamlfile.parse(WIDE, file="mlgate.yaml")[0].raw()


def plain(value: Any) -> Any:
    """As JSON can write it, numbers with the digits they have."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, str) else value


def shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(
    order=st.randoms(), flow=st.sampled_from([True, False, None]), width=st.integers(20, 200), indent=st.integers(2, 9)
)
def test_layout_and_order_do_not_change_the_digest(
    order: random.Random, flow: bool | None, width: int, indent: int
) -> None:
    text = yaml.safe_dump(
        shuffled(plain(SOURCE), order), default_flow_style=flow, width=width, indent=indent, sort_keys=False
    )
    assert read(text).digest() == read(WIDE).digest()
    assert read(text).public() == read(WIDE).public()


@settings(deadline=None)
@given(data=st.data())
def test_comments_and_empty_lines_do_not_change_the_digest(data: st.DataObject) -> None:
    comment = st.text(
        st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\ufeff\ufffe\uffff")
    )
    lines = []
    for line in FULL.splitlines():
        if data.draw(st.booleans()):
            lines.append(data.draw(st.sampled_from(["", "   "])) + "# " + data.draw(comment))
        lines.append(line + data.draw(st.sampled_from(["", "  ", " # said", "\r"])))
    assert read("\n".join(lines) + "\n").digest() == read(FULL).digest()


def test_json_is_yaml() -> None:
    assert read(json.dumps(plain(SOURCE))).digest() == read(WIDE).digest()


PLACES = [path for path, _ in yamlfile.parse(WIDE, file="")[0].walk() if path and isinstance(path[-1], str)]
# Names that are the user's own, not ours.
KEYS = [
    path
    for path in PLACES
    if not (path[0] == "evaluate" and len(path) == 2) and not (path[:2] == ("compare", "rules") and len(path) == 3)
]


@settings(deadline=None)
@given(path=st.sampled_from(KEYS), data=st.data())
def test_any_misspelt_key_is_named(path: tuple[str | int, ...], data: st.DataObject) -> None:
    key = str(path[-1])
    at = data.draw(st.integers(0, len(key)))
    letter = data.draw(st.sampled_from(string.ascii_letters + "_-. "))
    wrong = data.draw(st.sampled_from([key[:at] + letter + key[at:], key[:at] + key[at + 1 :], key.upper(), key[::-1]]))
    root = plain(SOURCE)
    parent: Any = root
    for step in path[:-1]:
        parent = parent[step]
    assume(wrong not in parent and wrong.strip())
    section = known.SECTIONS[known.pattern(path[:-1])]
    assume(wrong not in known.keys(section))
    parent[wrong] = parent.pop(key)
    with pytest.raises(MlgateError) as caught:
        read(json.dumps(root))
    assert f"{yamlfile.dotted((*path[:-1], wrong))} is not" in str(caught.value)


@settings(deadline=None)
@given(
    path=st.sampled_from(KEYS), value=st.sampled_from([[], {}, True, 7, 0.5, "no such", None, [[]], {"a": 1}, -1, ""])
)
def test_any_value_gives_settings_or_one_error_that_names_its_key(path: tuple[str | int, ...], value: Any) -> None:
    root = plain(SOURCE)
    parent: Any = root
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    try:
        read(json.dumps(root))
    except MlgateError as error:
        assert yamlfile.dotted(path[:2]) in str(error) or str(path[0]) in str(error) or "anchor" in str(error)  # noqa: PT017
        assert "\n" not in str(error) or len(str(error).splitlines()) <= 11  # noqa: PT017


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_are_an_error_in_words(content: bytes) -> None:
    with pytest.raises(MlgateError) as caught:
        load(content, file="mlgate.yaml", base=lambda _: None)
    assert str(caught.value).startswith("mlgate.yaml")


@settings(deadline=None, max_examples=500)
@given(st.text(alphabet="{}[]:,-?*&!|>%@`'\"#\n\t ~<abc10.", max_size=80))
def test_random_yaml_is_an_error_in_words(text: str) -> None:
    with pytest.raises(MlgateError) as caught:
        load(text, file="mlgate.yaml", base=lambda _: None)
    assert str(caught.value).startswith("mlgate.yaml")


@settings(deadline=None, max_examples=500)
@given(start=st.integers(0, len(FULL)), length=st.integers(0, 6), junk=st.text(max_size=6))
def test_a_damaged_file_is_read_or_refused(start: int, length: int, junk: str) -> None:
    text = FULL[:start] + junk + FULL[start + length :]
    try:
        read(text)
    except MlgateError as error:
        assert str(error).startswith("mlgate.yaml")  # noqa: PT017


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**9), max_value=10**9))
def test_every_decimal_comes_back_exactly(number: Decimal) -> None:
    config = read(f"{SMALL}compare: {{rules: {{auc: {{threshold: {number}}}}}}}\n")
    assert config.compare.rules["auc"].threshold == number
    assert Decimal(str(config.public()["compare.rules.auc.threshold"])) == number
