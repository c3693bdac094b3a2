"""Text that only holds a place: what a template left, or what somebody meant to write later."""

from __future__ import annotations

import re

_MARKS = re.compile(
    r"(?<![\w-])(?:TODO|TBD|TBC|TBA|FIXME|XXX+|WIP)(?![\w-])|\?\?\?+|(?<!\w)to[ -]be[ -](?:written|done|defined|"
    r"decided|determined|confirmed|added|announced|completed|filled(?: in)?)(?!\w)|(?<!\w)coming soon(?!\w)"
    r"|lorem ipsum|(?<!\w)(?:placeholder|fill (?:me|this|it) in|fill in (?:here|the|this|your))(?!\w)"
    r"|(?<!\w)(?:your|more) (?:text|words|description|information) (?:goes )?(?:here|needed)(?!\w)"
    r"|\[(?:more information needed|insert [^\]]*|add [^\]]*|your [^\]]*|[^\]]* here)\]",
    re.IGNORECASE,
)
# `<what it is for>` of a template, but no address and no comparison: "<https://...>", "age < 5 and income > 0".
_ANGLE = re.compile(r"<(?![/\s=])(?!https?:)(?![^<>\s]*@)[^<>\n]{2,80}(?<![\s=])>")
_BRACES = re.compile(r"\{\{[^{}]*\}\}|\$\{[^{}]*\}|%[A-Z_]{3,}%")
_ORDER = re.compile(
    r"(?:please |here |briefly )*(?:(?:describe|explain|specify|summari[sz]e|insert|enter)\b(?! (?:is|are|was|were)\b)"
    r"|(?:list|state|document|write|provide|add|replace) (?:a|an|all|any|here|the|this|what|whether|which|who|your)\b)",
    re.IGNORECASE,
)
# What is said by a whole text that says nothing.
_NOTHING = re.compile(
    r"(?:n\s*/?\s*a|none|nothing|unknown|not (?:applicable|available|known|yet)|no|nil|null|-+|\.+|…|\?+|x+|later|"
    r"pending|(?:foo|bar|baz|test|text|example|string|sample)[ .]*)[.!]?",
    re.IGNORECASE,
)


def mark(text: str) -> str:
    """Whether a text holds a mark of a template, as `problem` says it.

    Of values such as `1` or `no` nothing more can be asked.
    """
    found = _MARKS.search(text) or _ANGLE.search(text) or _BRACES.search(text)
    return f"still holds the placeholder `{found[0][:60]}`" if found else ""


def problem(text: str, *, prose: bool = True) -> str:
    """Why a text says nothing; empty where it says something. With `prose`, one word is not enough."""
    said = " ".join(text.split())
    if not said:
        return "is empty"
    if why := mark(said):
        return why
    if _NOTHING.fullmatch(said):
        return f"says only `{said[:40]}`"
    if not re.search(r"[^\W\d_]{2}", said):
        return f"holds no words (`{said[:40]}`)"
    if prose:
        if _ORDER.match(said) and len(said) < 200 and not re.search(r"[.!] \S", said):
            return f"is still the instruction of a template (`{said[:60]}`)"
        # Scripts without spaces between words say much in few characters.
        if len(said.split()) < 4 and len(said) < 20 and said.isascii():
            return f"is too short to say anything (`{said}`)"
    return ""
