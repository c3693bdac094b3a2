"""The kinds of value mlgate.yaml holds: text, names, paths, git references, exact numbers and shares.

Each validator says what is wrong and how to write it instead. They take what the file's reader gives (`Bare` text,
`int`, `Decimal`) and plain Python values alike.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from mlgate import __version__
from mlgate.config.yamlfile import UNSEEN, UNSEEN_SET, Bare, visible

MAX_TEXT = 1000
NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SET_NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"

_OTHER_BOOLEANS = {"yes", "no", "on", "off"}
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%\Z")
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?\Z")
_DIGITS = 25  # more than a double carries; more would not survive exact arithmetic
_LARGEST = 30  # powers of ten


def problem(message: str, fix: str = "") -> PydanticCustomError:
    """An error in our words: `message` continues the key ("`mode` " + "must be ..."); `fix` says how to mend it."""
    return PydanticCustomError("mlgate", "{message}", {"message": message, "fix": fix})


def shown(value: Any) -> str:
    """A value as a message names it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Bare):
        return f"`{visible(value)}`"
    if isinstance(value, str):
        return f'the text `"{visible(value)}"`'
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return f"the number `{visible(str(value))}`"


# --- text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        quotes = isinstance(value, bool | int | float | Decimal)
        written = visible(str(value).lower() if isinstance(value, bool) else str(value))
        raise problem(f"must be text, but is {shown(value)}.", f'Put it in quotes: `"{written}"`.' if quotes else "")
    if isinstance(value, Bare) and value.lower() in _OTHER_BOOLEANS:
        raise problem(
            f"is `{value}`, which some readers of YAML take for a boolean.", f'Put it in quotes: `"{value}"`.'
        )
    if not value.strip():
        raise problem("must not be empty.", "Remove the key, or give it a value.")
    if len(value) > MAX_TEXT:
        raise problem(f"is longer than {MAX_TEXT} characters.")
    if found := UNSEEN.search(value):
        raise problem(f"holds the unseen character U+{ord(found[0]):04X}.", "Delete it.")
    return str(value)


def _model_name(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(NAME_PATTERN[1:-1], text):
        raise problem(
            f"is `{visible(text)}`, which cannot name a model.",
            "Use letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 100 characters.",
        )
    return text


def check_path(value: Any) -> str:
    path = _text(value)
    if "://" in path:
        raise problem(
            f"is the address `{visible(path)}`; only files of this repository are read.",
            "Give the path of the file, or of what its DVC pointer tracks.",
        )
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path):
        raise problem(f"is `{visible(path)}`, outside the repository.", "Give a path relative to this file's folder.")
    if "\\" in path:
        raise problem(f"is `{visible(path)}`.", f"Separate folders with `/`: `{visible(path).replace(chr(92), '/')}`.")
    if ".git" in path.lower().split("/"):
        raise problem(f"is `{visible(path)}`, inside git's own folder.", "Give the path of a file that git tracks.")
    return path


_ELSEWHERE = {
    "ledger:": (r"ledger:[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "ledger:production"),
    "models:": (r"models:/[^\s@/]+(@[A-Za-z0-9_.-]+|/[1-9][0-9]*)", "models:/visits@champion"),
}


def _champion(value: Any) -> str:
    """A git ref, or where else a champion is named."""
    ref = _text(value)
    if ref.startswith("path:"):
        return f"path:{check_path(ref.removeprefix('path:'))}"
    for scheme, (pattern, example) in _ELSEWHERE.items():
        if ref.startswith(scheme):
            if not re.fullmatch(pattern, ref):
                raise problem(f"is `{visible(ref)}`, which names no champion.", f"Write it like `{example}`.")
            return ref
    return _git_ref(ref)


def _git_ref(value: Any) -> str:
    ref = _text(value)
    bad = ref.startswith(("-", "/", "./", "../")) or ref.endswith(("/", ".", ".lock"))
    if bad or re.search(r"[\s:?*\[\\]|\.\.|@\{|//", ref):
        raise problem(
            f"is `{visible(ref)}`, which cannot be a git branch, tag or commit.", "Write it as `git log` would take it."
        )
    return ref


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    meant = ""
    if isinstance(value, str) and value.lower() in {"yes", "on", "y", "true"}:
        meant = "Write `true`, without quotes."
    elif isinstance(value, str) and value.lower() in {"no", "off", "n", "false"}:
        meant = "Write `false`, without quotes."
    raise problem(f"must be `true` or `false`, but is {shown(value)}.", meant)


def _version(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        if value == 1:
            return 1
        if value > 1:
            raise problem(f"is {value}, which mlgate {__version__} does not know.", "Use a newer mlgate.")
    raise problem(f"must be the number 1, but is {shown(value)}.", "Write `schema: 1`.")


# --- numbers

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(seconds?|minutes?|hours?|days?|weeks?|[smhdw])\Z", re.ASCII)
_SPAN = re.compile(
    r"([0-9]+(?:\.[0-9]+)?) ?(ms|milliseconds?|seconds?|minutes?|hours?|days?|weeks?|[smhdw])\Z", re.ASCII
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(value: Any) -> Decimal:
    """A length of time in seconds, written like `2 days`."""
    written = _DURATION.match(value.strip().lower()) if isinstance(value, str) else None
    if written is None:
        raise problem(f"must be a length of time, but is {shown(value)}.", "Write it like `2 days` or `12 hours`.")
    found = finite(Decimal(written[1])) * _SECONDS[written[2][0]]
    if found <= 0:
        raise problem(f"is {shown(value)}: nothing is that new.", "Write it like `2 days` or `12 hours`.")
    return found


def span(value: Any) -> Decimal:
    """A short length of time in seconds, written like `20 ms` or `2 s`; 0 is one."""
    if value == 0 and not isinstance(value, bool):
        return Decimal(0)
    written = _SPAN.match(value.strip().lower()) if isinstance(value, str) else None
    if written is None:
        raise problem(
            f"must be a length of time, but is {shown(value)}.", "Write it like `20 ms`, `2 s` or `5 minutes`."
        )
    return finite(Decimal(written[1])) * (
        Decimal("0.001") if written[2] == "ms" or written[2].startswith("milli") else _SECONDS[written[2][0]]
    )


def percent(value: Any) -> Decimal:
    """A share of the traffic in percent: 5, or `5%`."""
    written = _PERCENT.match(value.strip()) if isinstance(value, str) else None
    number = finite(Decimal(written[1]) if written else value)
    if not 0 < number <= 100:
        raise problem(f"is {shown(value)}, which is no share of the traffic.", "Write a percentage above 0, up to 100.")
    return number


def _count(value: Any) -> int:
    number = finite(value)
    if number != number.to_integral_value() or not 1 <= number <= 10**12:
        raise problem(f"must be a whole number of 1 or more, but is {shown(value)}.")
    return int(number)


def _confidence(value: Any) -> Decimal:
    number = finite(value)
    if not Decimal("0.5") < number < 1:
        raise problem(
            f"must be above 0.5 and below 1, but is {shown(value)}.", "0.95 means: wrong at most 5 times in 100."
        )
    return number


def finite(value: Any) -> Decimal:
    """The exact number, of a size that arithmetic and messages can carry."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise problem(f"must be a number, but is {shown(value)}.", _number_fix(value))
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        raise problem(
            f"must be a finite number, but is {'NaN' if number.is_nan() else 'infinite'}.", "A gate needs a limit."
        )
    digits = number.as_tuple().digits
    significant = "".join(map(str, digits)).strip("0")
    if len(significant) > _DIGITS or (significant and abs(number.adjusted()) > _LARGEST):
        raise problem(f"is `{visible(str(value))}`, which has more digits than mlgate calculates with.", "Round it.")
    return number


def _number_fix(value: Any) -> str:
    if not isinstance(value, str):
        return "Write a single number." if isinstance(value, list | dict) else ""
    if not isinstance(value, Bare) and _NUMBER.match(value.strip()):
        return f"Remove the quotes: `{value.strip()}`."
    if re.match(r"[-+]?[0-9]+,[0-9]+\Z", value):
        return f"Write the decimals after a point: `{value.replace(',', '.')}`."
    if re.match(r"[-+]?[0-9][0-9_]*(\.[0-9_]+)?\Z", value) and "_" in value:
        return f"Write it without `_`: `{value.replace('_', '')}`."
    if re.match(r"[-+]?0[0-9]+", value):
        return "Write it without the leading zero: some readers of YAML take it for an octal number."
    return ""


def _number(value: Any) -> Decimal:
    if isinstance(value, str) and "%" in value:
        raise problem(
            f"is {shown(value)}, but it is in the metric's own units.",
            "Write it as the metrics file does, for example `0.7`.",
        )
    return finite(value)


def _amount(value: Any) -> Decimal:
    """In the metric's own units, not negative."""
    if isinstance(value, str) and "%" in value:
        raise problem(
            f"is {shown(value)}, but an absolute change is in the metric's own units.",
            "Write the difference itself, for example `0.01`, or use the rule's `relative` word for a percentage.",
        )
    return _not_negative(finite(value))


def _share(value: Any) -> Decimal:
    """Of the champion's value: `2%` or `0.02`."""
    if isinstance(value, str) and (percent := _PERCENT.match(value.strip())):
        sign, digits, exponent = finite(Decimal(percent[1])).as_tuple()
        return Decimal((sign, digits, int(exponent) - 2))
    if isinstance(value, str) and "%" in value:
        raise problem(f"must be a percentage, but is {shown(value)}.", "Write it like `2%` or `0.5%`.")
    number = _not_negative(finite(value))
    if number >= 1:
        raise problem(
            f"is `{visible(str(value))}`, which is {number * 100:,f} %.",
            f"Write the percentage, `{visible(str(value))}%`, or the share, for example `0.02` for 2 %.",
        )
    return number


def _not_negative(number: Decimal) -> Decimal:
    if number < 0:
        raise problem(
            f"is `{visible(str(number))}`, but must not be negative.",
            "Write the size of the change; the word says its direction.",
        )
    return abs(number)


VISIBLE_PATTERN = rf"^[^{UNSEEN_SET}]*\S[^{UNSEEN_SET}]*$"
_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_PATH_PATTERN = r"^(?![/~]|[A-Za-z]:|.*://|(.*/)?\.[gG][iI][tT](/|$))[^\\\u0000-\u001f]*$"
_REF_PATTERN = r"^(?![-/]|\.\.?/|.*(\.\.|@\{|//))[^\s:?*\[\\]*[^\s:?*\[\\/.]$"

SchemaVersion = Annotated[Literal[1], BeforeValidator(_version), WithJsonSchema({"type": "integer", "const": 1})]

Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({**_TEXT, "pattern": VISIBLE_PATTERN})]
ModelName = Annotated[
    str,
    BeforeValidator(_model_name),
    WithJsonSchema({"type": "string", "pattern": NAME_PATTERN}),
]
RepoPath = Annotated[
    str,
    BeforeValidator(check_path),
    WithJsonSchema({**_TEXT, "pattern": _PATH_PATTERN}),
]
GitRef = Annotated[
    str,
    BeforeValidator(_git_ref),
    WithJsonSchema({**_TEXT, "pattern": _REF_PATTERN}),
]


def _names(value: Any) -> list[str]:
    """One name, or a list of them."""
    if isinstance(value, list):
        if not value:
            raise problem("must not be empty.", "Remove the key, or name a column.")
        if len(set(map(str, value))) != len(value):
            raise problem("names a column twice.", "Name each once.")
        return [_text(one) for one in value]
    return [_text(value)]


def _label(value: Any) -> str | int | float | bool:
    """One value of the label's column, of the type it was written in."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal):
        number = finite(value)
        return int(number) if number == number.to_integral_value() else float(number)
    return _text(value)


def _score(value: Any) -> str | dict[str, str]:
    """One column, or the column of each class."""
    if not isinstance(value, dict):
        return _text(value)
    columns = {}
    for name, column in value.items():
        if not isinstance(column, str):
            raise problem(
                f"must name the column of each class, but for `{visible(str(name))}` it is {shown(column)}.",
                "Write it like `{cat: p_cat, dog: p_dog}`.",
            )
        columns[str(name)] = _text(column)
    if len(columns) < 2:
        raise problem(
            f"names {len(columns)} class{'' if len(columns) == 1 else 'es'}, where two or more are needed.",
            "Write `score: <column>` for the probability of the positive class, or `{cat: p_cat, dog: p_dog}`.",
        )
    if len(set(columns.values())) != len(columns):
        raise problem("names a column twice.", "Name the column of each class.")
    return columns


def _groupings(value: Any) -> list[str | list[str]]:
    """Columns, and lists of columns for their combinations."""
    written = [value] if isinstance(value, str) else value
    if not isinstance(written, list):
        raise problem(f"must be a list of columns, but is {shown(value)}.", "Write it like `[sex, age]`.")
    found: list[str | list[str]] = []
    for entry in written:
        several = isinstance(entry, list)
        names = [_text(one) for one in entry] if several else [_text(entry)]
        if len(set(names)) != len(names):
            raise problem(f"combines `{visible(names[0])}` with itself.", "Name each column of a combination once.")
        if not names:
            raise problem("holds an empty combination.", "Name its columns, or remove it.")
        found.append(names if len(names) > 1 else names[0])
    if not found:
        raise problem("is empty; at least one is needed.", "Name a column, or remove the section.")
    if len({json.dumps(sorted([one] if isinstance(one, str) else one)) for one in found}) != len(found):
        raise problem("names the same groups twice.", "Name each once.")
    return found


_ENTRY_POINT = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*"


def _entry_point(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(_ENTRY_POINT, text):
        raise problem(
            f"is `{visible(text)}`, which names no Python function.", "Write it like `package.module:function`."
        )
    return text


def _character(value: Any) -> str:
    text = "\t" if value in ("\t", "\\t", "tab") else value
    if not isinstance(text, str) or len(text) != 1 or (text != "\t" and UNSEEN.search(text)):
        raise problem(
            f"must be one character, but is {shown(value)}.", 'Write it in quotes: `";"`, or `"\\t"` for a tab.'
        )
    return text


def _null_word(value: Any) -> str:
    """What stands for a missing value in a CSV file: any text, also none."""
    if isinstance(value, str) and not (isinstance(value, Bare) and value.lower() in _OTHER_BOOLEANS):
        return str(value)
    written = "" if value is None else visible(str(value).lower() if isinstance(value, bool) else str(value))
    raise problem(f"must be text, but is {shown(value)}.", f'Put it in quotes: `"{written}"`.')


def _env_name(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise problem(f"is `{visible(text)}`, which cannot name an environment variable.")
    return text


_COLUMN = {**_TEXT, "pattern": VISIBLE_PATTERN}
Label = Annotated[
    str | int | float | bool,
    BeforeValidator(_label),
    WithJsonSchema({"anyOf": [_COLUMN, {"type": "number"}, {"type": "boolean"}]}),
]
ScoreColumns = Annotated[
    str | dict[str, str],
    BeforeValidator(_score),
    WithJsonSchema({"anyOf": [_COLUMN, {"type": "object", "minProperties": 2, "additionalProperties": _COLUMN}]}),
]
Groupings = Annotated[
    list[str | list[str]],
    BeforeValidator(_groupings),
    WithJsonSchema(
        {
            "anyOf": [
                _COLUMN,
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {"anyOf": [_COLUMN, {"type": "array", "minItems": 1, "items": _COLUMN}]},
                },
            ]
        }
    ),
]
EntryPoint = Annotated[
    str, BeforeValidator(_entry_point), WithJsonSchema({"type": "string", "pattern": f"^{_ENTRY_POINT}$"})
]
Names = Annotated[
    list[str],
    BeforeValidator(_names),
    WithJsonSchema(
        {
            "anyOf": [
                {**_TEXT, "pattern": VISIBLE_PATTERN},
                {"type": "array", "minItems": 1, "uniqueItems": True, "items": {**_TEXT, "pattern": VISIBLE_PATTERN}},
            ]
        }
    ),
]
Character = Annotated[
    str, BeforeValidator(_character), WithJsonSchema({"type": "string", "pattern": r"^(.|\t|tab|\\t)$"})
]
NullWord = Annotated[str, BeforeValidator(_null_word), WithJsonSchema({"type": "string"})]
EnvName = Annotated[
    str, BeforeValidator(_env_name), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})
]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Number = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Amount = Annotated[Decimal, BeforeValidator(_amount), WithJsonSchema({"type": "number", "minimum": 0})]
Share = Annotated[
    Decimal,
    BeforeValidator(_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
                {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?%$"},
            ]
        }
    ),
]
Count = Annotated[int, BeforeValidator(_count), WithJsonSchema({"type": "integer", "minimum": 1})]
Confidence = Annotated[
    Decimal,
    BeforeValidator(_confidence),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 1}),
]
ChampionRef = Annotated[
    str,
    BeforeValidator(_champion),
    WithJsonSchema(
        {
            "anyOf": [
                {**_TEXT, "pattern": _REF_PATTERN},
                *({"type": "string", "pattern": f"^{pattern}$"} for pattern, _ in _ELSEWHERE.values()),
                {"type": "string", "pattern": _PATH_PATTERN.replace("^", "^path:", 1)},
            ]
        }
    ),
]
Duration = Annotated[  # seconds
    Decimal,
    BeforeValidator(seconds),
    WithJsonSchema(
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?(seconds?|minutes?|hours?|days?|weeks?|[smhdw])$"}
    ),
]
Span = Annotated[  # seconds
    Decimal,
    BeforeValidator(span),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": 0},
                {
                    "type": "string",
                    "pattern": r"^[0-9]+(\.[0-9]+)? ?(ms|milliseconds?|seconds?|minutes?|hours?|days?|weeks?|[smhdw])$",
                },
            ]
        }
    ),
]
Percent = Annotated[
    Decimal,
    BeforeValidator(percent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
                {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?%$"},
            ]
        }
    ),
]
