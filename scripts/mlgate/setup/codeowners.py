"""Who owns a path, as GitHub and GitLab read CODEOWNERS: the last matching line decides.

They differ in where the file may be, in sections and exclusions (GitLab), and in what a pattern without a leading slash
or a trailing one matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# Looked for in this order; the first one that exists is the one that counts.
PLACES = {
    "github": (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"),
    "gitlab": ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"),
}
_SECTION = re.compile(r"(?P<optional>\^)?\[(?P<name>[^\]]+)\](?:\[\d+\])?(?:\s+(?P<owners>.*))?")
_WORD = re.compile(r"(?:\\.|[^\s\\])+")
_OWNER = re.compile(r"@{0,2}[\w.+-]+(?:[/@][\w.+-]+)*")


@dataclass(frozen=True)
class Line:
    pattern: re.Pattern[str]
    owners: tuple[str, ...]
    exclusion: bool = False


@dataclass
class Section:
    """Lines that are matched together. An optional one asks for no approval."""

    owners: tuple[str, ...] = ()
    optional: bool = False
    lines: list[Line] = field(default_factory=list)


def place(forge: str, files: Iterable[str]) -> str | None:
    """The CODEOWNERS file that the forge reads, None when there is none."""
    present = set(files)
    return next((p for p in PLACES[forge] if p in present), None)


def parse(text: str, forge: str) -> list[Section]:
    """Every section of the file; GitHub has one."""
    sections = {"": Section()}
    current = sections[""]
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        heading = _SECTION.fullmatch(line) if forge == "gitlab" else None
        if heading:
            name = heading["name"].strip().lower()
            fresh = name not in sections
            current = sections.setdefault(name, Section())
            current.owners = _owners((heading["owners"] or "").split()) or current.owners
            # A section that is named twice is required when one of them is.
            current.optional = bool(heading["optional"]) and (fresh or current.optional)
            continue
        words = _WORD.findall(line)
        exclusion = forge == "gitlab" and words[0].startswith("!")
        pattern = words[0][1:] if exclusion else words[0]
        current.lines.append(Line(_regex(pattern, forge), _owners(words[1:]), exclusion))
    return list(sections.values())


def owners(sections: Iterable[Section], path: str) -> tuple[str, ...]:
    """Those whose approval a change of `path` needs; none when nobody owns it."""
    found: list[str] = []
    for section in sections:
        if not section.optional:
            found += [owner for owner in _in_section(section, path) if owner not in found]
    return tuple(found)


def _in_section(section: Section, path: str) -> tuple[str, ...]:
    decided: tuple[str, ...] = ()
    for line in section.lines:
        if line.pattern.fullmatch(path):
            if line.exclusion:
                return ()  # what is excluded cannot be included again
            decided = line.owners or section.owners
    return decided


def _owners(words: Iterable[str]) -> tuple[str, ...]:
    found = []
    for word in words:
        if word.startswith("#"):
            break
        if "@" in word and _OWNER.fullmatch(word):
            found.append(word)
    return tuple(found)


def _regex(pattern: str, forge: str) -> re.Pattern[str]:
    """gitignore's language without negation and ranges, which neither forge knows."""
    text = re.sub(r"\\(.)", r"\1", pattern)
    below = text.endswith("/")
    parts = text.strip("/").split("/")
    # GitHub anchors what has a slash inside, as gitignore does; GitLab anchors only what starts with one.
    anchored = text.startswith("/") or (forge == "github" and len(parts) > 1)
    regex = "" if anchored else "(?:.*/)?"
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        if part == "**":
            regex += ".*" if last else "(?:.*/)?"
        else:
            regex += re.sub(r"\\[*?]", lambda m: "[^/]" + "*" * (m[0] == r"\*"), re.escape(part)) + (
                "" if last else "/"
            )
    if below:
        regex += "/.*"
    elif forge == "github" and parts[-1] != "**" and not (len(parts) > 1 and parts[-1] == "*"):
        regex += "(?:/.*)?"  # a folder owns what is in it; `docs/*` owns only the files directly in docs
    return re.compile(regex, re.DOTALL)
