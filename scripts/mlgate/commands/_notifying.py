"""One run of `notify`: whose settings hold for what evidence, who is told, and what is remembered of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mlgate import extras
from mlgate.commands import _notify_letters, _notify_matters
from mlgate.commands._binding import unique
from mlgate.commands._collect import collect
from mlgate.commands._notify_channels import Channels, Reached
from mlgate.commands._notify_matters import Shown
from mlgate.commands._notify_memory import Memory
from mlgate.commands._run import STATE, Run, Unloadable, failed, file_name, off, say, unloadable
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.ledger.chain import Record
from mlgate.model import Check, Evidence, Verdict, worst
from mlgate.render import escape
from mlgate.watch import alerts
from mlgate.watch.alerts import Matter, News

VERB = "notify"
GROUP = "watch"


@dataclass(frozen=True)
class Asked:
    """The options of the verb."""

    sources: tuple[str, ...] = ()
    run_result: str = ""
    test: bool = False
    plan: bool = False


@dataclass
class Model:
    """One configuration, what it is told of, and what came of it."""

    config: Config
    matters: list[Matter] = field(default_factory=list)
    looked: list[Matter] = field(default_factory=list)  # one of each run of `monitor` that did look
    news: list[News] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)

    def plan(self, records: Sequence[Record], now: datetime) -> None:
        gone = [one for like in self.looked for one in alerts.forgotten(self.matters, records, like)]
        try:
            self.news = alerts.plan([*self.matters, *gone], records, self.config.notify, now)
        except MlgateError as error:
            line = self.config.line(error.key)
            raise MlgateError(error.message, file=self.config.file, line=line, key=error.key, fix=error.fix) from error


def every(run: Run, asked: Asked) -> int:
    """The exit code."""
    run.forget(VERB)
    outputs = {"told": "0", "channels": "", "failed": "", "issues": "", "alerts": "[]"}
    try:
        found, more = _all(run, asked)
        outputs |= more
    except MlgateError as error:
        found = [failed(VERB, file_name(run.patterns[0] if run.patterns else ""), error)]
    return run.finish(VERB, found, outputs)


def _all(run: Run, asked: Asked) -> tuple[list[Evidence], dict[str, str]]:
    files = run.config_files()
    if not files:
        raise run.no_config()
    loaded = [run.load(file) for file in files]
    unique([own.model for own in loaded])
    said = [unloadable(VERB, own) if isinstance(own, Unloadable) else off(VERB, own)
            for own in loaded if isinstance(own, Unloadable) or own.mode == "off"]  # fmt: skip
    models = [Model(own) for own in loaded if isinstance(own, Config) and own.mode != "off"]
    if not models:
        return said, {}
    now = datetime.now(UTC)
    channels = Channels(run.forge, os.environ, commit_url=run.forge.event.commit_url)
    if asked.test:
        return [*said, *(_tried(one, channels, run) for one in models)], {}
    _read(run, asked, models)
    _zones(models)
    memory = Memory(run, now=now)
    for group in memory.groups(models):
        memory.decide(group, write=not asked.plan)
    if asked.plan:
        _show(run, models, lambda news: list(news.channels))
        return [*said, *(_planned(one) for one in models)], _outputs(models, None)
    reached = channels.tell([(one.config, news) for one in models for news in one.news])
    _show(run, models, lambda news: reached.of(news)[0])
    for group in memory.groups(models):
        memory.remember(group, reached)
    return [*said, *(_told(one, reached) for one in models)], _outputs(models, reached)


def _zones(models: Iterable[Model]) -> None:
    """Time zones come with an extra, for machines that have none. Where it cannot be had, quiet hours say so."""
    if any(one.config.notify.quiet for one in models):
        with suppress(MlgateError):
            extras.use("notify")


# -- what is read ------------------------------------------------------------------------------------------------------


def _read(run: Run, asked: Asked, models: Sequence[Model]) -> None:
    """Give each model what is said of it. Raises MlgateError where there is nothing to read."""
    shown = Shown(run.forge.artifact_url(run.cwd / STATE / "report.html"), run.forge.event.run_url)
    evidences = _evidence(run, asked.sources)
    if not evidences and not asked.run_result:
        raise MlgateError(
            f"there is no evidence in {', '.join(asked.sources) or f'{STATE}/evidence'}, so nobody is told anything.",
            fix="Run `mlgate monitor` or another verb first, in the same working directory, or name it with --from.",
        )
    for evidence in evidences:
        own = _owner(evidence.model, models)
        if _notify_matters.of_request(evidence) and not asked.sources:
            own.not_run.append(f"{evidence.kind} is about a pull or merge request, which shows it itself.")
            continue
        own.matters += _notify_matters.of(evidence, shown)
        own.looked += _notify_matters.watched([evidence], shown)
    if asked.run_result and (asked.run_result == "success" or not _says_why(evidences)):
        own = _owner("", models)
        own.matters.append(_notify_matters.of_run(asked.run_result, own.config.model, shown))


def _evidence(run: Run, sources: Sequence[str]) -> list[Evidence]:
    if not sources:
        return _whole(collect(run.cwd / STATE / "evidence"))
    found: list[Evidence] = []
    for source in sources:
        path = run.cwd / source
        if path.is_dir():
            found += collect(path)
        elif path.is_file():
            # What lies beside it is not asked for; a file is read by the rules of its folder all the same.
            found += [
                one for one in collect(path.parent.parent) if (one.model, one.kind) == (path.parent.name, path.stem)
            ]
        else:
            raise MlgateError(f"--from names {source}, which is not there.", fix="Name a file or folder of evidence.")
    return _whole(found)


def _whole(found: Iterable[Evidence]) -> list[Evidence]:
    """Each once, without what this verb said itself."""
    return list({(one.model, one.kind): one for one in found if one.kind != VERB}.values())


def _says_why(evidences: Iterable[Evidence]) -> bool:
    return any(one.exit_code for one in evidences)


def _owner(model: str, models: Sequence[Model]) -> Model:
    """Whose people are told of it: what belongs to no configuration goes to the first that has any channels."""
    named = next((one for one in models if one.config.model == model), None)
    return named or next((one for one in models if one.config.notify.channels), models[0])


# -- what is said ------------------------------------------------------------------------------------------------------


def _show(run: Run, models: Iterable[Model], who: Callable[[News], list[str]]) -> None:
    """A line for each matter that there is something to say of."""
    for model in models:
        for news in model.news:
            if not news.remembered:
                continue
            matter = news.matter
            where = f" in {matter.environment}" if matter.environment else ""
            why = f" ({news.reason})" if news.reason else ""
            told = ", ".join(who(news)) or "nobody"
            line = f"{matter.model}{where}: {_title(news)} ({matter.severity}): {news.state}, to {told}{why}"
            say(run.forge, f"{escape.plain(line)}\n")


def _planned(model: Model) -> Evidence:
    for news in model.news:
        who = ", ".join(news.channels) or "nobody"
        reason = f"{news.state}: {who}{f' ({news.reason})' if news.reason else ''}"
        model.checks.append(_check(f"plan.{news.matter.key}", _title(news), Verdict.PASS, reason))
    said = f"{_count(len(model.news), 'alert')} would be told of." if model.news else "Nobody would have to be told."
    return _of(model, said)


def _tried(model: Model, channels: Channels, run: Run) -> Evidence:
    settings = model.config.notify
    for name, channel in settings.channels.items():
        if channel.issue and not channel.to:
            model.not_run.append(f"{name} is an issue of the forge; no issue is opened for a test.")
            continue
        sent = channels.send(model.config, name, _notify_letters.trial(name, run=run.forge.event.run_url))
        reason = f"A test message was sent to {name}." if sent.ok else f"{name} cannot be reached: {sent.said}."
        verdict = Verdict.PASS if sent.ok else Verdict.FAIL
        model.checks.append(_check(f"channel.{name}", name, verdict, reason))
    if not model.checks:
        reason = f"{model.config.file} has no channel that messages can be sent to."
        model.checks.append(_check("channels", "notify.channels", Verdict.WARN, reason))
    bad = [check for check in model.checks if check.verdict is not Verdict.PASS]
    return _of(model, bad[0].reason if bad else f"{_count(len(model.checks), 'channel')} can be reached.")


def _told(model: Model, reached: Reached) -> Evidence:
    sent: list[str] = []
    for news in model.news:
        ok, wrong = reached.of(news)
        sent += ok
        if news.state == "held":
            model.not_run.append(f"{_title(news)}: held back, {news.reason}.")
        for name in wrong:
            reason = f"{name} could not be told of {_title(news)}: {reached.why(news, name)}."
            model.checks.append(_check(f"channel.{name}.{news.matter.key}", name, Verdict.WARN, reason))
        model.not_run += reached.said(news)
        if not news.channels and not news.kept and news.state == "raised":
            reason = f"{_title(news)}: no channel is there for `{news.matter.severity}`, so nobody was told."
            model.checks.append(_check(f"told.{news.matter.key}", _title(news), Verdict.WARN, reason))
        elif ok:
            reason = f"{news.state}: {', '.join(ok)} was told." if len(ok) == 1 else f"{news.state}: {', '.join(ok)}."
            model.checks.append(_check(f"told.{news.matter.key}", _title(news), Verdict.PASS, reason))
    told = list(dict.fromkeys(sent))
    bad = [check.reason for check in model.checks if check.verdict is not Verdict.PASS]
    if bad:
        return _of(model, bad[0])
    if told:
        return _of(model, f"{_count(len([n for n in model.news if n.channels]), 'alert')}: {', '.join(told)} told.")
    return _of(model, "There is nothing new to tell.")


def _of(model: Model, title: str) -> Evidence:
    config = model.config
    checks = model.checks or [_check("told", "people", Verdict.PASS, title)]
    return Evidence(
        kind=VERB, model=config.model, title=title, verdict=worst(check.verdict for check in checks),
        mode=config.mode, fail_on=config.fail_on, checks=checks, not_run=list(dict.fromkeys(model.not_run)),
    )  # fmt: skip


def _check(what: str, title: str, verdict: Verdict, reason: str) -> Check:
    return Check(id=f"notify.{what}", group=GROUP, title=title, verdict=verdict, reason=reason)


def _title(news: News) -> str:
    return news.matter.key.removeprefix(alerts.STEP)


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def _outputs(models: Iterable[Model], reached: Reached | None) -> dict[str, str]:
    told: list[dict[str, object]] = []
    names: dict[str, None] = {}
    wrong: dict[str, None] = {}
    issues: dict[str, None] = {}
    for model in models:
        for news in model.news:
            if reached is not None:
                ok, bad = reached.of(news)
                names |= dict.fromkeys(ok)
                wrong |= dict.fromkeys(bad)
                issues |= dict.fromkeys([url] if (url := reached.url(news)) else [])
            else:
                ok = list(news.channels)
                names |= dict.fromkeys(ok)
            matter = news.matter
            told.append({
                "model": matter.model, "environment": matter.environment, "alert": matter.key,
                "severity": matter.severity, "state": news.state, "channels": list(ok), "retrain": matter.retrain,
            })  # fmt: skip
    return {
        "told": str(sum(bool(one["channels"]) for one in told)),
        "channels": ",".join(names),
        "failed": ",".join(wrong),
        "issues": "\n".join(issues),
        "alerts": json.dumps(told, sort_keys=True, separators=(",", ":")),
    }
