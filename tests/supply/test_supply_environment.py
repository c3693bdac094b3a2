"""Known vulnerabilities by the real pip-audit, asking a server that answers as OSV does. No answer is an error."""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlgate.errors import MlgateError
from mlgate.model import Check, Verdict
from mlgate.supply import environment, ignore, packages
from mlgate.supply.ignore import Accepted
from mlgate.supply.packages import Package

TODAY = dt.date(2026, 3, 1)
KNOWN = {
    "id": "PYSEC-2018-28",
    "aliases": ["CVE-2018-18074", "GHSA-x84v-xcm2-53pg"],
    "affected": [
        {
            "package": {"name": "requests", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.20.0"}]}],
        }
    ],
    "published": "2018-10-09T17:29:00Z",
    "modified": "2021-07-25T23:34:46Z",
}


class Osv:
    def __init__(self) -> None:
        self.status = 200
        self.answer: Callable[[str, str], object] = lambda name, version: (
            {"vulns": [KNOWN]} if (name, version) == ("requests", "2.19.0") else {}
        )
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked = query["package"]["name"], query["version"]
                outer.asked.append(asked)
                body = json.dumps(outer.answer(*asked)).encode()
                self.send_response(outer.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "MLGATE_OSV_URL": f"http://127.0.0.1:{self.server.server_port}/v1/query"}


@pytest.fixture
def osv() -> Iterator[Osv]:
    one = Osv()
    yield one
    one.server.shutdown()
    one.server.server_close()


def audit(osv: Osv, *wanted: tuple[str, str], accepted: tuple[Accepted, ...] = ()) -> list[Check]:
    return environment.audit([Package(*one) for one in wanted], accepted=accepted, today=TODAY, environ=osv.environ)


def accept(name: str, until: dt.date = TODAY) -> Accepted:
    return Accepted(name, until, "not reachable", 3)


def test_a_known_vulnerability_fails_and_says_what_mends_it(osv: Osv) -> None:
    checks = audit(osv, ("Requests", "2.19.0"), ("numpy", "2.1.0"))
    assert [check.verdict for check in checks] == [Verdict.FAIL, Verdict.FAIL]
    assert checks[1].id == "supply.environment.requests.PYSEC-2018-28"
    assert "2.20.0" in checks[1].fix
    assert sorted(osv.asked) == [("numpy", "2.1.0"), ("requests", "2.19.0")]


def test_nothing_known_passes(osv: Osv) -> None:
    assert [check.verdict for check in audit(osv, ("requests", "2.32.0"), ("numpy", "2.1.0"))] == [Verdict.PASS]


@pytest.mark.parametrize("name", ["PYSEC-2018-28", "CVE-2018-18074", "ghsa-x84v-xcm2-53pg"])
def test_what_is_accepted_warns_until_its_day_is_over(name: str, osv: Osv) -> None:
    checks = audit(osv, ("requests", "2.19.0"), accepted=(accept(name),))
    assert [check.verdict for check in checks] == [Verdict.PASS, Verdict.WARN]
    assert "not reachable" in checks[1].reason
    late = audit(osv, ("requests", "2.19.0"), accepted=(accept(name, TODAY - dt.timedelta(days=1)),))
    assert [check.verdict for check in late] == [Verdict.FAIL, Verdict.FAIL]


def test_an_expired_entry_is_an_error_even_where_nothing_is_found() -> None:
    entries = [accept("PYSEC-1", TODAY - dt.timedelta(days=1)), accept("PYSEC-2", TODAY)]
    checks = ignore.expired(entries, TODAY, file="ignore.yaml")
    assert [(check.id, check.verdict) for check in checks] == [("supply.ignore.PYSEC-1", Verdict.ERROR)]
    assert checks[0].location is not None
    assert checks[0].location.line == 3


def test_an_entry_that_is_not_needed_any_more_is_said(osv: Osv) -> None:
    met: set[str] = set()
    environment.audit([Package("requests", "2.19.0")], today=TODAY, environ=osv.environ, met=met)
    assert met >= {"PYSEC-2018-28", "CVE-2018-18074"}
    checks = ignore.unused([accept("cve-2018-18074"), accept("PYSEC-1")], met, file="ignore.yaml")
    assert [check.verdict for check in checks] == [Verdict.WARN]
    assert "PYSEC-1" in checks[0].reason
    assert "18074" not in checks[0].reason


def test_no_answer_is_an_error(osv: Osv) -> None:
    osv.status = 500
    assert [check.verdict for check in audit(osv, ("numpy", "2.1.0"))] == [Verdict.ERROR]
    osv.status = 200
    osv.answer = lambda *_: ["no", "sense"]
    assert audit(osv, ("numpy", "2.1.0"))[0].verdict is Verdict.ERROR
    gone = environment.audit(
        [Package("numpy", "2.1.0")], today=TODAY,
        environ={**os.environ, "MLGATE_OSV_URL": "http://user:secret@127.0.0.1:9/v1/query"},
    )  # fmt: skip
    assert [check.verdict for check in gone] == [Verdict.ERROR]
    assert "secret" not in gone[0].reason
    assert environment.audit([], today=TODAY, environ=osv.environ)[0].verdict is Verdict.ERROR


def test_a_version_that_is_none_is_an_error(osv: Osv) -> None:
    assert audit(osv, ("numpy", "what is this"), ("requests", "2.32.0"))[0].verdict is Verdict.ERROR


def test_a_package_that_was_skipped_is_an_error() -> None:
    answer = [
        {"name": "acme-features", "skip_reason": "Dependency not found on PyPI and could not be audited"},
        {"name": "numpy", "version": "2.1.0", "vulns": []},
    ]
    wanted = {("acme-features", "1.0"), ("numpy", "2.1.0"), ("scipy", "1.15")}
    checks = list(environment._judge(answer, wanted, (), TODAY))
    assert [(check.id, check.verdict) for check in checks] == [
        ("supply.environment.acme-features", Verdict.ERROR),
        ("supply.environment.scipy", Verdict.ERROR),
    ]
    own = list(environment._judge(answer[:1], {("acme-features", "1.0")}, (accept("acme-features"),), TODAY))
    assert [check.verdict for check in own] == [Verdict.WARN]


# The ignore file


def test_ignore_file(tmp_path: Path) -> None:
    path = tmp_path / "ignore.yaml"
    path.write_text("- {id: PYSEC-1, until: 2027-01-31, reason: a  b}\n- id: CVE-2\n  until: 2027-02-01\n  reason: c\n")
    assert ignore.load(path) == [
        Accepted("PYSEC-1", dt.date(2027, 1, 31), "a b", 1),
        Accepted("CVE-2", dt.date(2027, 2, 1), "c", 2),
    ]
    path.write_text("# nothing yet\n")
    assert ignore.load(path) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id: x", "is not a list"),
        ("- x", "no mapping"),
        ("- {until: 2027-01-01, reason: r}", "no `id`"),
        ("- {id: A, reason: r}", "no `until`"),
        ("- {id: A, until: soon, reason: r}", "no `until`"),
        ("- {id: A, until: 2027-01-01}", "no `reason`"),
        ("- {id: A, until: 2027-01-01, reason: ''}", "no `reason`"),
        ("- {id: A, until: 2027-01-01, reason: r, severity: low}", "`severity` is not a key"),
        ("- {id: A, until: 2027-01-01, reason: r}\n- {id: a, until: 2027-01-01, reason: r}", "twice"),
        ("- [", "cannot be read"),
    ],
)
def test_ignore_files_that_are_wrong(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "ignore.yaml"
    path.write_text(text)
    with pytest.raises(MlgateError, match=said):
        ignore.load(path, name="ignore.yaml")
    with pytest.raises(MlgateError, match="cannot be read"):
        ignore.load(tmp_path / "missing.yaml")


# Locks


def test_a_lock_is_read_with_its_hashes() -> None:
    digest = "a" * 64
    text = (
        f"# made by uv\nnumpy==2.1.0 \\\n    --hash=sha256:{digest} \\\n    --hash=sha256:{'b' * 64}\n    # via x\n"
        "Scikit_Learn[extra]===1.5 ; python_version >= '3.9'\n--index-url https://example.org\n"
    )
    found = packages.of_lock(text, file="requirements.txt")
    assert [(one.key, one.version, len(one.hashes)) for one in found] == [
        ("numpy", "2.1.0", 2),
        ("scikit-learn", "1.5", 0),
    ]


@pytest.mark.parametrize(
    "line", ["numpy", "numpy>=2", "numpy==2.1,<3", "git+https://example.org/x", "-e .", "./wheel.whl"]
)
def test_what_is_not_pinned_cannot_be_looked_up(line: str) -> None:
    with pytest.raises(MlgateError, match="not pinned") as caught:
        packages.of_lock(f"scipy==1.0\n{line}\n", file="requirements.txt")
    assert caught.value.line == 2
