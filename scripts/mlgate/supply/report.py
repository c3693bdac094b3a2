"""What a scan finds, file by file, and what it makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mlgate.model import Verdict
from mlgate.supply import names
from mlgate.supply.limits import Budget, LimitError
from mlgate.supply.names import Name, Standing


@dataclass(frozen=True)
class Finding:
    """One sentence about one file. `trust`: what a person would have to name for it to pass."""

    file: str
    verdict: Verdict
    reason: str
    trust: tuple[str, ...] = ()


@dataclass
class Scan:
    """One scan of one model: what it may cost, whom it trusts, and what it has found so far."""

    trusted: Sequence[str] = ()
    budget: Budget = field(default_factory=Budget)
    findings: list[Finding] = field(default_factory=list)
    used: set[str] = field(default_factory=set)  # of `trusted`
    kinds: dict[str, int] = field(default_factory=dict)  # what was looked into, how many
    loaded: int = 0  # different known names that the model loads
    beside: set[str] = field(default_factory=set)  # files that another one names as its raw data
    spent: bool = False  # a limit was reached: what is left is not looked at

    def kind(self, name: str) -> None:
        self.kinds[name] = self.kinds.get(name, 0) + 1

    def harm(self, file: str, reason: str, trust: Sequence[str] = ()) -> None:
        self._add(Finding(file, Verdict.FAIL, reason, tuple(trust)))

    def doubt(self, file: str, reason: str, trust: Sequence[str] = ()) -> None:
        self._add(Finding(file, Verdict.ERROR, reason, tuple(trust)))

    def limit(self, file: str, error: LimitError) -> None:
        self.spent = True
        self.doubt(file, f"it {error}, so it was not looked at to its end.")

    def _add(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)

    def trusts(self, full: str) -> bool:
        """Whether a person has named it; remembered, so that the report can say so."""
        found = names.covered(full, self.trusted)
        if found:
            self.used.add(full)
        return found

    def judge(self, file: str, loaded: Sequence[Name], *, how: str = "loads") -> None:
        """What the names that a file loads mean for it."""
        standings = {name: names.standing(name, self.trusted) for name in dict.fromkeys(loaded)}
        self.used.update(names.joined(name) for name, s in standings.items() if s is Standing.TRUSTED)
        self.loaded += sum(s is Standing.KNOWN for s in standings.values())
        harmful = [names.joined(name) for name, s in standings.items() if s is Standing.HARMFUL]
        unknown = [names.joined(name) for name, s in standings.items() if s is Standing.UNKNOWN]
        if harmful:
            self.harm(file, f"it {how} {listed(harmful)}, which run{'s' if len(harmful) == 1 else ''} code.", harmful)
        if unknown:
            self.doubt(file, f"it {how} {listed(unknown)}, of which nobody has said that loading it is safe.", unknown)


def listed(items: Sequence[str], most: int = 5) -> str:
    """`a`, `b` and 3 more; what others wrote is cut and kept on one line."""
    shown = [f"`{plain(item)}`" for item in items[:most]]
    if len(items) > most:
        return f"{', '.join(shown)} and {len(items) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def plain(text: str, most: int = 80) -> str:
    clean = "".join(c if c.isprintable() and c != "`" else "?" for c in text)
    return clean if len(clean) <= most else f"{clean[:most]}…"
