"""Python's regular expressions in DuckDB's dialect (RE2), where both mean the same.

Great Expectations searches (`column.astype(str).str.contains(pattern)`), which is Python's `re.search`: unicode
classes, and `$` also before a final newline. RE2 knows ASCII classes, a strict `$`, and neither lookaround nor
backreferences. So the pattern is read by Python's own parser and written anew from what it understood, for the
constructs that both have.
Where the meaning is the same only for ASCII (`\\d`, `\\w`, `\\s`, `\\b`, ignored case) or only without newlines (`$`),
the scan counts the values that are other, and leaves the check to Great Expectations if there are any. Most such
patterns find less in RE2 than in Python, never more: then only the values they do not find are counted.
"""

from __future__ import annotations

import importlib
import re
import warnings
from dataclasses import dataclass
from typing import Any

_parser: Any = importlib.import_module("re._parser")  # sre_parse, whose old name warns
_MOST_REPEATS = 1000  # RE2 refuses more, also of nested counts multiplied
_CATEGORIES = {
    "CATEGORY_DIGIT": "0-9",
    "CATEGORY_WORD": "0-9A-Za-z_",
    "CATEGORY_SPACE": r"\t\n\x0b\x0c\r\x1c-\x1f ",
}
_NEGATED = {
    "CATEGORY_NOT_DIGIT": "CATEGORY_DIGIT",
    "CATEGORY_NOT_WORD": "CATEGORY_WORD",
    "CATEGORY_NOT_SPACE": "CATEGORY_SPACE",
}


@dataclass(frozen=True)
class Translated:
    pattern: str
    ascii: bool = False  # it means the same only for values without other characters
    one_line: bool = False  # it means the same only for values without a newline
    narrower: bool = True  # whatever it finds, Python finds as well

    def strange(self, sql: str) -> str:
        """SQL that is true for a value for which the dialects may differ; empty when there is none."""
        parts = [f"strlen({sql}) <> length({sql})"] if self.ascii else []
        return " OR ".join([*parts, f"contains({sql}, chr(10))"] if self.one_line else parts)


class _No(Exception):  # noqa: N818
    """No construct that both dialects share."""


def translate(pattern: str) -> Translated | None:
    """The pattern for RE2; None where only Python can answer. Raises re.error for what is no pattern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of sets within sets, which are only proposed
        parsed = _parser.parse(pattern)
    flags = parsed.state.flags
    if flags & (re.ASCII | re.LOCALE | re.MULTILINE | re.DOTALL | re.VERBOSE):
        return None
    writer = _Writer()
    writer.ascii = bool(flags & re.IGNORECASE)
    try:
        written = writer.sequence(parsed)
    except (_No, RecursionError):
        return None
    if writer.ascii and not pattern.isascii():
        return None
    folded = bool(flags & re.IGNORECASE)
    narrower = writer.narrower and not folded
    return Translated(f"(?i){written}" if folded else written, writer.ascii, writer.one_line, narrower)


class _Writer:
    ascii = False
    one_line = False
    narrower = True
    times = 1  # how often what is being written may be repeated, all loops around it counted

    def sequence(self, parts: Any) -> str:
        return "".join(self.part(str(op), value) for op, value in parts)

    def part(self, op: str, value: Any) -> str:
        if op == "LITERAL":
            return _character(value)
        if op == "NOT_LITERAL":
            return f"[^{_character(value)}]"
        if op == "ANY":
            return r"[^\n]"
        if op == "IN":
            return self.characters(value)
        if op == "BRANCH":
            return f"(?:{'|'.join(self.sequence(branch) for branch in value[1])})"
        if op == "SUBPATTERN":
            _, added, removed, inner = value
            if added or removed:
                raise _No
            return f"(?:{self.sequence(inner)})"
        if op in {"MAX_REPEAT", "MIN_REPEAT"}:  # lazy or not: whether it is found at all is the same
            return self.repeated(*value)
        if op == "AT":
            return self.place(str(value))
        raise _No

    def repeated(self, least: int, most: Any, inner: Any) -> str:
        endless = most == _parser.MAXREPEAT
        times = max(1, least, 0 if endless else most)
        self.times *= times
        if self.times > _MOST_REPEATS:
            raise _No
        written = f"(?:{self.sequence(inner)}){{{least},{'' if endless else most}}}"
        self.times //= times
        return written

    def place(self, where: str) -> str:
        if where in {"AT_BEGINNING", "AT_BEGINNING_STRING"}:
            return r"\A"
        if where == "AT_END_STRING":
            return r"\z"
        if where == "AT_END":
            self.one_line = True
            return r"\z"
        if where == "AT_BOUNDARY":
            self.ascii, self.narrower = True, False
            return r"\b"
        raise _No

    def characters(self, items: Any) -> str:
        negated, written = "", []
        for op, value in items:
            kind = str(op)
            if kind == "NEGATE":
                negated = "^"
            elif kind == "LITERAL":
                written.append(_character(value))
            elif kind == "RANGE":
                written.append(f"{_character(value[0])}-{_character(value[1])}")
            elif kind == "CATEGORY":
                self.ascii = True
                self.narrower &= not negated and str(value) in _CATEGORIES
                written.append(self.category(str(value)))
            else:
                raise _No
        return f"[{negated}{''.join(written)}]"

    def category(self, name: str) -> str:
        if name in _CATEGORIES:
            return _CATEGORIES[name]
        if name not in _NEGATED:
            raise _No
        # Written out, for use inside another class: everything else there is.
        return {
            "CATEGORY_DIGIT": r"\x00-/:-\x{10FFFF}",
            "CATEGORY_WORD": r"\x00-/:-@\[-\^`{-\x{10FFFF}",
            "CATEGORY_SPACE": r"\x00-\x08\x0e-\x1b!-\x{10FFFF}",
        }[_NEGATED[name]]


def _character(code: int) -> str:
    if 0xD800 <= code <= 0xDFFF:
        raise _No
    plain = chr(code)
    return plain if plain.isascii() and plain.isalnum() else rf"\x{{{code:X}}}"
