"""Who is told what, and when: decided from what is so now and from what people were told before. Pure.

    news = plan(matters, earlier, settings, now)

What is told is remembered by channel, in the ledger. So a channel that could not be reached is told by the next run,
one that was added later is told of what goes on, and nobody is told twice. An issue on the forge is no message: it is
kept up to date by every run, whatever the hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from mlgate.config.watching import SEVERITIES, Notify, Quiet, Severity
from mlgate.errors import MlgateError
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import TIME, Alert

STEP = "step "  # what keys begin with that are of steps, not of rules: no rule's name has a space
CLAIMED = "being sent"  # the reason of an entry by which a run says that it is about to tell people
CLAIM = timedelta(minutes=15)  # after which a run that claimed and said no more is taken to have died
Told = Literal["raised", "repeated", "recovered", "held"]
Key = tuple[str, str, str]  # model, environment, key


@dataclass(frozen=True)
class Matter:
    """One thing that people may have to know: a rule of `monitor`, or how a step ended.

    `unclear`: it could not be measured, or does not hold for long enough yet. That begins nothing and ends nothing.
    """

    model: str
    environment: str
    key: str  # the rule's name, or STEP and the verb
    severity: Severity
    state: Literal["on", "over", "unclear"]
    said: str = ""  # what crossed what: "psi.age 0.31 > 0.2"
    held: str = ""  # "2 of 3 in the last 5 windows"
    since: str = ""  # ISO 8601
    advice: str = ""  # what people are to do
    retrain: bool = False
    window: str = ""
    version: str = ""
    commit: str = ""
    report: str = ""  # web address
    run: str = ""  # web address

    @property
    def identity(self) -> Key:
        return self.model, self.environment, self.key


@dataclass(frozen=True)
class News:
    """What is done about one matter now."""

    matter: Matter
    state: Told
    channels: tuple[str, ...] = ()  # who is told
    kept: tuple[str, ...] = ()  # issues that are only brought up to date
    issue: str = ""  # the number of its issue, where one was opened before
    remembered: bool = True  # whether an entry is written
    reason: str = ""  # why it is held


@dataclass
class _Story:
    """What was told of one matter, since it began."""

    open: bool = False
    told: dict[str, tuple[datetime, Severity]] = field(default_factory=dict)
    last: Alert | None = None
    issue: str = ""

    def add(self, entry: Alert) -> None:
        self.last = entry
        self.issue = entry.issue or self.issue
        if entry.state == "recovered":
            if entry.reason != CLAIMED:
                self.open = False
                self.told = {name: when for name, when in self.told.items() if name not in entry.sent}
            return
        if not self.open:
            self.open, self.told = True, {}
        self.told |= {name: (_moment(entry.at), entry.severity) for name in entry.sent}

    def claimed(self, now: datetime) -> bool:
        """Whether another run is at it."""
        entry = self.last
        return entry is not None and entry.reason == CLAIMED and abs(now - _moment(entry.at)) < CLAIM

    @property
    def severity(self) -> Severity:
        return max((severity for _, severity in self.told.values()), key=_rank, default="info")


def plan(matters: Sequence[Matter], earlier: Iterable[Record], settings: Notify, now: datetime) -> list[News]:
    """What is done about each matter of one model; nothing about those of which nobody has to hear.

    `now` is aware. Raises MlgateError for quiet hours that are none.
    """
    stories = _stories(earlier)
    quiet = is_quiet(settings.quiet, now)
    found = []
    for matter in matters:
        story = stories.get(matter.identity) or _Story()
        if matter.state == "unclear" or story.claimed(now):
            continue
        news = _goes_on if matter.state == "on" else _is_over
        if (one := news(matter, story, settings, now, quiet=quiet)) is not None:
            found.append(one)
    return found


def forgotten(matters: Sequence[Matter], earlier: Iterable[Record], like: Matter) -> list[Matter]:
    """Alerts of rules that are not there any more, as over: nobody would ever hear of them again.

    `like` says of which model and environment, and has what else is known of the run.
    """
    known = {matter.identity for matter in matters}
    return [
        replace(like, key=key, state="over", said="the rule is no longer there")
        for (model, environment, key), story in _stories(earlier).items()
        if (model, environment) == (like.model, like.environment)
        and story.open
        and not key.startswith(STEP)
        and (model, environment, key) not in known
    ]


def is_quiet(quiet: Quiet | None, now: datetime) -> bool:
    """Whether it is a quiet hour, by the clock on the wall there. Raises MlgateError for hours that are none."""
    if quiet is None:
        return False
    try:
        local = now.astimezone(ZoneInfo(quiet.zone))
    except (KeyError, ValueError, OSError):
        raise MlgateError(
            f"notify.quiet.zone is {quiet.zone!r}, which is no time zone that is known here.",
            key="notify.quiet.zone", fix="Write one like `Europe/Berlin`, or `UTC`.",
        ) from None  # fmt: skip
    since, until = (_hour(text, key) for text, key in ((quiet.since, "since"), (quiet.until, "until")))
    if quiet.weekends and local.weekday() >= 5:
        return True
    at = local.time()
    return since <= at < until if since <= until else at >= since or at < until


def _hour(text: str, key: str) -> time:
    try:
        hour, _, minute = text.partition(":")
        return time(int(hour), int(minute))
    except ValueError:
        raise MlgateError(
            f"notify.quiet.{key} is {text!r}, which is no time of day.",
            key=f"notify.quiet.{key}", fix='Write it like "22:00".',
        ) from None  # fmt: skip


def _goes_on(matter: Matter, story: _Story, settings: Notify, now: datetime, *, quiet: bool) -> News | None:
    told = story.told if story.open else {}
    targets = _route(settings, matter.severity)
    issues = _issues(settings, targets)
    kept = tuple(name for name in issues if name in told)
    due = [name for name in targets if name not in kept and _is_due(told.get(name), matter, settings, now)]
    loud = [name for name in due if name not in issues]
    anew = not any(name in told for name in due)
    if quiet and loud and _rank(matter.severity) < _rank(_above(settings)):
        now_told = tuple(name for name in due if name not in loud)
        first = not (story.open and story.last is not None and story.last.state == "held")
        return News(
            matter, "held", now_told, kept, story.issue, remembered=first or bool(now_told), reason="quiet hours"
        )
    if due:
        return News(matter, "raised" if anew else "repeated", tuple(due), kept, story.issue)
    if not story.open:
        return News(matter, "raised")  # nobody is to be told, and it is remembered all the same
    return News(matter, "repeated", (), kept, story.issue, remembered=False) if kept else None


def _is_due(told: tuple[datetime, Severity] | None, matter: Matter, settings: Notify, now: datetime) -> bool:
    if told is None:
        return True
    at, severity = told
    return _rank(matter.severity) > _rank(severity) or now - at >= timedelta(seconds=float(settings.repeat))


def _is_over(matter: Matter, story: _Story, settings: Notify, now: datetime, *, quiet: bool) -> News | None:
    """It is said to those who were told that it began, and to nobody else."""
    del now
    who = [name for name in story.told if name in settings.channels]
    issues = _issues(settings, who)
    if not story.open:
        if not who or not settings.recovered or story.last is None or not story.last.failed:
            return None
        return News(matter, "recovered", tuple(who), (), story.issue)  # those who could not be reached last time
    loud = [name for name in who if name not in issues] if settings.recovered else []
    severity = story.severity if story.told else matter.severity
    matter = replace(matter, severity=severity)
    if quiet and loud and _rank(severity) < _rank(_above(settings)):
        first = story.last is None or story.last.state != "held"
        return News(matter, "held", (), tuple(issues), story.issue, remembered=first, reason="quiet hours")
    return News(matter, "recovered", (*loud, *issues), (), story.issue)


def _stories(earlier: Iterable[Record]) -> dict[Key, _Story]:
    found: dict[Key, _Story] = {}
    for record in earlier:
        entry = record.entry
        if isinstance(entry, Alert):
            found.setdefault((entry.model, entry.environment, entry.key), _Story()).add(entry)
    return found


def _route(settings: Notify, severity: Severity) -> list[str]:
    return list(dict.fromkeys(settings.routes.get(severity, list(settings.channels))))


def _issues(settings: Notify, names: Iterable[str]) -> list[str]:
    """Those of the channels that are issues and nothing else: no message goes out, so nothing is held back."""
    found = ((name, settings.channels.get(name)) for name in names)
    return [name for name, channel in found if channel is not None and channel.issue and not channel.to]


def _above(settings: Notify) -> Severity:
    return settings.quiet.above if settings.quiet else "info"


def _rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, TIME).replace(tzinfo=UTC)


# -- what is written ---------------------------------------------------------------------------------------------------


def claim(news: News, told: Mapping[str, Any], now: datetime) -> Alert:
    """The entry that says that this run tells people, before it does: another one then leaves it be."""
    return entry(news, told, now, sent=(), failed=(), reason=CLAIMED)


def entry(
    news: News, told: Mapping[str, Any], now: datetime, *, sent: Iterable[str], failed: Iterable[str],
    issue: str = "", reason: str = "",
) -> Alert:  # fmt: skip
    """What is remembered of it. `told` are the fields of `_ledger.who`."""
    matter = news.matter
    return Alert(
        **told,
        at=now.astimezone(UTC).strftime(TIME),
        model=matter.model,
        environment=matter.environment,
        key=matter.key,
        state=news.state,
        severity=matter.severity,
        sent=tuple(sent),
        failed=tuple(failed),
        issue=issue or news.issue,
        window=matter.window,
        reason=reason,
    )
