"""What `mlgate trace` prints: one model's way, or what lies between two, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_LABEL = 12
_MOST = 40  # rows of one section; `--json` has all


def story(told: Mapping[str, Any]) -> str:
    """One model, from what was asked back to its commit and forth to where it is."""
    lines = [told["asked"] if told["model"] in told["asked"] else f"{told['asked']}: {told['model']}", ""]
    lines += _section("prediction", _prediction(told.get("prediction")))
    lines += _section("model", _model(told))
    lines += _section("commit", _commit(told["commit"]))
    lines += _section("data", _files(told["data"]))
    lines += _section("parameters", _pairs(told["parameters"]))
    lines += _section("metrics", _pairs(told["metrics"]))
    lines += _section("made by", [f"{name}: {command}" for name, command in told["stages"].items()])
    lines += _section("code", _files(told["code"]))
    lines += _section("decision", _decision(told["decision"]))
    lines += _section("approved", [f"{', '.join(one['by'])}: {one['what']}, {_at(one)}" for one in told["approvals"]])
    lines += _section("images", [row for one in told["images"] for row in _image(one)])
    lines += _section("registered", _rows(_registration(one) for one in told["registrations"]))
    lines += _section("rollouts", _rows(_rollout(one) for one in told["rollouts"]))
    lines += _section("history", _rows(_event(one) for one in told["history"]))
    lines += _section("not known", told["unknown"])
    return "\n".join(lines).rstrip("\n") + "\n"


def difference(told: Mapping[str, Any]) -> str:
    """What lies between two models."""
    lines = [f"{told['from']['asked']} -> {told['to']['asked']}", ""]
    for name, side in (("from", told["from"]), ("to", told["to"])):
        lines += _section(name, [*_side(side)])
    if told["same_model"]:
        lines += ["Both are the same model.", ""]
    kinds = {"data": "data", "parameter": "parameters", "code": "code", "stage": "commands", "dependency": "packages"}
    for kind, name in kinds.items():
        lines += _section(name, _rows(_change(one) for one in told["changes"] if one["kind"] == kind))
    lines += _section("metrics", _rows(_moved(one) for one in told["metrics"]))
    lines += _section("decision", [*_turned(told["decision"])])
    lines += _section("image", [*_turned(told["image"])])
    lines += _section("commits", [*_commits(told["commits"])])
    lines += _section("not known", told["unknown"])
    changed = told["changes"] or told["metrics"] or told["decision"] or told["image"]
    if not changed and not told["unknown"]:
        lines.append("Nothing differs that the ledger and the commits know of.")
    return "\n".join(lines).rstrip("\n") + "\n"


# -- layout ----------------------------------------------------------------------------------------------------------


def _section(name: str, rows: Iterable[str]) -> list[str]:
    shown = list(rows)
    if not shown:
        return []
    left = shown[_MOST:]
    lines = [f"{name if n == 0 else '':<{_LABEL}}{row}".rstrip() for n, row in enumerate(shown[:_MOST])]
    return [*lines, *([f"{'':<{_LABEL}}... and {len(left)} more: --json"] if left else []), ""]


def _rows(rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns under each other."""
    cells = [list(row) for row in rows]
    if not cells:
        return []
    count = max(len(row) for row in cells)
    padded = [[*row, *[""] * (count - len(row))] for row in cells]
    widths = [max(len(row[n]) for row in padded) for n in range(count)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in padded]


def _short(digest: str) -> str:
    """`sha256:5b0c1de2a4f7`, or of a commit its beginning."""
    name, _, value = digest.rpartition(":")
    return f"{name}:{value[:12]}" if name else value[:12]


def _at(one: Mapping[str, Any]) -> str:
    entry = f" (entry {one['entry']})" if one.get("entry") else ""
    return f"{_moment(one['at'])}{entry}"


def _moment(text: str) -> str:
    return text.replace("T", " ").rstrip("Z")


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    return f"{value:.6g}" if isinstance(value, float) else _plain(str(value))


def _plain(text: str, most: int = 160) -> str:
    """Text of others, on one line and without anything that moves a terminal's cursor."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


# -- one model -------------------------------------------------------------------------------------------------------


def _model(told: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{name}:{value}" for name, value in told["digests"].items())
    for span in told["environments"]:
        if span["until"]:
            yield f"in {span['environment']} from {_moment(span['since'])} to {_moment(span['until'])}"
        else:
            yield f"in {span['environment']} since {_moment(span['since'])}"
    if not told["environments"]:
        yield "in no environment"


def _commit(commit: Mapping[str, Any] | None) -> Iterator[str]:
    if not commit:
        return
    yield commit["id"]
    if commit.get("title"):
        yield f"{_plain(commit['title'])} ({_plain(commit['author'])}, {_moment(commit['at'])})"
    if commit.get("url"):
        yield commit["url"]


def _files(files: Sequence[Mapping[str, Any]]) -> list[str]:
    return _rows(
        (
            _plain(one["path"]),
            one["digest"] or "no digest is known",
            f"{one['size']:,} bytes" if one.get("size") is not None else "",
            one["role"],
        )
        for one in files
    )


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return _rows((_plain(key), "=", _value(value)) for key, value in values.items())


def _decision(one: Mapping[str, Any] | None) -> Iterator[str]:
    if not one:
        return
    yield f"{one['verdict']}, {_at(one)}, run by {one['actor'] or 'nobody named'}"
    if one["run_url"]:
        yield one["run_url"]
    yield from (
        f"warned: {warn['name']}{': ' + _plain(warn['reason']) if warn['reason'] else ''}" for warn in one["warns"]
    )
    if one["champion_commit"] or one["champion"]:
        digest = next((f"{name}:{value}" for name, value in sorted(one["champion"].items(), reverse=True)), "")
        yield f"against {_short(digest) or 'a champion'} of commit {one['champion_commit'][:12] or 'unknown'}"
    else:
        yield "against nobody: the first of its name"
    yield from (f"evaluated on {name}: {digest}" for name, digest in one["evaluation"].items())
    rules = one["rules"]
    if rules["file"]:
        yield f"rules of {rules['file']} in commit {rules['commit'][:12]}: {_short(rules['digest'])}"
    yield f"record {one['record']}"


def _image(one: Mapping[str, Any]) -> Iterator[str]:
    yield f"{one['name']}@{one['digest']}"
    base = one.get("base") or {}
    on = f", on {_plain(str(base['name']))}" if base.get("name") else ""
    yield f"  built {_at(one)} by {one['actor'] or 'nobody named'}{on}"


def _registration(one: Mapping[str, Any]) -> tuple[str, ...]:
    where = ", ".join(f"{name} {number}".strip() for name, number in one["registries"].items())
    return f"{one['name']}@{one['version']}", _moment(one["at"]), one["actor"], where


def _event(one: Mapping[str, Any]) -> tuple[str, ...]:
    what = one["kind"] if not one.get("taken_away") else "taken away"
    words = [one.get("state", ""), f"at {one['weight']:g} %" if "weight" in one else "", one.get("version", "")]
    words += [one.get("verdict", "")] if one["kind"] in ("decision", "comparison") else []
    words += [_short(one["image"])] if one["kind"] in ("image", "deployment") and one.get("image") else []
    words += [f"because {_plain(one['reason'], 80)}"] if one.get("reason") else []
    told = " ".join(word for word in words if word)
    return str(one["entry"]), _moment(one["at"]), what, one["environment"] or "-", told or "-", one["actor"]


def _rollout(one: Mapping[str, Any]) -> tuple[str, ...]:
    """`production  canary  5 % 25 % 50 %  complete  approved by grace`."""
    weights = " ".join(f"{weight:g} %" for weight in one["weights"])
    took = f" within {one['seconds']:.1f} s" if one["seconds"] is not None else ""
    by = f"approved by {_plain(', '.join(one['approved_by']))}" if one["approved_by"] else "approved by nobody named"
    because = f"because {_plain(one['reason'], 80)}" if one["reason"] else ""
    place = str(one["entry"]) if one["entry"] == one["last_entry"] else f"{one['entry']}-{one['last_entry']}"
    outcome = f"{one['outcome'] or 'under way'}{took}"
    return place, _moment(one["began"]), one["environment"], one["strategy"], weights or "-", outcome, by, because


def _prediction(one: Mapping[str, Any] | None) -> Iterator[str]:
    if not one:
        return
    first = one["rows"][0]
    count = len(one["rows"])
    yield f"{_plain(str(first.get('time', '')))} in {first.get('environment') or 'no environment'}, from {one['file']}"
    for row in one["rows"][:10]:
        score = "" if row.get("score") is None else f", score {_plain(_value(row['score']))}"
        yield f"row {row.get('row', 0)}: {_plain(_value(row.get('prediction')))}{score}"
        logged = {**(row.get("features") or {}), **{f"{k} (hashed)": v for k, v in (row.get("hashed") or {}).items()}}
        if logged:
            yield "  " + _plain(", ".join(f"{key} = {_value(value)}" for key, value in logged.items()), 400)
    if count > 10:
        yield f"... and {count - 10} more rows: --json"
    yield from (f"{'' if each['holds'] else 'But '}{each['said']}." for each in one["agreement"])


# -- two models ------------------------------------------------------------------------------------------------------


def _side(side: Mapping[str, Any]) -> Iterator[str]:
    digest = side["digests"].get("sha256") or next(iter(side["digests"].values()), "")
    versions = ", ".join(side["versions"])
    yield f"{side['model']} {_short(digest)}{f' = {versions}' if versions else ''}"
    commit = side["commit"]
    if commit:
        title = f": {_plain(commit['title'])} ({_plain(commit['author'])}, {_moment(commit['at'])})"
        yield f"commit {commit['id'][:12]}{title if commit.get('title') else ''}"
    now = [span["environment"] for span in side["environments"] if not span["until"]]
    if now:
        yield f"now in {', '.join(now)}"


def _change(one: Mapping[str, Any]) -> tuple[str, ...]:
    before, after = one.get("before"), one.get("after")
    if one["kind"] in ("code", "dependency"):
        return _plain(one["what"]), _value(after)
    return _plain(one["what"]), _value(before), "->", _value(after)


def _moved(one: Mapping[str, Any]) -> tuple[str, ...]:
    change = f"({one['change']:+.4g})" if "change" in one else ""
    return _plain(one["what"]), _value(one["before"]), "->", _value(one["after"]), change


def _turned(told: Mapping[str, Any]) -> Iterator[str]:
    for key, one in told.items():
        if key == "warns":
            yield from (f"warns no more: {name}" for name in one["gone"])
            yield from (f"warns now: {name}" for name in one["new"])
            continue
        before, after = (_worded(one[side]) for side in ("before", "after"))
        yield f"{key.replace('_', ' ')}: {before} -> {after}"


def _worded(value: Any) -> str:
    if isinstance(value, Mapping):
        if "name" in value:
            return f"{value['name']}@{_short(next((f'{k}:{v}' for k, v in value.get('digest', {}).items()), ''))}"
        return ", ".join(f"{key} {_short(str(one))}" for key, one in value.items()) or "nothing"
    text = _value(value) or "nothing"
    return _short(text) if len(text) >= 40 and " " not in text else text


def _commits(told: Mapping[str, Any]) -> Iterator[str]:
    if not told["first"]:
        return
    count = told["count"] if told["count"] is not None else len(told["first"])
    yield f"{count} between them{', and the first of the two is the later one' if told.get('backwards') else ''}:"
    yield from (
        f"{one['id'][:12]}  {_plain(one['title'], 100)} ({_plain(one['author'], 40)})" for one in told["first"][:20]
    )
