"""What people write: the words of the model card and the data sheet. Two closed YAML files.

No number of the model belongs in them: those come from evidence. Values that say nothing (placeholders, template text)
are found by `problems`, not here, so that all of them can be listed at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from mlgate.config import messages, yamlfile
from mlgate.config.base import Closed, one_or_more
from mlgate.config.values import Boolean, SchemaVersion, problem, shown
from mlgate.config.vocabulary import Vocabulary
from mlgate.config.yamlfile import UNSEEN, Advice
from mlgate.governance import placeholders

_LONGEST = 8000  # characters of one section
_T = TypeVar("_T", "CardWords", "SheetWords")


def _prose(value: Any) -> str:
    """Text of several lines, or a list of such; whether it says anything is asked later."""
    if isinstance(value, list):
        return "\n".join(f"- {_prose(one)}" for one in value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise problem(f"must be text, but is {shown(value)}.", f'Put it in quotes: `"{value}"`.')
    text = value.strip()
    if len(text) > _LONGEST:
        raise problem(f"is longer than {_LONGEST:,} characters.", "Put the rest into a document, and name it here.")
    if found := UNSEEN.search(text.replace("\n", " ").replace("\t", " ")):
        raise problem(f"holds the unseen character U+{ord(found[0]):04X}.", "Delete it.")
    return text


Prose = Annotated[str, BeforeValidator(_prose)]


class CardWords(Closed):
    """The words of a model card (docs/governance.md says what belongs where)."""

    schema_version: SchemaVersion = Field(alias="schema", description="The version of this file's format.")
    title: Prose = Field(default="", description="What people call the model. Without it: its name.")
    summary: Prose = Field(default="", description="What it does, in one or two sentences.")
    intended_use: Prose = Field(description="What it is made for, and for whom.")
    out_of_scope: Prose = Field(default="", description="What it must not be used for.")
    training_data: Prose = Field(description="What it learned from, and how those data came about.")
    evaluation_data: Prose = Field(default="", description="What it is judged on, and why that is like its use.")
    limitations: Prose = Field(description="Where it is known to be wrong, and for whom.")
    ethical_considerations: Prose = Field(description="Who may be harmed by its answers, and what is done about it.")
    human_oversight: Prose = Field(default="", description="Who looks at its answers before they count.")
    maintenance: Prose = Field(default="", description="How it is watched and when it is trained again.")
    licence: Prose = Field(default="", description="Under which licence the model may be used.")
    contact: Prose = Field(default="", description="Where questions and complaints go.")
    references: Prose = Field(default="", description="Papers, tickets and pages that say more.")
    more: dict[str, Prose] = Field(default_factory=dict, description="Sections of your own: title -> text.")


class Deidentified(Closed):
    """Whether persons can be told from the data."""

    state: Literal["yes", "no", "not needed"] = Field(
        description="`yes`: names and the like were taken out; `no`: they are there; `not needed`: no persons."
    )
    how: Prose = Field(description="How it was done, or why it was not.")


class SheetWords(Closed):
    """The data sheet: what is known about the data, and what may be done with them."""

    schema_version: SchemaVersion = Field(alias="schema", description="The version of this file's format.")
    title: Prose = Field(default="", description="What people call the data.")
    origin: Prose = Field(description="Who collected the data, when, where and what for.")
    composition: Prose = Field(default="", description="What one row is, and what its columns say.")
    collection: Prose = Field(default="", description="How they were collected, and who was left out.")
    preprocessing: Prose = Field(default="", description="What was done to them before the first stage.")
    use_rights: Prose = Field(description="What gives you the right to use them for this model.")
    licence: Prose = Field(description="Their licence, or the contract they came under.")
    personal_data: Boolean = Field(description="Whether the data are about persons.")
    sensitive: Annotated[list[Prose], BeforeValidator(one_or_more)] = Field(
        default_factory=list, description="What in them needs special care: health, income, origin."
    )
    deidentified: Deidentified = Field(description="Whether persons can be told from the data.")
    retention: Prose = Field(default="", description="How long they are kept, and who deletes them.")
    restrictions: Prose = Field(default="", description="What must not be done with them.")
    contact: Prose = Field(default="", description="Who answers for the data.")
    more: dict[str, Prose] = Field(default_factory=dict, description="Sections of your own: title -> text.")


_ADVICE = Advice(
    empty="docs/governance.md has one to start from.", start="The first line is `schema: 1`.",
    single="One file holds one document: delete the `---`.", deep="No key of this file is that deep.",
    merge="Write the keys out.",
)  # fmt: skip
_CARD = Vocabulary(
    root=CardWords,
    sections={(): CardWords},
    names=frozenset({("more",)}),
    meant_keys={
        CardWords: {
            "known_limitations": "limitations", "training_data_description": "training_data", "use": "intended_use",
            "license": "licence", "ethics": "ethical_considerations", "risks": "ethical_considerations",
            "not_intended": "out_of_scope", "out_of_scope_use": "out_of_scope", "name": "title",
        }
    },
)  # fmt: skip
_SHEET = Vocabulary(
    root=SheetWords,
    sections={(): SheetWords, ("deidentified",): Deidentified},
    names=frozenset({("more",)}),
    meant_keys={
        SheetWords: {
            "license": "licence", "rights": "use_rights", "source": "origin", "provenance": "origin",
            "de_identified": "deidentified", "deidentification": "deidentified", "pii": "personal_data",
            "pii_processed": "personal_data", "name": "title",
        },
        Deidentified: {"done": "state", "value": "state", "why": "how"},
    },
)  # fmt: skip


def card(text: bytes, file: str) -> CardWords:
    """Raises MlgateError with file, line, key and fix; several problems are one error."""
    return _read(text, file, CardWords, _CARD)


def sheet(text: bytes, file: str) -> SheetWords:
    """As `card`."""
    return _read(text, file, SheetWords, _SHEET)


def _read(text: bytes, file: str, what: type[_T], words: Vocabulary) -> _T:
    root, found = yamlfile.parse(text, file=file, advice=_ADVICE)
    try:
        read = what.model_validate(root.raw(), by_alias=True, by_name=False)
    except ValidationError as error:
        raise messages.join(found + messages.translate(error, root, words)) from None
    if found:
        raise messages.join(found)
    return read


# -- whether they say anything ---------------------------------------------------------------------------------------

_SHORT = {"title", "licence", "contact", "references", "maintenance"}  # may be a word or two


def problems(words: CardWords | SheetWords) -> Iterator[tuple[str, str]]:
    """Key and why its text says nothing, for every key that is needed or that was begun."""
    for name, field in type(words).model_fields.items():
        value = getattr(words, name)
        if isinstance(value, Deidentified):
            if said := placeholders.problem(value.how):
                yield f"{name}.how", said
        elif isinstance(value, dict):
            for title, text in value.items():
                if said := placeholders.problem(text) or placeholders.problem(title, prose=False):
                    yield f"{name}.{title}", said
        elif isinstance(value, list):
            for number, text in enumerate(value):
                if said := placeholders.problem(text, prose=False):
                    yield f"{name}[{number}]", said
        elif isinstance(value, str):
            begun = name in words.model_fields_set
            if (field.is_required() or begun) and (said := placeholders.problem(value, prose=name not in _SHORT)):
                yield name, said


def texts(words: CardWords | SheetWords) -> Iterator[tuple[str, str]]:
    """Every text with its key."""
    for name in type(words).model_fields:
        value = getattr(words, name)
        if isinstance(value, Deidentified):
            yield f"{name}.how", value.how
        elif isinstance(value, dict):
            yield from ((f"{name}.{title}", text) for title, text in value.items())
        elif isinstance(value, list):
            yield from ((f"{name}[{number}]", text) for number, text in enumerate(value))
        elif isinstance(value, str):
            yield name, value
