"""A YAML file as a tree whose every value knows its file, its line and the characters it was written with.

YAML is read as its current version (1.2) reads it, as editors do: `off` and `no` are words, not booleans, and `1e-3` is
a number. Read from parser events rather than composed objects, so that a file nested a million deep, or one that
expands a million times through aliases, is refused as soon as it shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

import yaml

from mlgate.errors import MlgateError

MAX_BYTES = 1_000_000
MAX_DEPTH = 24
MAX_NODES = 50_000  # after aliases are expanded
MAX_KEY = 200

# Characters that change what a person sees: control characters, line separators, those that reorder text or take no
# room (but not the joiners that scripts and emoji need). Spelled so that Python and ECMAScript read it alike.
UNSEEN_SET = r"\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
UNSEEN = re.compile(f"[{UNSEEN_SET}]")

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]{1,9})?\Z")
_NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_NULL = {"", "~", "null", "Null", "NULL"}
_TAB = ("a tab stands where YAML wants spaces", "Indent with spaces.")
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Advice:
    """What to do about a file that cannot be read: it depends on what the file is."""

    empty: str = "`mlgate init` writes one to start from."
    start: str = "The first lines are `schema: 1` and `model: <name>`."
    single: str = "One file describes one model: delete the `---`."
    deep: str = "No key of mlgate.yaml is that deep."
    merge: str = "Write the keys out, or share them with `extends:`."


_CONFIG = Advice()


class Bare(str):
    """Text without quotes: a bare `yes` is a boolean to some readers of YAML and text to others."""

    __slots__ = ()


class Written(Decimal):
    """A number with a point or an exponent, which remembers how it was written."""

    source: str

    def __str__(self) -> str:
        return self.source


@dataclass(slots=True)
class Node:
    """One value of the file. `line` is the line of its key, or its own in a list and at the root."""

    file: str
    line: int
    kind: Literal["mapping", "list", "scalar"]
    source: str = ""  # a scalar's characters, without quotes
    quoted: bool = False
    entries: dict[str, Node] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    size: int = 1

    def raw(self) -> Any:
        """As plain Python values. A number with a point has exactly the digits of the file."""
        if self.kind == "mapping":
            return {key: node.raw() for key, node in self.entries.items()}
        if self.kind == "list":
            return [node.raw() for node in self.items]
        return self.source if self.quoted else _plain(self.source)

    @property
    def empty(self) -> bool:
        """A key with nothing after it, or `null`."""
        return self.kind == "scalar" and not self.quoted and self.source in _NULL

    def at(self, path: tuple[str | int, ...]) -> Node | None:
        """The value at that path below this one."""
        node: Node | None = self
        for step in path:
            if node is None:
                return None
            if isinstance(step, int):
                node = node.items[step] if 0 <= step < len(node.items) else None
            else:
                node = node.entries.get(step)
        return node

    def walk(self, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Node]]:
        """Every value below this one with its path, parents first."""
        yield path, self
        for key, node in self.entries.items():
            yield from node.walk((*path, key))
        for index, node in enumerate(self.items):
            yield from node.walk((*path, index))


def dotted(path: tuple[str | int, ...]) -> str:
    """`compare.rules.auc`, `data[0].path`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def visible(text: str, limit: int = 60) -> str:
    """The text cut to `limit`, with everything unseen spelled out, so that it can stand in a message."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    spelled = (c if c.isprintable() else f"\\x{ord(c):02x}" for c in cut)
    return "".join(spelled).replace("`", "'")


def parse(text: str | bytes, *, file: str, advice: Advice = _CONFIG) -> tuple[Node, list[MlgateError]]:
    """The file's tree, and the keys that were given twice. Raises MlgateError when there is no tree to give."""
    decoded = decode(text, file)
    reader = _Reader(file, advice)
    loader = None
    try:
        loader = _Loader(decoded)  # reads its first characters here
        while loader.check_event():
            reader.take(loader.get_event())
    except yaml.YAMLError as error:
        raise _unparsable(error, decoded, file) from None
    finally:
        if loader is not None:
            loader.dispose()
    if reader.root is None or reader.root.empty:
        raise MlgateError("is empty.", file=file, fix=advice.empty)
    if reader.root.kind != "mapping":
        found = "a list" if reader.root.kind == "list" else f"the text `{visible(reader.root.source)}`"
        raise MlgateError(
            f"holds {found}, where keys and values are expected.",
            file=file,
            line=reader.root.line,
            fix=advice.start,
        )
    return reader.root, reader.problems


def decode(text: str | bytes, file: str) -> str:
    """The file's text. Raises MlgateError for what is too long, or not UTF-8 text."""
    if len(text) > MAX_BYTES:
        raise MlgateError(f"is {len(text):,} bytes; at most {MAX_BYTES:,} are read.", file=file)
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise MlgateError(
                f"is not text: byte 0x{text[error.start]:02x} at offset {error.start} is not UTF-8.",
                file=file,
                fix="Is it the right file? If it is, save it as UTF-8.",
            ) from None
    text = text.removeprefix("\ufeff")
    for number, line in enumerate(text.split("\n"), 1):
        if found := re.search(
            "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]", line.removesuffix("\r")
        ):
            raise MlgateError(
                f"is not text: the character U+{ord(found[0]):04X} does not belong in YAML.",
                file=file,
                line=number,
                fix="Delete it, or save the file as UTF-8 text.",
            )
    return text


def _plain(source: str) -> Any:
    if source in _NULL:
        return None
    if source in _BOOLEAN:
        return _BOOLEAN[source]
    if _NOT_FINITE.match(source):
        return float(source.replace(".", "").lower())
    if len(source) <= 64:  # a longer one is no number that anyone wrote by hand, and costs time to read as one
        if _INTEGER.match(source):
            return int(source)
        if _FLOAT.match(source):
            number = Written(source)
            number.source = source
            return number
    return Bare(source)


def _unparsable(error: yaml.YAMLError, text: str, file: str) -> MlgateError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read")
    fix = "Look at the indentation and the quotes on this line and the one before it."
    if "cannot start any token" in problem and mark:
        lines = text.splitlines()
        character = lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
        problem = f"the character `{visible(character)}` cannot start a value"
        fix = f"Put quotes around a text that starts with `{visible(character)}`."
        if character == "\t":
            problem, fix = _TAB
    elif "a tab character" in problem:
        problem, fix = _TAB
    elif "mapping values are not allowed" in problem:
        problem = "a second `:` on one line"
        fix = "Put quotes around a text that holds `: `; otherwise look at the indentation."
    return MlgateError(f"is not YAML: {problem[:120]}.", file=file, line=mark.line + 1 if mark else None, fix=fix)


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not been read."""

    node: Node
    anchor: str | None
    key: tuple[str, int] | None = None  # the key that waits for its value, and its line


class _Reader:
    """Builds the tree from parser events."""

    def __init__(self, file: str, advice: Advice) -> None:
        self.file = file
        self.advice = advice
        self.root: Node | None = None
        self.problems: list[MlgateError] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.ScalarEvent):
            quoted = not event.implicit[0]
            self._no_tag(event, line, f"{visible(event.value)}")
            node = Node(self.file, line, "scalar", source=event.value, quoted=quoted)
            self._add(node, line, event.anchor)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self._stack.pop()
            if closed.anchor:
                self._anchors[closed.anchor] = closed.node
            self._add(closed.node, closed.node.line, None)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor or "", line)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._error(line, "a second document starts here.", self.advice.single)

    def _start(self, event: yaml.CollectionStartEvent, line: int) -> None:
        kind: Literal["mapping", "list"] = "mapping" if isinstance(event, yaml.MappingStartEvent) else "list"
        self._no_tag(event, line, f"a {kind}")
        parent = self._stack[-1] if self._stack else None
        if parent and parent.node.kind == "mapping" and parent.key is None:
            raise self._error(
                line, f"a {kind} stands where a key is expected.", "Keys are text. Look for a missing quote."
            )
        if len(self._stack) >= MAX_DEPTH:
            raise self._error(line, f"is nested more than {MAX_DEPTH} levels deep.", self.advice.deep)
        self._stack.append(_Open(Node(self.file, line, kind), event.anchor))

    def _add(self, node: Node, line: int, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        if parent.node.kind == "list":
            parent.node.items.append(node)
        elif parent.key is None:
            parent.key = (self._key(node, line), line)
            return
        else:
            key, key_line = parent.key
            parent.key = None
            node.line = key_line
            self._enter(parent.node, key, node)
        parent.node.size += node.size
        if parent.node.size > MAX_NODES:
            raise self._error(line, f"holds more than {MAX_NODES:,} values, counting aliases each time.", "")

    def _enter(self, parent: Node, key: str, node: Node) -> None:
        first = parent.entries.get(key)
        if first is None:
            parent.entries[key] = node
            return
        places = (o.key[0] if o.key else len(o.node.items) for o in self._stack if o.key or o.node.kind == "list")
        path = dotted((*places, key))
        message = f"{visible(path, 200)} is given twice; the first is on line {first.line}."
        fix = "Keep one: readers of YAML differ in which of them they obey."
        self.problems.append(MlgateError(message, file=self.file, line=node.line, key=path, fix=fix))

    def _key(self, node: Node, line: int) -> str:
        key = node.source
        if node.kind != "scalar" or node.empty:
            raise self._error(line, "a key is missing before the colon.", "Keys are text. Look for a missing quote.")
        if key == "<<" and not node.quoted:
            raise self._error(line, "`<<` is not read.", self.advice.merge)
        if len(key) > MAX_KEY:
            raise self._error(line, f"the key `{visible(key)}` is longer than {MAX_KEY} characters.", "Shorten it.")
        if found := UNSEEN.search(key):
            name = f"U+{ord(found[0]):04X}"
            raise self._error(line, f"the key `{visible(key)}` holds the unseen character {name}.", "Delete it.")
        return key

    def _alias(self, anchor: str, line: int) -> None:
        if anchor in self._anchors:
            self._add(replace(self._anchors[anchor], line=line), line, None)
            return
        inside = any(opened.anchor == anchor for opened in self._stack)
        said = "stands inside what it refers to" if inside else "refers to no `&" + visible(anchor) + "` above it"
        raise self._error(line, f"`*{visible(anchor)}` {said}.", "A text that starts with `*` needs quotes.")

    def _no_tag(self, event: yaml.NodeEvent, line: int, what: str) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            name = visible(str(tag).replace("tag:yaml.org,2002:", "!!"))
            raise self._error(
                line, f"the tag `{name}` before {what} is not read.", "A text that starts with `!` needs quotes."
            )

    def _error(self, line: int, message: str, fix: str) -> MlgateError:
        return MlgateError(message, file=self.file, line=line, fix=fix)
