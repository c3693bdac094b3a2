"""Text that others wrote (metric, file and branch names, reasons) made safe for the place where it is shown.

All of it is hostile: a metric may be called `a|b`, a branch `](x)`, a file `<!-- mlgate -->`. Each function turns any
string into one that cannot leave its place: a table cell stays a cell, a code span a span, a line a line. Markdown is
escaped with character references, never with backslashes: references are text in every context (table cells, raw HTML
blocks such as `<summary>`, list items) and every parser agrees about them.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

ZERO_WIDTH_SPACE = "\u200b"

_JOINERS = "\u200c\u200d"  # shape emoji and some scripts; they move nothing
_BREAKS = "\t\n\v\f\r\x85\u2028\u2029"  # what some program or other takes for the end of a line
_ANSI = re.compile(
    "\x1b\\][^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # operating system commands: titles, links
    "|[\x1b\x9b]\\[?[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor
    "|\x1b[PX^_].*?(?:\x1b\\\\|$)",  # device control and other strings
    re.DOTALL,
)
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&$\"]|(?<![^\W_])_|_(?![^\W_])")  # snake_case is no emphasis
_PUNCTUATION = re.compile(r"[!-,.:-@\[-`{-~]")
# What a forge turns into a link, a notification or a cross-reference: addresses, @user, #1, !1, $1, ~label, %milestone,
# &epic, [issue:1], GH-1.
_REFERENCE = re.compile(r"[@#!$%&~^\[](?=[\w\"'])|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)", re.IGNORECASE)
_LEADING = re.compile(r"^(?:[-+=>#*~/]|\d{1,9}[.)](?=\s|$))")
_PLAIN_CODE = re.compile(r"[^`|\\<>]+")
_SPAN = re.compile(r"`([^`]+)`|((?:https?|ftp)://[^\s`<>|]+|\bwww\.[^\s`<>|]+)", re.IGNORECASE)
_URL_SAFE = "-._~:/?#@!$&*+,;=%"


def visible(text: str, *, newline: str = " ") -> str:
    """One line in which every invisible character shows by name: ␛ for an escape, ⟨U+202E⟩ for a text direction."""
    if text.isprintable():
        return text
    return "".join(_name(char, newline) for char in text.replace("\r\n", "\n"))


def plain(text: str) -> str:
    """One line for a terminal: escape sequences, control and direction characters are gone; line ends are spaces."""
    if text.isprintable():
        return text
    kept = (" " if c in _BREAKS else c for c in _ANSI.sub("", text))
    return "".join(c for c in kept if c in _JOINERS or unicodedata.category(c)[0] != "C")


def plain_lines(text: str) -> list[str]:
    """The lines of a text for a terminal, each of them `plain`."""
    return [plain(line) for line in _ANSI.sub("", text).splitlines()]


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, an ellipsis in the middle: names often differ at their ends."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def text(value: str, *, limit: int = 600) -> str:
    """Words inside a Markdown line or table cell: no markup, no HTML, no link, and nobody is notified."""
    line = clip(visible(value), limit).strip()
    line = _REFERENCE.sub(lambda m: m[0] + ZERO_WIDTH_SPACE, line)
    leading = _LEADING.match(line)
    escaped = _MARKDOWN.sub(_reference, line)
    if leading and escaped.startswith(leading[0]):
        escaped = leading[0][:-1] + _entity(leading[0][-1]) + escaped[len(leading[0]) :]
    return escaped


def code(value: str, *, limit: int = 160, html: bool = False) -> str:
    """A name or value as code, in Markdown or, with `html`, in a raw HTML block such as `<summary>`."""
    line = clip(visible(value, newline="␊"), limit)
    if not html and _PLAIN_CODE.fullmatch(line) and line.strip() == line:
        return f"`{line}`"
    return f"<code>{_PUNCTUATION.sub(_reference, line)}</code>" if line else ""


def prose(value: str, *, limit: int = 600, html: bool = False) -> str:
    """A sentence of ours with values of others in it: `names` and addresses become code, the rest is text."""
    return "".join(
        code(piece, limit=limit, html=html) if is_code else _keep_spaces(piece, limit)
        for is_code, piece in spans(clip(visible(value), limit))
    ).strip()


def spans(value: str) -> list[tuple[bool, str]]:
    """The pieces of a sentence: (is it code, its text)."""
    pieces: list[tuple[bool, str]] = []
    end = 0
    for match in _SPAN.finditer(value):
        if match.start() > end:
            pieces.append((False, value[end : match.start()]))
        pieces.append((True, match[1] or match[2]))
        end = match.end()
    if end < len(value):
        pieces.append((False, value[end:]))
    return pieces


def fence(value: str) -> str:
    """Lines to copy, as a fenced block. Three backticks: GitLab finds quick actions in any other fence."""
    lines = [visible(line, newline="").rstrip() for line in value.strip("\n").splitlines()]
    body = "\n".join(lines).replace("```", f"`{ZERO_WIDTH_SPACE}``").replace("<!--", f"<{ZERO_WIDTH_SPACE}!--")
    return f"```text\n{body}\n```"


def url(value: str) -> str:
    """An http(s) address that is safe inside `](...)` and `href`; "" for anything else."""
    if not re.match(r"https?://[^/\s]", value) or not value.isprintable():
        return ""
    return quote(value, safe=_URL_SAFE)


def link(label: str, target: str) -> str:
    """A Markdown link with a label that is already escaped; the bare label when the address is not a web address."""
    safe = url(target)
    return f"[{label}]({safe})" if safe else label


def xml(value: str) -> str:
    """Only characters that XML 1.0 allows; the others show by name. Not escaped: the XML writer does that."""
    shown = "\n".join(visible(line) for line in value.replace("\r\n", "\n").split("\n"))
    return "".join(c if ord(c) & 0xFFFF < 0xFFFE else "\ufffd" for c in shown)


def _name(char: str, newline: str) -> str:
    if char == "\n":
        return newline
    point = ord(char)
    if point < 0x20:
        return chr(0x2400 + point)
    if point == 0x7F:
        return "␡"
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    if char in _JOINERS or category[0] not in "CZ" or category in ("Zs", "Co"):
        return char
    return f"⟨U+{point:04X}⟩"


def _entity(char: str) -> str:
    return {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(char) or f"&#{ord(char)};"


def _reference(match: re.Match[str]) -> str:
    return _entity(match[0])


def _keep_spaces(piece: str, limit: int) -> str:
    before = " " if piece[:1] == " " else ""
    after = " " if piece[-1:] == " " and piece.strip() else ""
    return before + text(piece, limit=limit) + after
