"""`mlgate audit bundle`: one file, the same bytes every time, with everything in it, and no credential."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from governance.regulated import MODEL, Main
from mlgate.errors import MlgateError
from mlgate.governance import bundle
from mlgate.governance.bundle import Part

OUT = ".mlgate/audit-bundle.zip"


def packed(*parts: Part) -> bytes:
    to = io.BytesIO()
    bundle.pack(parts, to)
    return to.getvalue()


def unpacked(main: Main, folder: Path) -> Path:
    done = main.job("audit", "bundle")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(main.repo.path / OUT) as file:
        file.extractall(folder)
        assert file.namelist()[0] == "index.html"
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    return folder


def verified(folder: Path, *heads: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "verify.py"), *heads], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_everything_is_in_it_and_names_its_digest(main: Main, tmp_path: Path) -> None:
    (main.state / "sbom").mkdir()
    (main.state / f"sbom/{MODEL}.cdx.json").write_text("{}")
    folder = unpacked(main, tmp_path / "bundle")
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {one["path"]: one["sha256"] for one in manifest["files"]}
    for path, digest in files.items():
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == digest
    assert {
        f"evidence/{MODEL}/compare.json", f"evidence/{MODEL}/build-image.json", f"decisions/{MODEL}.json",
        f"papers/{MODEL}/model_card.json", f"papers/{MODEL}/model_card.md", f"papers/{MODEL}/explainability.json",
        f"papers/{MODEL}/bias_report.json", f"papers/{MODEL}/data_sheet.json", f"papers/{MODEL}/service.json",
        f"checklist/{MODEL}.json", f"sbom/{MODEL}.cdx.json", "ledger/events.jsonl", f"committed/{MODEL}/dvc.lock",
        f"committed/{MODEL}/mlgate.yaml", f"committed/{MODEL}/docs/retirement.md", f"report/{MODEL}.html",
    } <= files.keys()  # fmt: skip
    assert verified(folder) == (0, "ok: every file and every entry is as it was written\n")


def test_the_same_contents_are_the_same_bytes(main: Main) -> None:
    assert main.job("audit", "bundle", "--out", "one.zip").returncode == 0
    assert main.job("audit", "bundle", "--out", "folder/two.zip").returncode == 0
    assert (main.repo.path / "one.zip").read_bytes() == (main.repo.path / "folder/two.zip").read_bytes()
    first = [Part("b", b"2", "two"), Part("index.html", b"1", "one")]
    assert packed(*first) == packed(*reversed(first))


def test_the_page_to_read_first_stands_alone(main: Main, tmp_path: Path) -> None:
    folder = unpacked(main, tmp_path / "bundle")
    page = (folder / "index.html").read_text()
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "<script" not in page
    links = re.findall(r"(?:src|href)=\"(?!#)([^\"]*)\"", page)
    assert links
    assert all((folder / link).is_file() for link in links)
    card = json.loads(main.paper("model_card.json").read_text())
    assert f"{card['performance'][0]['value']:.4g}" in page
    for said in ("Checks before production", "Visits of a clinic", "The rows are invented", main.repo.head):
        assert said in page
    assert page.count("badge pass") >= 6


def test_changed_files_and_entries_are_found(main: Main, tmp_path: Path) -> None:
    folder = unpacked(main, tmp_path / "bundle")
    events = folder / "ledger/events.jsonl"
    lines = events.read_text().splitlines()
    last = json.loads(lines[-1])
    head = f"mlgate1.{last['ledger']}.events.{last['seq']}.{last['hash']}"
    assert verified(folder, head)[0] == 0
    assert verified(folder, head[:-4] + "0000")[0] == 1
    events.write_text("\n".join([*lines[:-1], lines[-1].replace('"verdict":"pass"', '"verdict":"warn"', 1)]) + "\n")
    code, said = verified(folder)
    assert code == 1
    assert "ledger/events.jsonl was changed" in said
    assert f"entry {last['seq']}" in said
    (folder / "extra.txt").write_text("more")
    (folder / f"decisions/{MODEL}.json").unlink()
    said = verified(folder)[1]
    assert "extra.txt is not named" in said
    assert f"decisions/{MODEL}.json is missing" in said


def test_what_is_foreign_or_missing_is_left_out_and_said(main: Main, tmp_path: Path) -> None:
    train = json.loads(main.evidence("compare").read_text())
    train.update(kind="train", source={**train["source"], "commit": "1" * 40})
    main.evidence("train").write_text(json.dumps(train))
    main.evidence("build-image").unlink()
    main.paper("model_card.json").unlink()
    done = main.job("audit", "bundle")
    assert "Evidence of `train`: it is about commit 1111111" in done.stdout
    assert "Evidence of `build-image`: there is none here." in done.stdout
    assert "The model card: `mlgate audit papers` did not write it." in done.stdout
    names = zipfile.ZipFile(main.repo.path / OUT).namelist()
    assert f"evidence/{MODEL}/train.json" not in names


SECRETS = {
    "GITHUB_TOKEN": "0123456789abcdef0123",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCY",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_credential_of_the_job_stops_it(main: Main, name: str) -> None:
    text = main.paper("model_card.md").read_text()
    main.paper("model_card.md").write_text(f"{text}\n{SECRETS[name]}\n")
    done = main.job("audit", "bundle", **{name: SECRETS[name]})
    assert done.returncode == 2
    assert f"holds the value of {name}" in done.stderr
    assert SECRETS[name] not in done.stderr + done.stdout
    assert not (main.repo.path / OUT).exists()


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "a1B2" * 9,
        "glpat-" + "x" * 20,
        "AKIA" + "ABCD" * 4,
        "-----BEGIN EC " + "PRIVATE KEY-----",
        "https://user:hunter22@example.org/",
    ],
)
def test_what_looks_like_a_credential_is_found(text: str) -> None:
    assert [path for path, _ in bundle.credentials([Part("a.md", f"say {text} ".encode(), "")], {})] == ["a.md"]


def test_what_is_none_is_not() -> None:
    said = b"https://example.org:8080/a@b, sha256:" + b"a1" * 32 + b", -----BEGIN PUBLIC KEY-----, s3://bucket/visits"
    environ = {"MLGATE_TOKEN": "short", "KEY_COUNT": "12345678", "API_KEY": "/run/key", "TOKEN_URL": "https://a.b/c"}
    part = Part("a.md", said + b" short 12345678 /run/key https://a.b/c", "")
    assert list(bundle.credentials([part], environ)) == []


@pytest.mark.parametrize("name", ["../a", "/a", "a/../b", "a\\b"])
def test_no_file_leaves_the_folder(name: str) -> None:
    with pytest.raises(MlgateError):
        packed(Part(name, b"", ""))


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(MlgateError):
        packed(Part("a", b"1", ""), Part("a", b"2", ""))
