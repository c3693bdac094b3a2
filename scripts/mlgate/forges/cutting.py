"""Markdown cut to a forge's limit, at a line's end, with everything that was open closed again."""

from __future__ import annotations

import re
from collections.abc import Callable

from mlgate.forges.sticky import VOLATILE

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_DETAILS = re.compile(r"<(/?)details\b[^>]*>", re.IGNORECASE)
_DELIMITER = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")


def characters(text: str) -> int:
    """As forges count: UTF-16 units, so that no count of theirs is larger."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def octets(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def cut(body: str, limit: int, *, full: str = "", size: Callable[[str], int] = characters) -> str:
    """The body, or as many of its first lines as fit with a last line that says how many are left out.

    Tables lose rows, never their head; open `<details>` and code fences are closed. `full` is the address of the whole
    report. The result is never longer than `limit`, unless the limit is shorter than that last line.
    """
    if size(body) <= limit:
        return body
    lines = body.split("\n")
    where = f"[The whole report]({full})" if full else "The whole report is among the artifacts of this run"
    # The count of lines is at most this wide, and so is what closes the rest.
    room = limit - size(_last(len(lines), where))
    kept = 0
    open_: list[str] = []
    for line in lines:
        after = _after(line, open_)
        room -= size(line) + 1
        if room - sum(size(end) + 1 for end in after) < 0:
            break
        kept, open_ = kept + 1, after
    kept = _without_loose_end(lines, kept)
    open_ = []
    for line in lines[:kept]:
        open_ = _after(line, open_)
    return "\n".join([*lines[:kept], *reversed(open_)]) + _last(len(lines) - kept, where)


def _last(left_out: int, where: str) -> str:
    return f"\n\n{left_out:,} more lines do not fit here. {where}. {VOLATILE}\n"


def _after(line: str, open_: list[str]) -> list[str]:
    """What has to be closed after this line, outermost first: closing lines."""
    inside = open_[-1] if open_ and open_[-1][0] in "`~" else ""
    if fence := _FENCE.match(line):
        mark = fence[1]
        if not inside:
            return [*open_, mark]
        closes = mark[0] == inside[0] and len(mark) >= len(inside) and not line.strip().strip(mark[0])
        return open_[:-1] if closes else open_
    if inside:
        return open_
    stack = list(open_)
    for tag in _DETAILS.finditer(line):
        if not tag[1]:
            stack.append("</details>")
        elif stack:
            stack.pop()
    return stack


def _without_loose_end(lines: list[str], kept: int) -> int:
    """Goes back over lines that mean nothing without what followed: blank, a heading, a table's head, a summary."""
    while kept > 1:
        last, following = lines[kept - 1].strip(), lines[kept].strip() if kept < len(lines) else ""
        head = "|" in last and "-" in following and bool(_DELIMITER.fullmatch(following))
        rule = "-" in last and "|" in last and bool(_DELIMITER.fullmatch(last))
        fold = last.startswith("<summary") or (last.startswith("<details") and "</details>" not in last)
        if last and not (head or rule or fold or last.startswith("#")):
            break
        kept -= 1
    return kept
