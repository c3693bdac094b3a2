"""What people read: one message of all that is new for a channel, and the text of an issue.

Everything that others wrote stands in code or is made harmless: in chats no name rings a bell for everybody, in a
forge's Markdown nothing leaves its place, and plain text is plain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mlgate.config.watching import SEVERITIES
from mlgate.forges.words import on_one_line, web_address
from mlgate.render import escape
from mlgate.watch.alerts import STEP, Matter, News
from mlgate.watch.sending import Incident, Letter, Mood

_LIMIT = 400  # characters of one value
_LOUD = re.compile(r"[@#](?=\w)")
_CHAT = str.maketrans({"`": "'", "<": "‹", ">": "›", "[": "(", "]": ")", "*": "∗", "|": "/", "~": "-", "\\": "/"})
_UNDERLINE = re.compile(r"(?<!\w)_|_(?!\w)")


@dataclass(frozen=True)
class _Dialect:
    """How values of others and addresses are written."""

    code: Callable[[str], str]
    prose: Callable[[str], str]
    link: Callable[[str, str], str]
    strong: Callable[[str], str]
    bullet: str


def _chat_code(value: str) -> str:
    shown = on_one_line(value, _LIMIT).replace("`", "'")
    return f"`{shown}`" if shown else ""


def _chat_prose(value: str) -> str:
    shown = _LOUD.sub(lambda m: m[0] + escape.ZERO_WIDTH_SPACE, on_one_line(value, _LIMIT).translate(_CHAT))
    return _UNDERLINE.sub("-", shown)


def _link(name: str, url: str) -> str:
    return f"[{name}]({url.replace('(', '%28').replace(')', '%29')})"


_CHATS = _Dialect(_chat_code, _chat_prose, _link, lambda text: f"**{text}**", "- ")
_PLAIN = _Dialect(
    lambda value: on_one_line(value, _LIMIT),
    lambda value: on_one_line(value, _LIMIT),
    lambda name, url: f"{name}: {url}",
    lambda text: text,
    "  ",
)
_FORGE = _Dialect(
    lambda value: escape.code(value, limit=_LIMIT),
    lambda value: escape.prose(value, limit=_LIMIT),
    _link,
    lambda text: f"**{text}**",
    "- ",
)


def letter(news: Sequence[News], *, commit_url: str = "") -> Letter:
    """One message of all of it, the worst first."""
    ordered = sorted(news, key=lambda one: (one.state == "recovered", -SEVERITIES.index(one.matter.severity)))
    link = next((one.matter.report or one.matter.run for one in ordered if one.matter.report or one.matter.run), "")
    mood = _mood(ordered[0])
    return Letter(
        title=_title(ordered),
        text="\n\n".join("\n".join(_item(one, _PLAIN, commit_url)) for one in ordered),
        markdown="\n\n".join("\n".join(_item(one, _CHATS, commit_url)) for one in ordered),
        mood=mood,
        link=web_address(link),
        incidents=tuple(
            Incident(
                key=_identity(one.matter),
                mood=_mood(one),
                text=_line(one),
                link=web_address(one.matter.report or one.matter.run),
                source="/".join(part for part in (one.matter.model, one.matter.environment) if part),
            )
            for one in ordered
        ),
    )


def trial(channel: str, *, run: str = "") -> Letter:
    """The message of --test."""
    said = f"mlgate can reach the channel {channel}. Nothing is wrong: this is a test."
    more = [f"Run: {run}"] if web_address(run) else []
    text = "\n".join([said, *more])
    key = f"mlgate/test/{channel}"
    ended = (Incident(key, "info", said), Incident(key, "recovered", said))  # an incident of a test does not stay open
    return Letter("mlgate: a test", text, text, "info", web_address(run), ended)


def issue(news: News, *, commit_url: str = "") -> tuple[str, str, str]:
    """Title and text of the issue of a matter, and what is said when it is closed or opened again."""
    matter = news.matter
    title = on_one_line(f"{_where(matter)}: {_name(matter)}", 200)
    if matter.state == "over":
        return title, f"This is over: {_FORGE.prose(matter.said or 'what it asks for is so no more')}.", _over(news)
    head, *rest = _item(news, _FORGE, commit_url, volatile=True)
    again = f"It is back: {_FORGE.code(matter.said)}." if matter.said else "It is back."
    return title, "\n".join([head, "", *rest]), again


def _over(news: News) -> str:
    run = web_address(news.matter.run)
    more = f" {_link('The run', run)}." if run else ""
    return f"It is over: {_FORGE.prose(news.matter.said or 'what it asks for is so no more')}.{more}"


# -- one matter --------------------------------------------------------------------------------------------------------


def _item(news: News, to: _Dialect, commit_url: str, *, volatile: bool = False) -> Iterator[str]:
    matter = news.matter
    where = f"{to.code(matter.model)}{f' in {to.code(matter.environment)}' if matter.environment else ''}"
    yield f"{to.strong(_word(news))} {where}: {to.code(_name(matter))}{_again(news)}"
    if matter.said:
        held = f" ({to.prose(matter.held)})" if matter.held else ""
        yield f"{to.bullet}{to.code(matter.said) if not _is_step(matter) else to.prose(matter.said)}{held}"
    if matter.since and matter.state == "on":
        yield f"{to.bullet}since {to.prose(matter.since)}"
    if matter.advice and matter.state == "on":
        yield f"{to.bullet}to do: {to.prose(matter.advice)}"
    if matter.retrain and matter.state == "on":
        yield f"{to.bullet}a successor is to be proposed"
    made = [f"version {to.code(matter.version)}" if matter.version else "", _commit(matter, to, commit_url)]
    if any(made):
        yield f"{to.bullet}{', '.join(part for part in made if part)}"
    report, run = web_address(matter.report), web_address(matter.run)
    places = {"Report": report, "Run": run if run != report else ""}
    if links := [to.link(name, url) for name, url in places.items() if url]:
        # Of an issue this line alone differs in each run.
        yield f"{to.bullet}{', '.join(links)}{' <!-- mlgate:volatile -->' if volatile else ''}"


def _commit(matter: Matter, to: _Dialect, commit_url: str) -> str:
    if not matter.commit:
        return ""
    short = matter.commit[:7]
    url = web_address(f"{commit_url}{matter.commit}") if commit_url else ""
    return f"commit {to.link(short, url)}" if url and to is not _PLAIN else f"commit {short}"


def _word(news: News) -> str:
    return "over" if news.matter.state == "over" else news.matter.severity


def _again(news: News) -> str:
    return " (still)" if news.state == "repeated" else ""


def _mood(news: News) -> Mood:
    mood: Literal["info", "warn", "critical"] = news.matter.severity
    return "recovered" if news.matter.state == "over" else mood


def _is_step(matter: Matter) -> bool:
    return matter.key.startswith(STEP)


def _name(matter: Matter) -> str:
    return matter.key.removeprefix(STEP)


def _where(matter: Matter) -> str:
    return f"{matter.model} in {matter.environment}" if matter.environment else matter.model


def _identity(matter: Matter) -> str:
    return f"mlgate/{matter.model}/{matter.environment}/{matter.key}"


def _line(news: News) -> str:
    """One matter in one line, for what has no more room."""
    matter = news.matter
    parts = [f"{_where(matter)}: {_name(matter)}", matter.said, matter.held and f"({matter.held})"]
    since = f"since {matter.since}" if matter.since else ""
    advice = f"To do: {matter.advice}" if matter.advice else ""
    return on_one_line(" ".join(part for part in (*parts, since, advice) if part), 1_000)


def _title(ordered: Sequence[News]) -> str:
    first = ordered[0]
    word = _word(first)
    if len(ordered) == 1:
        return on_one_line(f"[{word}] {_where(first.matter)}: {_name(first.matter)}{_again(first)}", 200)
    begun = sum(one.matter.state == "on" for one in ordered)
    ended = len(ordered) - begun
    counts = [f"{begun} {'alert' if begun == 1 else 'alerts'}" if begun else "", f"{ended} over" if ended else ""]
    models = list(dict.fromkeys(one.matter.model for one in ordered))
    named = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
    return on_one_line(f"[{word}] {named}: {', '.join(count for count in counts if count)}", 200)
