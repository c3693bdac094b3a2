"""Parts that all papers are written with: tables, people's words in paragraphs, digests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlgate.model import Verdict
from mlgate.render import escape

BULLET = re.compile(r"[-*\u2022] +")
_LONGEST = 8000


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are escaped already."""
    lines = [heads, [":--"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def prose(text: str) -> str:
    """What people wrote, in their own paragraphs and lists, without any markup of theirs."""
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines: list[str] = []
        for line in (line.strip() for line in block.splitlines() if line.strip()):
            bullet = BULLET.match(line)
            shown = escape.text(line[bullet.end() :] if bullet else line, limit=_LONGEST)
            if bullet:
                lines.append(f"- {shown}")
            elif lines and lines[-1].startswith("- "):
                lines[-1] += f" {shown}"
            else:
                lines.append(shown)
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def digest(digests: Mapping[str, str]) -> str:
    """Whole: a paper is there to be checked."""
    return ", ".join(f"{escape.text(kind)} {escape.code(value)}" for kind, value in sorted(digests.items()))


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything that is no mapping itself."""
    for key, value in values.items():
        name = f"{above}.{key}" if above else key
        if isinstance(value, dict) and value:
            yield from flat(value, name)
        else:
            yield name, value


def value(found: Any) -> str:
    """A parameter as people read it; not escaped."""
    if isinstance(found, list):
        return ", ".join(value(one) for one in found)
    return str(found).lower() if isinstance(found, bool) else str(found)


def verdict(word: str) -> Verdict:
    return Verdict(word)
