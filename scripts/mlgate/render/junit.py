"""Evidence as JUnit XML: a suite per model and verb, a case per check. Any CI system lists it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from mlgate.model import Check, Evidence, Verdict
from mlgate.render import arms, details, escape, layout, sentences

_KIND = {Verdict.FAIL: "failure", Verdict.INCONCLUSIVE: "failure", Verdict.ERROR: "error"}
_NAME = 300  # GitLab stores names in a column of 255 and cuts; ours say the same at the start
_LINES = 20_000  # characters of one text


def xml(evidences: Sequence[Evidence]) -> str:
    """One document. Names are unique in it, because GitLab keeps only the first of two equal ones."""
    root = ET.Element("testsuites", name="mlgate")
    used: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for evidence in layout.ordered(evidences):
        counts = _suite(root, evidence, used)
        totals.update(counts)
    for key in ("tests", "failures", "errors"):
        root.set(key, str(totals[key]))
    root.set("time", "0")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, evidence: Evidence, used: Counter[tuple[str, str]]) -> Counter[str]:
    name = _name(f"{evidence.model} {evidence.kind}")
    suite = ET.SubElement(root, "testsuite", name=name)
    counts: Counter[str] = Counter()
    properties = ET.SubElement(suite, "properties")
    for key, value in _properties(evidence).items():
        ET.SubElement(properties, "property", name=key, value=_name(value))
    for check in layout.by_verdict(evidence.checks):
        group = arms.title(check)
        counts.update(_case(suite, _name(f"{name}: {group}") if group else name, check, used))
    if not evidence.checks or evidence.verdict.rank > max(c.verdict.rank for c in evidence.checks):
        own = Check(id="verdict", title="verdict", verdict=evidence.verdict, reason=sentences.headline(evidence))
        counts.update(_case(suite, name, own, used))
    for key in ("tests", "failures", "errors", "skipped"):
        suite.set(key, str(counts[key]))
    suite.set("time", "0")
    if stamp := _timestamp(evidence.source.at):
        suite.set("timestamp", stamp)
    return counts


def _properties(evidence: Evidence) -> dict[str, str]:
    known = {
        "verdict": evidence.verdict.value,
        "mode": evidence.mode,
        "commit": evidence.source.commit,
        "champion": evidence.champion.commit if evidence.champion else "",
        "said": sentences.headline(evidence),
    }
    if evidence.kind in arms.KINDS:
        told = ("environment", "strategy", "version", "image")
        known |= {name: value for name in told if isinstance(value := evidence.facts.get(name), str)}
    if evidence.watched is not None:
        known |= {"environment": evidence.watched.environment, "rows": str(evidence.watched.rows)}
        known |= {"since": evidence.watched.since, "until": evidence.watched.until}
    return {key: value for key, value in known.items() if value}


def _case(suite: ET.Element, classname: str, check: Check, used: Counter[tuple[str, str]]) -> Counter[str]:
    name = _name(f"{check.title} ({check.id})")
    used[classname, name] += 1
    while (again := used[classname, name]) > 1:
        name = f"{name} #{again}"
        used[classname, name] += 1
    case = ET.SubElement(suite, "testcase", name=name, classname=classname, time="0")
    counts = Counter({"tests": 1})
    kind = _KIND.get(check.verdict)
    if kind:
        counts[f"{kind}s"] = 1
        message = escape.clip(escape.xml(check.reason or check.expected or check.title), _NAME)
        problem = ET.SubElement(case, kind, message=message.replace("\n", " "), type=check.verdict.value)
        problem.text = _text(check)
    elif check.verdict is Verdict.WARN:
        ET.SubElement(case, "system-out").text = f"warn: {_text(check)}"
    return counts


def _text(check: Check) -> str:
    row, words = layout.row(check), arms.words(check)
    facts = [
        sentences.sentence(check.reason),
        details.rows(check),
        f"{words.own}: {row.observed}" if row.observed else "",
        f"{words.other}: {row.champion}" if row.champion else "",
        f"difference: {row.difference} {row.interval}".rstrip() if row.difference else "",
        f"allowed: {row.allowed}" if row.allowed else "",
        f"{sentences.needed(check)}." if sentences.needed(check) else "",
        _place(check),
        check.fix,
    ]
    return escape.xml(escape.clip("\n".join(fact for fact in facts if fact), _LINES))


def _place(check: Check) -> str:
    if check.location is None:
        return ""
    return f"at {check.location.file}" + (f":{check.location.line}" if check.location.line else "")


def _name(value: str) -> str:
    return escape.clip(escape.xml(escape.visible(value)).strip(), _NAME) or "unnamed"


def _timestamp(at: str) -> str:
    """As the schema of JUnit's XML wants it: UTC, without a zone."""
    try:
        time = datetime.fromisoformat(at.replace("Z", "+00:00"))
        return (time if time.tzinfo is None else time.astimezone(UTC)).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError):
        return ""
