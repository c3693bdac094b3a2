"""Licences of installed packages: what they say of themselves, as SPDX expressions, against what the team allows."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from mlgate import extras
from mlgate.model import Check, Verdict
from mlgate.supply.packages import Package, canonical

GROUP = "supply"
ID = "supply.licences"
# Of one word that stands for several licences each has to be allowed: which of them it is, nobody has said.
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-2-Clause AND BSD-3-Clause",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Zope Public License": "ZPL-2.1",
    "zlib/libpng License": "Zlib",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "Academic Free License (AFL)": "AFL-3.0",
    "Artistic License": "Artistic-2.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Eclipse Public License 1.0 (EPL-1.0)": "EPL-1.0",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License (GPL)": "GPL-2.0-only AND GPL-3.0-only",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.1-only AND LGPL-3.0-only",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "Universal Permissive License (UPL)": "UPL-1.0",
}
_WORDS = (
    (r"(the )?mit( license| licence)?( \(expat\))?|expat", "MIT"),
    (
        r"(the )?apache([ -]software)?( license| licence)?[, -]*(version |v)?2(\.0)?( license)?|apache-2|asl 2\.0",
        "Apache-2.0",
    ),
    (
        r"(the )?(bsd[- ]?3[- ]?clause|3[- ]clause[- ]bsd|(new|modified|revised)[- ]bsd)( license| licence)?",
        "BSD-3-Clause",
    ),
    (r"(the )?(bsd[- ]?2[- ]?clause|2[- ]clause[- ]bsd|simplified bsd|freebsd)( license| licence)?", "BSD-2-Clause"),
    (r"(the )?bsd( license| licence)?", "BSD-2-Clause AND BSD-3-Clause"),
    (r"isc( license| licence)?( \(iscl\))?", "ISC"),
    (r"mpl[- ]?v?2(\.0)?|mozilla public license,? (version |v)?2\.0", "MPL-2.0"),
    (r"psfl?([- ]?2\.0)?|python software foundation license", "PSF-2.0"),
    (r"(the )?unlicense", "Unlicense"),
    (r"zpl 2\.1", "ZPL-2.1"),
    (r"gplv?2", "GPL-2.0-only"),
    (r"gplv?3", "GPL-3.0-only"),
    (r"gplv?2\+", "GPL-2.0-or-later"),
    (r"gplv?3\+", "GPL-3.0-or-later"),
    (r"lgplv?3", "LGPL-3.0-only"),
    (r"lgplv?3\+", "LGPL-3.0-or-later"),
    (r"lgplv?2\.1\+?", "LGPL-2.1-or-later"),
)


@cache
def _spdx() -> Any:
    extras.use("scan")
    from license_expression import get_spdx_licensing  # type: ignore[import-untyped]  # noqa: PLC0415 -- in an extra

    return get_spdx_licensing()


def expression(package: Package) -> str:
    """A package's licence as an SPDX expression; empty where it names none that is known."""
    if found := _parsed(package.licence):
        return found
    text = package.licence_text.strip()
    if "\n" not in text and len(text) < 200:
        if found := _parsed(text):
            return found
        for pattern, spdx in _WORDS:
            if re.fullmatch(pattern, text, re.IGNORECASE) and " AND " not in spdx:
                return spdx
    named = [one.rsplit(" :: ", 1)[-1] for one in package.classifiers]
    known = [_CLASSIFIERS[one] for one in named if one in _CLASSIFIERS]
    others = [one for one in named if one not in _CLASSIFIERS and one not in ("OSI Approved", "DFSG approved")]
    if known and not others:
        return " AND ".join(f"({one})" if " " in one and len(known) > 1 else one for one in known)
    if "\n" not in text:
        return next((spdx for pattern, spdx in _WORDS if re.fullmatch(pattern, text, re.IGNORECASE)), "")
    return ""


def _parsed(text: str) -> str:
    """An expression of known SPDX ids in its normal form, or nothing."""
    if not text or "\n" in text:
        return ""
    try:
        found = _spdx().parse(text, validate=True, strict=True)
    except Exception:
        return ""
    return str(found) if found is not None else ""


def checks(
    packages: Sequence[Package], *, allow: Sequence[str] = (), deny: Sequence[str] = (), known: Mapping[str, str]
) -> list[Check]:
    """One check for the whole and one per package that does not pass.

    `known`: what people have looked up, package -> licence. `allow` and `deny` hold SPDX ids, `*` stands for anything.
    """
    wrong = [*_unknown_ids(allow, "allow_licences"), *_unknown_ids(deny, "deny_licences")]
    looked_up = {canonical(name): licence for name, licence in known.items()}
    wrong += [
        _bad(f"known.{name}", name, Verdict.ERROR, f"`{licence}` is no SPDX expression (image.scan.licences.{name}).")
        for name, licence in sorted(looked_up.items())
        if not _parsed(licence) and not licence.startswith("LicenseRef-")
    ]
    if not packages:
        wrong.append(_bad("none", "no packages", Verdict.ERROR, "No packages were found whose licences could be read."))
    judged = bool(allow or deny)
    found: dict[str, int] = {}
    for package in packages:
        licence = looked_up.get(package.key) if package.kind == "pypi" else None
        licence = _parsed(licence or "") or licence or expression(package)
        found[licence or "unknown"] = found.get(licence or "unknown", 0) + 1
        if (check := _judge(package, licence, allow, deny, judged=judged)) is not None:
            wrong.append(check)
    verdict = max((one.verdict for one in wrong), key=lambda one: one.rank, default=Verdict.PASS)
    most = ", ".join(f"{name} {n}" for name, n in sorted(found.items(), key=lambda one: (-one[1], one[0]))[:6])
    limits = "" if judged else " No licence is allowed or denied in `image.scan`: only unknown ones are said."
    reason = f"{len(packages)} packages: {most or 'none'}.{limits}"
    whole = Check(id=ID, title="licences of Python packages", group=GROUP, verdict=verdict, reason=reason)
    return [whole, *wrong]


def _judge(package: Package, licence: str, allow: Sequence[str], deny: Sequence[str], *, judged: bool) -> Check | None:
    title = f"{package.name} {package.version}"
    if not licence:
        said = " ".join((package.licence_text or "; ".join(package.classifiers)).split())[:80]
        reason = f"{title} names no licence that is known ({said or 'it says nothing'})."
        fix = f"# in mlgate.yaml, as you have looked it up\nimage:\n  scan:\n    licences: {{{package.key}: MIT}}"
        return _bad(package.key, title, Verdict.ERROR if judged else Verdict.WARN, reason, fix)
    # An exception only gives more: who denies a licence may still allow it with one, by its full name.
    excepted = {_normal(one) for one in allow if " WITH " in one}
    if deny and not _choice(licence, lambda one: one in excepted or not _matches(one, deny)):
        return _bad(package.key, title, Verdict.FAIL, f"{title} is under {licence}, which is denied.")
    if allow and not _choice(
        licence, lambda one: one in excepted or (_matches(one, allow) and not _matches(one, deny))
    ):
        return _bad(package.key, title, Verdict.FAIL, f"{title} is under {licence}, which is not allowed.")
    return None


def _choice(licence: str, fine: Any) -> bool:
    """Whether a licensee can choose so that each licence that then holds is fine."""
    if licence.startswith("LicenseRef-"):
        return bool(fine(licence))
    parsed = _spdx().parse(licence)

    def holds(node: Any) -> bool:
        kind = type(node).__name__
        if kind == "AND":
            return all(holds(one) for one in node.args)
        if kind == "OR":
            return any(holds(one) for one in node.args)
        return bool(fine(str(node)))

    return holds(parsed)


def _matches(licence: str, patterns: Sequence[str]) -> bool:
    plain = licence.split(" WITH ", 1)[0]
    return any(fnmatch.fnmatchcase(one, _normal(pattern)) for pattern in patterns for one in (licence, plain))


def _normal(pattern: str) -> str:
    return pattern if "*" in pattern else _parsed(pattern) or pattern


def _unknown_ids(patterns: Sequence[str], key: str) -> Iterator[Check]:
    symbols = _spdx().known_symbols if patterns else {}
    for pattern in patterns:
        if "*" in pattern:
            hit = any(fnmatch.fnmatchcase(name, pattern) for name in symbols)
        else:
            hit = bool(_parsed(pattern)) or pattern.startswith("LicenseRef-")
        if not hit:
            reason = f"`{pattern}` in image.scan.{key} is no SPDX id, so it matches nothing."
            yield _bad(f"{key}.{pattern}", pattern, Verdict.ERROR, reason)


def _bad(name: str, title: str, verdict: Verdict, reason: str, fix: str = "") -> Check:
    return Check(id=f"{ID}.{name}", title=title, group=GROUP, verdict=verdict, reason=reason, fix=fix)
