"""News to channels: one message each, however many models have something to say, and an issue for each matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mlgate import extras
from mlgate.commands import _notify_letters
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.forges import Forge
from mlgate.forges.issues import Filed, Issue
from mlgate.watch import sending
from mlgate.watch.alerts import Key, News
from mlgate.watch.sending import Letter, Sent


@dataclass
class Reached:
    """Who was told what: for each matter the channels that took it, and why others did not."""

    took: dict[Key, list[str]] = field(default_factory=dict)
    refused: dict[Key, dict[str, str]] = field(default_factory=dict)
    filed: dict[Key, Filed] = field(default_factory=dict)

    def add(self, news: News, channel: str, *, ok: bool, said: str = "") -> None:
        if ok:
            self.took.setdefault(news.matter.identity, []).append(channel)
        else:
            self.refused.setdefault(news.matter.identity, {})[channel] = said

    def of(self, news: News) -> tuple[list[str], list[str]]:
        """The channels that took it, and those that did not, as far as they were to be told."""
        key = news.matter.identity
        return list(self.took.get(key, ())), list(self.refused.get(key, ()))

    def why(self, news: News, channel: str) -> str:
        return self.refused[news.matter.identity][channel].rstrip(".")

    def said(self, news: News) -> tuple[str, ...]:
        """What people should know of its issue."""
        filed = self.filed.get(news.matter.identity)
        return filed.said if filed is not None and filed.ok else ()

    def number(self, news: News) -> str:
        filed = self.filed.get(news.matter.identity)
        return filed.number if filed is not None else ""

    def url(self, news: News) -> str:
        filed = self.filed.get(news.matter.identity)
        return filed.url if filed is not None else ""


class Channels:
    """The ways out of this run. Addresses come from `environ`, and go nowhere but to the service."""

    def __init__(self, forge: Forge, environ: Mapping[str, str], *, commit_url: str = "") -> None:
        self._forge = forge
        self._environ = environ
        self._commit_url = commit_url

    def tell(self, news: Iterable[tuple[Config, News]]) -> Reached:
        """Everything to everybody it is for. Raises nothing for a channel that does not take it."""
        reached = Reached()
        bound: dict[tuple[str, str], list[tuple[Config, News]]] = {}
        for config, one in news:
            for name in one.channels:
                channel = config.notify.channels.get(name)
                if channel is None:
                    reached.add(one, name, ok=False, said="no such channel is under notify.channels")
                    continue
                if channel.to:
                    # Models that share an address share the message.
                    bound.setdefault((name, channel.to), []).append((config, one))
                if channel.issue:
                    self._file(config, one, name, reached, with_message=bool(channel.to))
                if not channel.to and not channel.issue:
                    reached.add(one, name, ok=False, said="it has neither `to` nor `issue`")
            for name in one.kept:
                self._file(config, one, name, reached, kept=True)
        for (name, _), those in bound.items():
            sent = self.send(
                those[0][0], name, _notify_letters.letter([one for _, one in those], commit_url=self._commit_url)
            )
            for _, one in those:
                reached.add(one, name, ok=sent.ok, said=sent.said)
        return reached

    def send(self, config: Config, name: str, letter: Letter) -> Sent:
        """One letter to the address of a channel."""
        variable = config.notify.channels[name].to or ""
        address = self._environ.get(variable, "").strip()
        if not address:
            return Sent(ok=False, said=f"the variable {variable} is empty, or was not passed on to this step")
        try:
            extras.use("notify")
        except MlgateError as error:
            return Sent(ok=False, said=error.message)
        return sending.send(address, letter)

    def _file(
        self, config: Config, news: News, name: str, reached: Reached, *, kept: bool = False, with_message: bool = False
    ) -> None:
        channel, matter = config.notify.channels[name], news.matter
        title, body, comment = _notify_letters.issue(news, commit_url=self._commit_url)
        wanted = Issue(
            key="/".join(matter.identity),
            title=title,
            body=body,
            state="closed" if matter.state == "over" else "kept" if kept else "open",
            comment=comment,
            labels=tuple(channel.labels),
            assignees=tuple(channel.assignees),
            number=news.issue,
        )
        filed = self._forge.issue(wanted)
        if filed.ok or matter.identity not in reached.filed:
            reached.filed[matter.identity] = filed
        if filed.ok and (kept or with_message):
            return
        reached.add(news, name, ok=filed.ok, said=" ".join(filed.said))
