"""What holds for every mlgate.yaml, and for bytes that are none."""

from __future__ import annotations

import json
import random
import string
from decimal import Decimal
from typing import Any

import pytest
import yaml
from config_samples import FULL, ROWS, SMALL, WIDE, read
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlgate.config import known, load, yamlfile
from mlgate.errors import MlgateError

SOURCES: dict[str, dict[str, Any]] = {text: yamlfile.parse(text, file="mlgate.yaml")[0].raw() for text in (WIDE, ROWS)}


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
    text=st.sampled_from([WIDE, ROWS]),
    order=st.randoms(),
    flow=st.sampled_from([True, False, None]),
    width=st.integers(20, 200),
    indent=st.integers(2, 9),
)
def test_layout_and_order_do_not_change_the_digest(
    text: str, order: random.Random, flow: bool | None, width: int, indent: int
) -> None:
    moved = yaml.safe_dump(
        shuffled(plain(SOURCES[text]), order), default_flow_style=flow, width=width, indent=indent, sort_keys=False
    )
    assert read(moved).digest() == read(text).digest()
    assert read(moved).public() == read(text).public()


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


@pytest.mark.parametrize("text", [WIDE, ROWS])
def test_json_is_yaml(text: str) -> None:
    assert read(json.dumps(plain(SOURCES[text]))).digest() == read(text).digest()


# Every key that is ours, and the sample it stands in.
KEYS = [
    (text, path)
    for text in SOURCES
    for path, _ in yamlfile.parse(text, file="")[0].walk()
    if path and isinstance(path[-1], str) and known.pattern(path)[-1] != "*"
]


@settings(deadline=None)
@given(place=st.sampled_from(KEYS), data=st.data())
def test_any_misspelt_key_is_named(place: tuple[str, tuple[str | int, ...]], data: st.DataObject) -> None:
    text, path = place
    key = str(path[-1])
    at = data.draw(st.integers(0, len(key)))
    letter = data.draw(st.sampled_from(string.ascii_letters + "_-. "))
    wrong = data.draw(st.sampled_from([key[:at] + letter + key[at:], key[:at] + key[at + 1 :], key.upper(), key[::-1]]))
    root = plain(SOURCES[text])
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
    place=st.sampled_from(KEYS), value=st.sampled_from([[], {}, True, 7, 0.5, "no such", None, [[]], {"a": 1}, -1, ""])
)
def test_any_value_gives_settings_or_one_error_that_names_its_key(
    place: tuple[str, tuple[str | int, ...]], value: Any
) -> None:
    text, path = place
    root = plain(SOURCES[text])
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
