"""The Python packages inside an image against the versions that the model was trained with. Pure."""

from __future__ import annotations

import email.parser
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlgate import extras
from mlgate.image.layers import Entry
from mlgate.model import Check, Verdict

_METADATA = re.compile(r"(?P<site>.*(?:site|dist)-packages|opt/mlgate/site)/[^/]+\.dist-info/METADATA")
_EGG = re.compile(r"(?P<site>.*(?:site|dist)-packages)/[^/]+\.egg-info(?:/PKG-INFO)?")
_PYTHON = re.compile(r"(?:^|/)lib/python(\d+\.\d+)/")
SERVER = "opt/mlgate/site"  # the server's own packages, behind the model's on sys.path
_SHOWN = 5


@dataclass(frozen=True)
class Package:
    name: str  # normalised: scikit-learn
    version: str
    site: str  # the folder that it is in


@dataclass(frozen=True)
class Locked:
    """One line of a lock that names one version. `marker` says on which Pythons and systems."""

    name: str
    version: str
    marker: str = ""


def metadata(path: str) -> bool:
    """Whether a file says which package is installed beside it."""
    return bool(_METADATA.fullmatch(path) or _EGG.fullmatch(path))


def packages(files: Mapping[str, Entry]) -> list[Package]:
    """All that are installed, in any folder. `files` has the content of what `metadata` accepts."""
    found = []
    for path, entry in files.items():
        match = _METADATA.fullmatch(path) or _EGG.fullmatch(path)
        if not match or not entry.content:
            continue
        head = email.parser.HeaderParser().parsestr(entry.content.decode(errors="replace"))
        if head["Name"] and head["Version"]:
            found.append(Package(normal(head["Name"]), head["Version"].strip(), match["site"]))
    return sorted(found, key=lambda one: (one.name, one.site))


def of_model(found: Sequence[Package], files: Mapping[str, Entry]) -> list[Package]:
    """Those that the model's Python sees: of a virtual environment, where there is one, and never the server's own."""
    homes = [posixpath.dirname(path) for path in files if posixpath.basename(path) == "pyvenv.cfg"]
    inside = [one for one in found if any(one.site.startswith(f"{home}/") for home in homes)]
    return inside or [one for one in found if one.site != SERVER]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def locked(text: str) -> tuple[list[Locked], list[str]]:
    """What a file of requirements pins, and what it names without a version."""
    pins, loose = [], []
    for raw in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"\s--hash[= ]\S+", "", re.sub(r"(^|\s)#.*", "", raw)).strip()
        if not line or line.startswith("-"):
            continue
        wanted, _, marker = line.partition(";")
        match = re.fullmatch(r"([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(.*)", wanted.strip())
        if match is None:
            loose.append(wanted.strip()[:60])
            continue
        exact = re.fullmatch(r"===?\s*([^\s,*]+)", match[2].strip())
        if exact:
            pins.append(Locked(normal(match[1]), exact[1], marker.strip()))
        else:
            loose.append(normal(match[1]))
    return pins, loose


def python_of(files: Mapping[str, Entry]) -> str:
    """The Python of the model's environment by the folder of its packages, such as `3.12`; empty where none is."""
    found = [match[1] for path in files if metadata(path) and SERVER not in path and (match := _PYTHON.search(path))]
    return max(found, key=found.count, default="")


def checks(
    found: Sequence[Package],
    locks: Mapping[str, str],
    *,
    python: str,
    machine: str = "x86_64",
    own: bool = True,
    without: Sequence[str] = (),
) -> list[Check]:
    """`found`: of `of_model`. `locks`: the text of each file. `own`: the template's image, which has no more.

    `without`: packages of the lock that the image leaves out on purpose.
    """
    extras.use("scan")  # `packaging` is among its packages: markers and versions are compared as pip does
    return list(_checks(found, locks, _Environment(python, machine, frozenset(map(normal, without))), own=own))


def _checks(
    found: Sequence[Package], locks: Mapping[str, str], environment: _Environment, *, own: bool
) -> Iterator[Check]:
    title = "has the packages that the model was trained with"
    pins: dict[str, Locked] = {}
    loose: list[str] = []
    for text in locks.values():
        some, others = locked(text)
        pins.update({one.name: one for one in some if environment.has(one)})
        loose += others
    names = ", ".join(locks)
    if not pins:
        reason = (
            f"{names} names no package with its version" if locks else "No file of locked requirements is named"
        ) + ", so nothing says with which versions the model was trained. Lock them: `uv pip compile`, `pip freeze`."
        yield _check("versions", title, Verdict.INCONCLUSIVE, reason)
        return
    model = found
    wrong = list(_wrong(pins, model, environment))
    reason = f"{'; '.join(wrong[:_SHOWN])}{_more(len(wrong))}: the image does not compute as judged." if wrong else ""
    yield _check(
        "versions", title, Verdict.FAIL if wrong else Verdict.PASS, reason, rows=len(pins),
        unexpected=len(wrong) if wrong else None, expected=f"the versions in {names}",
    )  # fmt: skip
    if loose:
        said = ", ".join(sorted(set(loose))[:_SHOWN])
        reason = f"{names} names {said}{_more(len(set(loose)))} without a version: which one was used is not known."
        yield _check("loose", "every package is locked", Verdict.WARN, reason)
    added = sorted({one.name for one in model if one.name not in pins and one.name not in set(loose)})
    if own and added and not loose:
        reason = f"The lock does not name {', '.join(added[:_SHOWN])}{_more(len(added))}, and the image has it."
        yield _check("added", "has no other packages", Verdict.WARN, reason)


def _wrong(pins: Mapping[str, Locked], model: Sequence[Package], environment: _Environment) -> Iterator[str]:
    versions: dict[str, set[str]] = {}
    for one in model:
        versions.setdefault(one.name, set()).add(one.version)
    for name, pin in sorted(pins.items()):
        there = versions.get(name, set())
        if not there:
            yield f"{name} {pin.version} is not there"
        elif any(not environment.same(version, pin.version) for version in there):
            yield f"{name} is {', '.join(sorted(there))} and was {pin.version}"


def _more(count: int) -> str:
    return f" and {count - _SHOWN:,} more" if count > _SHOWN else ""


@dataclass(frozen=True)
class _Environment:
    """What a marker of a requirement is asked about."""

    python: str
    machine: str
    without: frozenset[str] = frozenset()

    def has(self, one: Locked) -> bool:
        return one.name not in self.without and self.applies(one.marker)

    def applies(self, marker: str) -> bool:
        """A marker that cannot be read applies: its package is then looked for."""
        if not marker:
            return True
        from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName  # noqa: PLC0415

        python = self.python or "3.12"
        known = {
            "python_version": python, "python_full_version": f"{python}.0", "os_name": "posix", "sys_platform": "linux",
            "platform_system": "Linux", "platform_machine": self.machine, "implementation_name": "cpython",
            "platform_python_implementation": "CPython", "implementation_version": f"{python}.0", "extra": "",
        }  # fmt: skip
        try:
            return Marker(marker).evaluate(known)
        except (InvalidMarker, UndefinedEnvironmentName):
            return True

    @staticmethod
    def same(a: str, b: str) -> bool:
        """1.0 and 1.0.0 are one version; so are 2.1.0+cpu and 2.1.0, whose builds differ by machine."""
        from packaging.version import InvalidVersion, Version  # noqa: PLC0415

        try:
            one, other = Version(a), Version(b)
        except InvalidVersion:
            return a == b
        return one == other or (other.local is None and one.public == other.public)


def _check(word: str, title: str, verdict: Verdict, reason: str, **more: object) -> Check:
    return Check.model_validate(
        {"id": f"image.contents.{word}", "title": title, "group": "image", "verdict": verdict, "reason": reason} | more
    )


def site_of(path: str) -> str:
    """The folder of packages that a file is in; empty for a file that is in none."""
    match = re.match(r"(.*?(?:site|dist)-packages|opt/mlgate/site)/", path)
    return match[1] if match else ""


def recorded(files: Mapping[str, Entry]) -> set[str]:
    """The paths of all files that belong to an installed package, by the packages' own lists."""
    found = set()
    for path, entry in files.items():
        if not path.endswith(".dist-info/RECORD"):
            continue
        site = posixpath.dirname(posixpath.dirname(path))
        for line in entry.content.decode(errors="replace").splitlines():
            name = line.rsplit(",", 2)[0].strip('"')
            found.add(posixpath.normpath(posixpath.join(site, name)))
    return found
