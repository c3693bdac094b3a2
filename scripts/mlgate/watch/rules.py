"""Rules over what one window came to: who is told, how bad it is, and whether a successor is proposed. Pure.

    judged = judge(all_rules(monitor), sections, History(records), window, model="visits", environment="production")
    judged.checks, judged.alerts, judged.retrain

A rule that cannot be answered is `unknown`, which is neither so nor not so, and never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlgate.config import alarmed
from mlgate.config.alarms import Alarm, Persistence, When
from mlgate.config.watching import AlarmRule, Monitor
from mlgate.errors import MlgateError
from mlgate.ledger.chain import Record
from mlgate.model import AlertSeen, Check, Verdict, worst
from mlgate.watch import history, persistence
from mlgate.watch.history import History
from mlgate.watch.nouns import Section, State, Window
from mlgate.watch.persistence import Standing, Stood
from mlgate.watch.sentences import Measured, Told, named, spoken

_NO_SUBJECT: Mapping[str, str] = {}


@dataclass(frozen=True)
class Ruled:
    """One rule in one window. `told` is whether its sentence is so now, before its `for`."""

    name: str
    rule: AlarmRule
    when: When
    told: Told
    stood: Stood
    alert: AlertSeen
    check: Check


@dataclass(frozen=True)
class Judged:
    """All rules in one window, in their order."""

    rules: tuple[Ruled, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        return tuple(one.check for one in self.rules)

    @property
    def alerts(self) -> tuple[AlertSeen, ...]:
        return tuple(one.alert for one in self.rules)

    @property
    def verdict(self) -> Verdict:
        return worst(one.verdict for one in self.checks)

    @property
    def retrain(self) -> tuple[str, ...]:
        """The rules that fire and ask for a successor."""
        return tuple(one.name for one in self.rules if one.rule.retrain and one.alert.state == "firing")


def all_rules(monitor: Monitor) -> dict[str, AlarmRule]:
    """Each section that is there has a rule of its name, as it was written or with its defaults; then those of the
    user's own. Raises MlgateError for one that says nothing."""
    found = {name: monitor.rules.get(name, AlarmRule()) for name in alarmed.there(monitor)}
    found |= {name: rule for name, rule in monitor.rules.items() if name not in found}
    for name, rule in found.items():
        sentence(name, rule)
    return found


def sentence(name: str, rule: AlarmRule) -> When:
    """What a rule asks. Raises MlgateError where it does not say."""
    if rule.when is not None:
        when: When = rule.when
        return when
    if name not in alarmed.ALONE:
        raise MlgateError(
            f"the rule {name} does not say when, and is not named after a section.",
            key=f"monitor.rules.{name}",
            fix="Add `when:`, such as `when: drift_share > 30%`.",
        )
    return Alarm(name, name)


def judge(
    rules: Mapping[str, AlarmRule],
    sections: Sequence[Section],
    earlier: History | Iterable[Record],
    window: Window,
    *,
    model: str,
    environment: str,
    subject: Mapping[str, str] = _NO_SUBJECT,
) -> Judged:
    """Each rule against what was measured in this window, and in those before it.

    `subject`: digests of the model that is there. Windows in which another one was there count as ones of which nothing
    is known. Raises MlgateError for a rule that says nothing.
    """
    known, measured = History.of(earlier), Measured(sections)
    found = []
    for name, rule in rules.items():
        before = known.states(model, environment, name, window, monitor="rule", subject=subject)
        found.append(rule_on(name, rule, measured, before, window))
    return Judged(tuple(found))


def rule_on(name: str, rule: AlarmRule, measured: Measured, before: Sequence[State], window: Window) -> Ruled:
    """One rule. `before`: whether it was so in the windows before this one, newest first."""
    when = sentence(name, rule)
    told = measured.tell(when)
    stood = persistence.stand(told.state, before, rule.for_)
    alert = AlertSeen(
        rule=name,
        severity=rule.severity,
        state=stood.state,
        said=told.said,
        held=_held(rule.for_, stood),
        since="" if stood.since is None else history.start(window, stood.since),
        retrain=rule.retrain,
        message=rule.message or "",
    )
    return Ruled(name, rule, when, told, stood, alert, _check(name, rule, when, told, alert))


def shown(sections: Iterable[Section], judged: Judged) -> list[Check]:
    """The checks of the sections, none worse than what the rules about its section came to.

    A column that crossed its limit does not fail a run whose rule asks for three windows of it, or is `info`. What
    could not be read at all (`error`) stays that, and so does what a section only warns of: no limit was crossed.
    """
    found = []
    for section in sections:
        names = {section.kind, *(measure.name for measure in section.measures)}
        about = [one.check.verdict for one in judged.rules if names & named(one.when)]
        most = worst(about) if about else Verdict.ERROR
        found += [_softer(check, most) for check in section.checks]
    return found


def _softer(check: Check, most: Verdict) -> Check:
    if check.verdict in {Verdict.ERROR, Verdict.WARN} or check.verdict.rank <= most.rank:
        return check
    return check.model_copy(update={"verdict": most})


def _held(asked: Persistence, stood: Stood) -> str:
    if asked.n == 1:
        return ""
    needed = f", {asked.k} needed" if stood.breached < asked.k else ""
    unknown = f", {stood.unknown} unknown" if stood.unknown else ""
    return f"in {stood.breached} of the last {asked.n} windows{needed}{unknown}"


_GRAVE: Mapping[str, Mapping[Standing, Verdict]] = {
    "critical": {"firing": Verdict.FAIL, "pending": Verdict.WARN, "unknown": Verdict.INCONCLUSIVE},
    "warn": {"firing": Verdict.WARN, "pending": Verdict.WARN, "unknown": Verdict.INCONCLUSIVE},
    "info": {"unknown": Verdict.WARN},  # what was not measured is no pass, however little it matters
}


def _check(name: str, rule: AlarmRule, when: When, told: Told, alert: AlertSeen) -> Check:
    windows = "" if rule.for_.n == 1 else f" in {rule.for_} windows"
    return Check(
        id=f"watch.rules.{name}",
        title=name,
        group="watch",
        verdict=_GRAVE[rule.severity].get(alert.state, Verdict.PASS),
        reason=_reason(alert),
        observed=told.said if told.value is None else told.value,
        expected=f"not: {spoken(when)}{windows}",
        limit=told.limit if isinstance(when, Alarm) else None,
        rows=told.rows,
    )


def _reason(alert: AlertSeen) -> str:
    """One sentence; nothing where all is quiet."""
    if alert.state == "quiet":
        return ""
    since = f", since {alert.since[:16].replace('T', ' ')} UTC" if alert.since else ""
    held = f", {alert.held}" if alert.held else ""
    if alert.state == "recovered":
        return f"It is over: {alert.said}. It began {alert.since[:16].replace('T', ' ')} UTC."
    what = {"firing": "", "pending": "not for long enough yet: ", "unknown": "it cannot be told: "}[alert.state]
    message = f" {alert.message.rstrip('.')}." if alert.message and alert.state == "firing" else ""
    said = f"{what}{alert.said}{held}{since}"
    return f"{said[:1].upper() if what else said[:1]}{said[1:]}.{message}"
