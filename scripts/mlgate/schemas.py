"""The JSON Schemas of mlgate.yaml, of contracts and of evidence: `python -m mlgate.schemas docs/schema` writes them.

What the loader refuses and a schema can express, the schema refuses too, so that editors mark it while it is written.
Keys that a file takes from the one it `extends` cannot be asked of it; for those files the schema asks for less.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mlgate import estimators, parity
from mlgate.config.limits import LIMITS
from mlgate.config.settings import COSTS, Config
from mlgate.config.values import SET_NAME_PATTERN, VISIBLE_PATTERN
from mlgate.config.yamlfile import MAX_KEY
from mlgate.data.contract.known import KNOWN
from mlgate.data.contract.short import Short
from mlgate.data.contract.suite import SEVERITIES
from mlgate.model import Evidence

PUBLISHED = "https://raw.githubusercontent.com/mlgate/mlgate/v1/docs/schema/"
CONFIG_LINE = f"# yaml-language-server: $schema={PUBLISHED}mlgate.schema.json"
BASE_LINE = f"# yaml-language-server: $schema={PUBLISHED}mlgate.base.schema.json"
CONTRACT_LINE = f"# yaml-language-server: $schema={PUBLISHED}contract.schema.json"

# Editors complete best from draft 7, with every definition where it is used.
_DRAFT_7 = "http://json-schema.org/draft-07/schema#"
_DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def config_schema() -> Schema:
    """Of mlgate.yaml. Complete files must be complete; a file that `extends` may leave out what the base has."""
    properties = _properties()
    properties["extends"]["type"] = "string"
    return {
        **_head("mlgate.schema.json", "mlgate.yaml", "One model's quality gate."),
        "type": "object",
        "additionalProperties": False,
        "required": ["model"],
        "properties": properties,
        "if": {"required": ["extends"]},
        "else": _complete(),
    }


def base_schema() -> Schema:
    """Of a file that others extend: the same keys, none of them required, and no `extends`."""
    properties = _properties()
    del properties["extends"]
    return {
        **_head("mlgate.base.schema.json", "mlgate.base.yaml", "What several mlgate.yaml files share by `extends:`."),
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def contract_schema() -> Schema:
    """Of a contract in the shorter spelling."""
    schema = Short.model_json_schema(by_alias=True)
    schema = _simple(_untitled(_inlined(schema, schema["$defs"])))
    properties = schema["properties"]
    column = properties["columns"]["additionalProperties"]
    relation = properties["relations"]["items"]
    text = relation["properties"]["is"]
    column["properties"]["drift"]["anyOf"] = [_given("psi"), _given("ks"), {"type": "null"}]
    properties["relations"]["items"] = {"anyOf": [{"type": "string", "pattern": text["pattern"]}, relation]}
    properties["expectations"]["items"] = _expectation()
    for section in (properties["table"], properties["columns"], column):
        section["type"] = ["object", "null"]
    for several in (properties["relations"], properties["expectations"]):
        several["type"] = ["array", "null"]
    something = [
        {"required": [key], "properties": {key: {"minProperties": 1, "type": "object"}}} for key in ("columns",)
    ]
    something += [
        {"required": [key], "properties": {key: {"minItems": 1, "type": "array"}}}
        for key in ("relations", "expectations")
    ]
    something += [
        {"required": ["table"], "properties": {"table": {"type": "object", **_given(key)}}}
        for key in ("rows", "unique")
    ]
    head = _head("contract.schema.json", "mlgate contract", "What the data must be.")
    return {**head, **{key: value for key, value in schema.items() if key != "description"}, "anyOf": something}


def _given(key: str) -> Schema:
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


def _expectation() -> Schema:
    """Of one entry of a suite: its types. What each takes, Great Expectations documents."""
    types = {"type": "string", "enum": sorted(KNOWN)}
    return {
        "type": "object",
        "anyOf": [{"required": ["type"]}, {"required": ["expectation_type"]}],
        "properties": {
            "type": {"description": "The expectation, as Great Expectations names it.", **types},
            "expectation_type": {"description": "Its name before version 1.0 of Great Expectations.", **types},
            "kwargs": {"description": "What it takes.", "type": ["object", "null"]},
            "severity": {"description": "How bad it is when it does not hold.", "enum": [*SEVERITIES, None]},
        },
    }


def evidence_schema() -> Schema:
    """Of `.mlgate/evidence/<model>/<verb>.json`."""
    schema = _untitled(Evidence.model_json_schema(by_alias=True))
    return {**_head("evidence.schema.json", "mlgate evidence", "", _DRAFT_2020), **schema}


FILES = {
    "mlgate.schema.json": config_schema,
    "mlgate.base.schema.json": base_schema,
    "contract.schema.json": contract_schema,
    "evidence.schema.json": evidence_schema,
}


def text(schema: Schema) -> str:
    """As it is written to disk."""
    return json.dumps(schema, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _head(name: str, title: str, description: str, draft: str = _DRAFT_7) -> Schema:
    head = {"$schema": draft, "$id": PUBLISHED + name, "title": title}
    return {**head, "description": description} if description else head


def _properties() -> Schema:
    """Every key of mlgate.yaml, none required except in the items of lists, which `extends` does not merge."""
    schema = Config.model_json_schema(by_alias=True)
    inlined = _simple(_untitled(_inlined(schema, schema["$defs"])))
    properties: Schema = _without_required(inlined)["properties"]
    evaluate, compare = properties["evaluate"], properties["compare"]["properties"]
    evaluate["propertyNames"] = {"pattern": SET_NAME_PATTERN}
    evaluate.pop("minProperties")
    evaluated = evaluate["additionalProperties"]["properties"]
    groups = [_object(compare[key])["properties"] for key in ("slices", "fairness")]
    metrics = [evaluated["rules"], compare["rules"], groups[0]["rules"]]
    for rules in metrics:
        _rules_about(rules, [*estimators.KNOWN, *estimators.ALIASES])
        rules["additionalProperties"] |= _signed_estimators()
    _rules_about(groups[1]["rules"], [*parity.KNOWN, *parity.ALIASES])
    for group in groups:
        group["rules"].pop("minProperties")
    compare["costs"]["propertyNames"] = {"enum": list(COSTS)}
    # A section whose keys are all commented out reads as null.
    file, train = properties["data"]["items"]["properties"], properties["train"]["properties"]
    sections = [properties[key] for key in ("train", "evaluate", "compare", "ledger")]
    sections += [compare[key] for key in ("rules", "costs", "approval", "policy")]
    sections += [file["read"], *(evaluated[key] for key in ("columns", "latency", "rules"))]
    for section in sections:
        section["type"] = ["object", "null"]
    lists = [properties["data"], file["read"]["properties"]["nulls"]]
    for several in (*lists, train["stages"], train["environment"], train["requirements"]):
        several["type"] = ["array", "null"]
    one = {**file["apart_from"]["items"], "type": ["string", "null"]}
    file["apart_from"] = {
        "description": file["apart_from"]["description"],
        "anyOf": [one, {"type": "array", "items": file["apart_from"]["items"]}],
    }
    _deployed(properties["deploy"])
    _watched(properties)
    return properties


def _deployed(deploy: Schema) -> None:
    """A target is its kind alone where nothing else is said of it, and a list of one thing is that thing."""
    place = deploy["properties"]["environments"]["additionalProperties"]["properties"]
    checks = place["checks"]["properties"]
    for section in (deploy, deploy["properties"]["verify"], place["step"], place["expected"], place["checks"]):
        section["type"] = ["object", "null"]
    described = {"description": place["target"].pop("description")}
    place["target"] = {**described, "anyOf": [{"type": "string", "minLength": 1}, place["target"]]}
    for section, key in ((place, "rules"), (checks, "run")):
        several = section[key]
        described = {"description": several.pop("description")}
        section[key] = {**described, "anyOf": [several["items"], {**several, "type": ["array", "null"]}]}


def _watched(properties: Schema) -> None:
    """Sections may be commented out; an address alone is enough of logs and channels, and one thing is a list of it."""
    monitor, notify, retrain = (properties[key]["properties"] for key in ("monitor", "notify", "retrain"))
    sections = [properties[key] for key in ("monitor", "notify", "retrain")]
    sections += [monitor[key] for key in ("metrics", "rules", "drift", "data")]
    sections += [_object(monitor["drift"])["properties"][key] for key in ("prediction", "columns")]
    sections += [_object(monitor["logs"])["properties"]["fields"], retrain["dispatch"]]
    for section in sections:
        section["type"] = ["object", "null"]
    channel = _object(notify["channels"]["additionalProperties"])["properties"]
    for several in (monitor["slo"], retrain["labels"], channel["labels"], channel["assignees"]):
        several["type"] = ["array", "null"]
    for section in (_object(monitor["logs"])["properties"], _object(monitor["truth"])["properties"]):
        section["path"] = _one_or_more(section["path"])
    monitor["logs"] = _or_text(monitor["logs"])
    notify["channels"]["additionalProperties"] = _or_text(notify["channels"]["additionalProperties"])
    routes = notify["routes"]
    routes["additionalProperties"] = _one_or_more(routes["additionalProperties"])
    for key, names in (
        ("performance", [*estimators.KNOWN, *estimators.ALIASES]),
        ("fairness", [*parity.KNOWN, *parity.ALIASES]),
    ):
        rules = _object(monitor[key])["properties"]["rules"]
        _rules_about(rules, names)
        rules.pop("minProperties", None)


def _one_or_more(several: Schema) -> Schema:
    described = {"description": several["description"]} if "description" in several else {}
    return {**described, "anyOf": [several["items"], {"type": ["array", "null"], "items": several["items"]}]}


def _or_text(node: Schema) -> Schema:
    described = {"description": node.pop("description")} if "description" in node else {}
    return {**described, "anyOf": [{"type": "string", "minLength": 1}, node]}


def _object(node: Schema) -> Schema:
    """A section that may be left out, without its null."""
    return next(option for option in node["anyOf"] if option.get("type") == "object") if "anyOf" in node else node


def _rules_about(rules: Schema, names: list[str]) -> None:
    """Keys are the metric's; `is` is one of these names."""
    rules["propertyNames"] = {"minLength": 1, "maxLength": MAX_KEY, "pattern": VISIBLE_PATTERN}
    rule = rules["additionalProperties"]["properties"]
    rule["is"] = {"description": rule["is"]["description"], "enum": [*names, None]}


def _signed_estimators() -> Schema:
    """No relative limits where the metric can be zero or negative."""
    signed = [name for name, known in estimators.KNOWN.items() if known.signed]
    signed += [name for name, meant in estimators.ALIASES.items() if meant in signed]
    return {
        "if": {"required": ["is"], "properties": {"is": {"enum": signed}}},
        "then": {"properties": {word: {"type": "null"} for word in LIMITS if "relative" in word}},
    }


def _complete() -> Schema:
    """What a file without `extends` must have."""
    predictions = {"type": "object", "required": ["path"]}
    limited = {"additionalProperties": {"anyOf": [_given(word) for word in LIMITS]}}
    evaluation = {
        "required": ["metrics"],
        "properties": {"predictions": {"anyOf": [predictions, {"type": "null"}]}, "rules": limited},
    }
    groups = {
        "type": ["object", "null"],
        "required": ["by", "min_rows", "rules"],
        "properties": {"rules": {"minProperties": 1, "type": "object", **limited}},
    }
    no_anchor = {"not": {"required": ["anchor"], "properties": {"anchor": {"type": "string"}}}}
    anchored = {"properties": {"max_anchor_regression": {"type": "null"}}}
    return {
        "required": ["schema", "evaluate"],
        "properties": {
            "evaluate": {"type": "object", "minProperties": 1, "additionalProperties": evaluation},
            "compare": {
                "properties": {"rules": limited, "costs": limited, "slices": groups, "fairness": groups},
                "if": no_anchor,
                "then": {"properties": {"rules": {"additionalProperties": anchored}}},
            },
        },
    }


def _inlined(node: Any, definitions: Schema) -> Any:
    """The schema with each `$ref` replaced by what it names; what stands beside it wins."""
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _inlined(value, definitions) for key, value in node.items() if key not in {"$ref", "$defs"}}
    if "$ref" in node:
        plain = {**_inlined(definitions[node["$ref"].rpartition("/")[2]], definitions), **plain}
    return plain


def _simple(node: Any) -> Any:
    """`anyOf: [x, null]` as x with a second type, and no `default: null`: editors complete that better."""
    if isinstance(node, list):
        return [_simple(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _simple(value) for key, value in node.items() if key != "default" or value is not None}
    if node.get("type") == "number" and isinstance(node.get("default"), str):
        node["default"] = float(node["default"])  # an exact number is dumped as text
    options = node.get("anyOf", [])
    rest = [option for option in options if option != {"type": "null"}]
    if len(options) == 2 and len(rest) == 1 and isinstance(rest[0].get("type"), str):
        node.pop("anyOf")
        beside = {key: value for key, value in rest[0].items() if key not in node}
        node = {**node, **beside, "type": [rest[0]["type"], "null"]}
        if "enum" in node:
            node["enum"] = [*node["enum"], None]
    return node


def _untitled(node: Any) -> Any:
    """Without the titles that only repeat the key."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _untitled(item) for name, item in value.items()}
        if key in {"properties", "$defs"}
        else _untitled(value)
        for key, value in node.items()
        if key != "title" or not isinstance(value, str)
    }


def _without_required(node: Any, *, item: bool = False) -> Any:
    if isinstance(node, list):
        return [_without_required(each, item=item) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _without_required(value, item=item or key == "items")
        for key, value in node.items()
        if item or key != "required" or not isinstance(value, list)
    }


def main(folder: str) -> None:
    """Writes every schema into the folder."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, schema in FILES.items():
        (target / name).write_text(text(schema()), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mlgate.schemas <folder>")
    main(sys.argv[1])
