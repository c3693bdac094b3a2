"""The keys of a file format, and what was probably meant by words that are none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

Path = tuple[str | int, ...]
Where = tuple[str, ...]  # a path with the user's own names, and places in lists, as `*`
Finding = tuple[Path, str, str]  # where, what is wrong, how to mend it
Advise = Callable[[Path, Where], str]


def _no_advice(path: Path, where: Where) -> str:
    return ""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What the messages about one file format are made from."""

    root: type[BaseModel]
    sections: Mapping[Where, type[BaseModel]]  # where each stands
    names: frozenset[Where]  # below these, keys are the user's own names or places in a list
    meant_keys: Mapping[type[BaseModel], Mapping[str, str]] = field(default_factory=dict)
    meant_values: Mapping[Where, Mapping[str, str]] = field(default_factory=dict)
    missing: Mapping[Where, str] = field(default_factory=dict)  # how to mend a key that is not there, or empty
    mapping: Advise = _no_advice  # how to mend what should be a mapping
    key: Advise = _no_advice  # how to mend a key that does not exist, before anything is guessed

    def pattern(self, path: Path) -> Where:
        """The path with the user's own names as `*`."""
        where: Where = ()
        for step in path:
            where = (*where, "*" if where in self.names else str(step))
        return where

    def meant(self, path: Path) -> str:
        """The key of the same section that was probably meant, or nothing."""
        section = self.sections.get(self.pattern(path[:-1]))
        if section is None:
            return ""
        word = _plain(path[-1])
        return self.meant_keys.get(section, {}).get(word) or closest(word, keys(section))

    def suggestion(self, path: Path) -> str:
        """How to mend a key that does not exist."""
        section = self.sections.get(self.pattern(path[:-1]))
        if section is None:
            return ""
        if advice := self.key(path, self.pattern(path)):
            return advice
        if here := self.meant(path):
            return f"Did you mean `{here}`?"
        plain = _plain(path[-1])
        for where, other in self.sections.items():
            if plain in keys(other) and other is not section and other is not self.root:
                return f"`{plain}` belongs in `{'.'.join(where).replace('*', '<name>')}`."
        if plain in keys(self.root):
            return f"`{plain}` belongs at the top level: look at the indentation."
        return f"The keys here are {', '.join(f'`{key}`' for key in keys(section))}."


def keys(section: type[BaseModel]) -> list[str]:
    """A section's keys as the file spells them."""
    return [field.alias or name for name, field in section.model_fields.items()]


def closest(word: str, words: list[str]) -> str:
    """The word that was most likely misspelt, or nothing."""
    import difflib  # noqa: PLC0415 -- only on a mistake

    found = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return found[0] if found else ""


def _plain(word: str | int) -> str:
    return str(word).lower().strip().replace("-", "_").replace(" ", "_")
