"""What must hold of the columns of one file, and of several that are to be one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlgate.errors import MlgateError

RESERVED = ("mlgate_file", "mlgate_row")


def check(names: Sequence[str], file: str) -> None:
    """Raises MlgateError for names that no table can have."""
    seen: dict[str, tuple[int, str]] = {}
    for place, name in enumerate(names, 1):
        if not name:
            raise MlgateError(f"has no name for column {place}.", file=file, fix="Give every column a name.")
        if "\0" in name:
            raise MlgateError(f"has a NUL byte in the name of column {place}.", file=file, fix="Write the file anew.")
        if name.lower() in RESERVED:
            raise MlgateError(f"has a column {name!r}, a name that is taken.", file=file, key=name, fix="Rename it.")
        first, spelled = seen.setdefault(name.lower(), (place, name))
        if first == place:
            continue
        spellings = f"s {spelled!r} and {name!r}, equal but for upper and lower case"
        same = f" {name!r} twice" if spelled == name else spellings
        raise MlgateError(
            f"has the column{same} (columns {first} and {place}).",
            file=file,
            key=name,
            fix="Rename one of them.",
        )


def same(first: str, columns: Mapping[str, str], other: str, others: Mapping[str, str]) -> None:
    """Raises MlgateError when two files cannot be one table. Both: name -> type, or an empty text for types not known.

    A different order is no difference.
    """
    differences = [f"no column {name!r}" for name in columns if name not in others]
    differences += [f"a column {name!r} more" for name in others if name not in columns]
    differences += [
        f"{others[name]} in column {name!r}, which is {type_} there"
        for name, type_ in columns.items()
        if name in others and others[name] != type_
    ]
    if not differences:
        return
    more = f", and {len(differences) - 5} more differences" if len(differences) > 5 else ""
    raise MlgateError(
        f"has {'; '.join(differences[:5])}{more}, compared with {first}.",
        file=other,
        fix="Files that are read as one table need the same columns of the same types: mend one, or list them apart.",
    )
