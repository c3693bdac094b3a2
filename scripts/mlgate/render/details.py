"""What stands below the checks: failing rows, what was proven, the stages that ran, the facts of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mlgate.model import Check, Evidence, Example, Proof, StageRun, Verdict
from mlgate.render import layout, numbers

STATE = {"proven": "✅", "attested": "📝", "refuted": "❌", "not run": "➖"}
_ORDER = ["refuted", "not run", "attested", "proven"]


def examples(evidence: Evidence) -> list[tuple[Check, Example]]:
    """Every failing row that is shown, those of the worst checks first."""
    return [(check, one) for check in layout.by_verdict(evidence.checks) for one in check.examples]


def values(example: Example) -> str:
    """`age = -3, person_year = 1250501`."""
    return ", ".join(f"{column} = {value}" for column, value in example.values.items())


def where(example: Example) -> str:
    """`17`, or `part-2.csv 17` where there are several files."""
    row = "" if example.row is None else f"{example.row:,}"
    return " ".join(part for part in (example.file, row) if part)


def rows(check: Check) -> str:
    """`row 17 (age = -3), part-2.csv row 42 (age = -1), and 9 more`."""
    shown = [_row(one) for one in check.examples]
    more = (check.unexpected or 0) - len(check.examples)
    return ", ".join([*shown, f"and {more:,} more"] if more > 0 else shown)


def _row(one: Example) -> str:
    row = "" if one.row is None else f"row {one.row:,}"
    where = " ".join(part for part in (one.file, row) if part) or "a row"
    return f"{where} ({values(one)})"


def proofs(evidence: Evidence) -> list[Proof]:
    """What is refuted first, then what nobody ran."""
    return sorted(evidence.proofs, key=lambda proof: _ORDER.index(proof.state))


def proven(evidence: Evidence) -> str:
    """`4 proven, 2 attested, 1 not run`."""
    counts: Counter[str] = Counter(proof.state for proof in evidence.proofs)
    return ", ".join(f"{counts[state]} {state}" for state in reversed(_ORDER) if counts[state])


def stages(evidence: Evidence) -> str:
    """`ingest cached, train ran (12 s)`."""
    return ", ".join(stage(one) for one in evidence.stages)


def stage(one: StageRun) -> str:
    took = f" ({seconds(one.seconds)})" if one.seconds is not None and one.state in ("ran", "failed") else ""
    return f"{one.name} {one.state}{took}"


def seconds(value: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def facts(evidence: Evidence) -> list[tuple[str, str]]:
    """Name and value, as text."""
    return [(name, numbers.show(v) if isinstance(v, float) else v) for name, v in sorted(evidence.facts.items())]


def links(evidences: Sequence[Evidence]) -> dict[str, str]:
    """Addresses that steps left, by name; the first of a name counts."""
    found: dict[str, str] = {}
    for evidence in evidences:
        for name, address in evidence.links.items():
            found.setdefault(name, address)
    return found


def never(evidence: Evidence) -> str:
    """What a model must not be used for."""
    if evidence.promotable:
        return ""
    if evidence.kind == "build-image":
        return "This image is a preview: no deployment takes it."
    return "This model was made to be thrown away: it can never be promoted."


def refuted(evidence: Evidence) -> bool:
    """Whether what was proven belongs in the open."""
    return evidence.verdict is not Verdict.PASS or any(proof.state == "refuted" for proof in evidence.proofs)
