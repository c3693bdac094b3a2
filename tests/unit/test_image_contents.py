"""What is inside an image: archives as engines write them, and one fault after the other, each found where it is."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mlgate.image import contents, installed, layers, secretive
from mlgate.image.contents import Asked
from mlgate.image.layers import Contents, Entry, Wanted
from mlgate.judge.record import model_digest
from mlgate.model import Check, Verdict, worst

MODEL = {"MLmodel": b"flavors: {}\n", "model.joblib": b"\x80\x04bytes", "code/features.py": b"x = 1\n"}
FILES = {path: hashlib.sha256(data).hexdigest() for path, data in MODEL.items()}
LOCK = """\
numpy==2.1.0 \\
    --hash=sha256:00
scikit-learn==1.6.1 ; python_version >= '3.11'
pywin32==3 ; sys_platform == 'win32'
"""
SITE = "opt/venv/lib/python3.12/site-packages"
KEY = (
    b"-----BEGIN PRIVATE KEY-----\n"
    + b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC"
    + b"\n-----END PRIVATE KEY-----\n"
)

File = bytes | tuple[bytes, Mapping[str, Any]]


def package(name: str, version: str, site: str = SITE, files: Sequence[str] = ()) -> dict[str, File]:
    info = f"{site}/{name.replace('-', '_')}-{version}.dist-info"
    listed = "".join(f"{one},,\n" for one in files)
    return {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nname: other\n".encode(),
        f"{info}/RECORD": listed.encode(),
        **{f"{site}/{one}": b"data" for one in files},
    }


BASE: dict[str, File] = {
    "usr/bin/python3.12": b"elf", "etc/passwd": b"root:x:0:0::/root:/bin/sh\nml:x:999:999::/:/bin/sh\n",
    "etc/ssl/private/base.key": KEY,
}  # fmt: skip
OWN: dict[str, File] = {
    "opt/venv/pyvenv.cfg": b"home = /usr/bin",
    **package("numpy", "2.1.0", files=["numpy/tests/data.csv", "numpy/tests/key.pem"]),
    **package("scikit-learn", "1.6.1"),
    **package("numpy", "2.4.0", site="opt/mlgate/site"),
    **{f"opt/model/{path}": data for path, data in MODEL.items()},
    "opt/mlgate/app/mlgate/serving/app.py": b"app = 1\n",
}
CONFIG: dict[str, Any] = {
    "User": "10001:10001", "Healthcheck": {"Test": ["CMD", "python3"]}, "Env": ["PATH=/usr/bin", "MLGATE_PORT=8080"],
    "Cmd": ["python3", "-m", "mlgate.serving"], "Labels": {"io.mlgate.model": "visits"},
}  # fmt: skip


def layer(files: Mapping[str, File], *, packed: bool = False, links: Sequence[tuple[str, str, bytes]] = ()) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for path, file in files.items():
            data, more = file if isinstance(file, tuple) else (file, {})
            info = tarfile.TarInfo(path)
            info.size = len(data)
            for key, value in more.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
        for path, to, kind in links:
            info = tarfile.TarInfo(path)
            info.type, info.linkname = kind, to
            archive.addfile(info)
    return gzip.compress(made.getvalue()) if packed else made.getvalue()


def saved(config: Mapping[str, Any], archives: Sequence[bytes], *, oci: bool = False, damage: str = "") -> io.BytesIO:
    """As `docker image save` writes it: old engines a folder for each layer, new ones blobs by digest."""
    digests = [hashlib.sha256(gzip.decompress(a) if a[:2] == b"\x1f\x8b" else a).hexdigest() for a in archives]
    names = [f"blobs/sha256/{digest}" if oci else f"{digest}/layer.tar" for digest in digests]
    told = {"config": dict(config), "architecture": "amd64", "history": config.get("history", [])}
    text = json.dumps({**told, "rootfs": {"diff_ids": [f"sha256:{digest}" for digest in digests]}}).encode()
    named = f"blobs/sha256/{hashlib.sha256(text).hexdigest()}" if oci else "config.json"
    manifest = json.dumps([{"Config": named, "RepoTags": None, "Layers": names}]).encode()
    members = dict(zip(names, archives, strict=True)) | {named: text}
    if damage != "manifest":
        members["manifest.json"] = manifest
    if damage == "layer":
        del members[names[0]]
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return io.BytesIO(made.getvalue()[: -len(made.getvalue()) // 2] if damage == "cut" else made.getvalue())


ASKED = Asked(model_digest(FILES), FILES, {"requirements.txt": LOCK})


def image(
    *more: Mapping[str, File], own: Mapping[str, File] | None = None, config: Mapping[str, Any] | None = None
) -> tuple[io.BytesIO, list[str]]:
    archives = [layer(BASE), layer(OWN if own is None else own), *map(layer, more)]
    base = [f"sha256:{hashlib.sha256(archives[0]).hexdigest()}"]
    return saved(CONFIG if config is None else config, archives), base


def look(made: tuple[io.BytesIO, list[str]], asked: Asked = ASKED) -> list[Check]:
    asked = dataclasses.replace(asked, base=asked.base or made[1])
    return list(contents.judged(layers.parse(made[0], contents.wanted(asked)), asked))


def bad(checks: Sequence[Check]) -> dict[str, Verdict]:
    return {c.id.removeprefix("image.contents."): c.verdict for c in checks if c.verdict is not Verdict.PASS}


def reason(checks: Sequence[Check], word: str) -> str:
    return next(c.reason for c in checks if c.id == f"image.contents.{word}")


def test_a_good_image_passes_everything() -> None:
    checks = look(image())
    assert bad(checks) == {}
    assert {c.id.removeprefix("image.contents.") for c in checks} == {
        "user", "health", "debug", "secrets", "data", "history", "tracked", "caches", "tools", "model", "writable",
        "versions",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "word", "verdict"),
    [
        ({"User": ""}, "user", Verdict.FAIL),
        ({"User": "0"}, "user", Verdict.FAIL),
        ({"User": "root:10001"}, "user", Verdict.FAIL),
        ({"User": "nobody-knows"}, "user", Verdict.FAIL),
        ({"User": "ml"}, "user", Verdict.WARN),
        ({"Healthcheck": None}, "health", Verdict.FAIL),
        ({"Healthcheck": {"Test": ["NONE"]}}, "health", Verdict.FAIL),
        ({"Env": ["FLASK_DEBUG=1"]}, "debug", Verdict.FAIL),
        ({"Env": ["FLASK_ENV=development"]}, "debug", Verdict.FAIL),
        ({"Cmd": ["uvicorn", "app:app", "--reload"]}, "debug", Verdict.FAIL),
        ({"Cmd": ["flask", "--app", "x", "run"]}, "debug", Verdict.FAIL),
        ({"Entrypoint": ["python", "manage.py", "runserver"]}, "debug", Verdict.FAIL),
        ({"Cmd": ["/bin/sh", "-c", "python app.py --debug"]}, "debug", Verdict.FAIL),
        ({"Env": ["DB_PASSWORD=hunter2hunter2"]}, "secrets", Verdict.FAIL),
        ({"Env": ["X=https://me:hunter2@host/simple"]}, "secrets", Verdict.FAIL),
        ({"Env": ["GH=ghp_" + "a" * 36]}, "secrets", Verdict.FAIL),
        ({"Labels": {"url": "https://me:hunter2@host/"}}, "secrets", Verdict.FAIL),
        ({"history": [{"created_by": "|1 PIP_TOKEN=hunter2hunter2 /bin/sh -c pip"}]}, "secrets", Verdict.FAIL),
        ({"history": [{"created_by": "/bin/sh -c API_TOKEN=hunter2hunter2 curl x"}]}, "secrets", Verdict.FAIL),
    ],
)  # fmt: skip
def test_how_it_is_configured(config: dict[str, Any], word: str, verdict: Verdict) -> None:
    checks = look(image(config=CONFIG | config))
    assert bad(checks) == {word: verdict}
    assert "hunter2" not in str(checks), "what is found is not told"


@pytest.mark.parametrize(
    "config",
    [
        {"Env": ["FLASK_DEBUG=0", "DEBUG=false"]},
        {"Env": ["TOKEN_FILE=/run/secrets/x", "API_KEY=", "USE_TOKEN=true"]},
        {
            "history": [
                {"created_by": "RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install -r x # buildkit"}
            ]
        },
        {"history": [{"created_by": "/bin/sh -c curl -H token:$TOKEN PASSWORD=${PASSWORD} x"}]},
        {"Cmd": ["gunicorn", "--no-debug", "--reload-extra-file", "x"]},
    ],
)
def test_what_is_harmless(config: dict[str, Any]) -> None:
    assert bad(look(image(config=CONFIG | config))) == {}


@pytest.mark.parametrize(
    ("files", "word", "said"),
    [
        ({"app/.env": b"A=1"}, "secrets", "/app/.env"),
        ({"root/.netrc": b"machine x"}, "secrets", "/root/.netrc"),
        ({"home/ml/.aws/credentials": b"[default]"}, "secrets", "/home/ml/.aws/credentials"),
        ({"app/server.key": KEY}, "secrets", "a private key"),
        ({"app/settings.py": b"KEY = 'AKIAABCDEFGHIJKLMNOP'"}, "secrets", "a key of AWS"),
        ({"root/.ssh/id_ed25519": b"x"}, "secrets", "id_ed25519"),
        ({"app/pip.conf": b"index-url = https://u:p4ssw0rd@host/simple"}, "secrets", "an address with a password"),
        ({"app/.dvc/config.local": b"x"}, "secrets", "config.local"),
        ({"app/train.csv": b"a,b"}, "data", "/app/train.csv"),
        ({"app/data/x.parquet.gz": b"PAR1"}, "data", "x.parquet.gz"),
        ({f"{SITE}/train.csv": b"a,b"}, "data", "train.csv"),  # no package lists it
        ({"app/.git/config": b"x", "app/.git/HEAD": b"x"}, "history", "/app/.git"),
        ({"app/dvc.lock": b"x"}, "tracked", "/app/dvc.lock"),
        ({"app/data.csv.dvc": b"x"}, "tracked", "data.csv.dvc"),
        ({"app/mlruns/0/meta.yaml": b"x"}, "tracked", "mlruns"),
        ({"usr/bin/gcc": b"elf"}, "tools", "/usr/bin/gcc"),
        ({"usr/bin/x86_64-linux-gnu-gcc-12": b"elf"}, "tools", "gcc-12"),
        ({"opt/venv/bin/pip": b"#!"}, "tools", "/opt/venv/bin/pip"),
        ({"usr/bin/git": b"elf"}, "tools", "/usr/bin/git"),
        ({"app/app.py": b"app.run(host='x', debug=True)"}, "debug", "/app/app.py"),
        ({"opt/model/added.py": b"x"}, "model", "added.py was added"),
        ({"opt/model/model.joblib": b"other"}, "model", "model.joblib is missing or of another content"),
    ],
)  # fmt: skip
def test_each_thing_that_may_not_be_inside(files: dict[str, File], word: str, said: str) -> None:
    checks = look(image(files))
    assert word in bad(checks)
    assert bad(checks).keys() <= {word, "tracked"}
    assert bad(checks)[word] is Verdict.FAIL
    assert said in reason(checks, word)


@pytest.mark.parametrize(
    ("files", "word"),
    [({"root/.cache/pip/x": b"x"}, "caches"), ({"var/lib/apt/lists/deb_Packages": b"x"}, "caches")],
)
def test_what_is_only_a_waste(files: dict[str, File], word: str) -> None:
    assert bad(look(image(files))) == {word: Verdict.WARN}


@pytest.mark.parametrize(
    ("path", "word"), [("app/.env", "secrets"), ("app/train.csv", "data"), ("app/.git/config", "history")]
)
def test_what_a_later_layer_deletes_is_still_found(path: str, word: str) -> None:
    folder, name = path.rsplit("/", 1)
    for gone in (
        {f"{folder}/.wh.{name}": b""},
        {f"{folder}/.wh..wh..opq": b""},
        {f".wh.{folder.split('/', 1)[0]}": b""},
    ):
        checks = look(image({path: b"x"}, gone))
        assert bad(checks) == {word: Verdict.FAIL}
        assert "earlier layer" in reason(checks, word)


def test_the_base_is_not_looked_at_unless_it_is_unknown() -> None:
    asked = dataclasses.replace(ASKED, base=["sha256:" + "0" * 64])
    assert bad(look(image(), asked)) == {"secrets": Verdict.FAIL}  # of another base nothing is taken for the base's


def test_tools_of_the_base_and_of_a_persons_own_dockerfile_are_a_warning() -> None:
    archives = [layer(BASE | {"usr/local/bin/pip": b"#!"}), layer(OWN)]
    base = [f"sha256:{hashlib.sha256(archives[0]).hexdigest()}"]
    assert bad(look((saved(CONFIG, archives), base))) == {"tools": Verdict.WARN}
    own = dataclasses.replace(ASKED, own=False)
    assert bad(look(image({"usr/bin/make": b"elf"}), own)) == {"tools": Verdict.WARN}
    gone = [*archives, layer({"usr/local/bin/.wh.pip": b""})]
    assert bad(look((saved(CONFIG, gone), base))) == {}


def test_known_data_and_known_secrets_are_found_whatever_they_are_called() -> None:
    text = b"id,age\n1,2\n"
    by_digest = {"data/test.csv": hashlib.md5(text, usedforsecurity=False).hexdigest()}
    checks = look(image({"app/notes.bin": text}), dataclasses.replace(ASKED, data=by_digest))
    assert bad(checks) == {"data": Verdict.FAIL}
    assert "is data/test.csv" in reason(checks, "data")
    secret = dataclasses.replace(ASKED, secrets={"NETRC": b"machine host password hunter2"})
    blob = b"x" * ((1 << 20) - 10) + b"machine host password hunter2" + b"y" * 100  # across two blocks
    checks = look(image({"usr/lib/x.so": blob}), secret)
    assert bad(checks) == {"secrets": Verdict.FAIL}
    assert "the value of NETRC" in reason(checks, "secrets")
    assert "hunter2" not in reason(checks, "secrets")


def test_data_that_the_image_is_told_to_include_may_be_there() -> None:
    files: dict[str, File] = {"opt/project/src/regions.csv": b"a,b"}
    assert bad(look(image(files))) == {"data": Verdict.FAIL}
    assert bad(look(image(files), dataclasses.replace(ASKED, allowed=["src/regions.csv"]))) == {}


# -- the model ---------------------------------------------------------------------------------------------------------


def without(*paths: str) -> dict[str, File]:
    return {path: data for path, data in OWN.items() if path not in paths}


def test_the_model_may_lie_anywhere() -> None:
    moved: dict[str, File] = {path.replace("opt/model/", "srv/app/m/"): data for path, data in OWN.items()}
    checks = look(image(own=moved))
    assert bad(checks) == {}
    assert next(c.observed for c in checks if c.id == "image.contents.model") == "/srv/app/m"


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (without("opt/model/model.joblib"), "model.joblib"),
        (without(*(f"opt/model/{path}" for path in MODEL)), "not in it"),
        (OWN | {"opt/model/MLmodel": b"flavors: {other: 1}\n"}, "MLmodel"),
    ],
)
def test_another_model_is_found(own: dict[str, File], said: str) -> None:
    checks = look(image(own=own))
    assert bad(checks)["model"] is Verdict.FAIL
    assert said in reason(checks, "model")


def test_a_model_that_is_one_file() -> None:
    data = MODEL["model.joblib"]
    digest = hashlib.sha256(data).hexdigest()
    asked = dataclasses.replace(ASKED, digest=digest, files={"": digest})
    assert bad(look(image(), asked)) == {}
    assert bad(look(image(own=without("opt/model/model.joblib")), asked))["model"] is Verdict.FAIL
    assert bad(look(image(), dataclasses.replace(asked, digest="0" * 64)))["model"] is Verdict.FAIL


def test_of_a_model_that_is_not_there_nothing_else_is_said() -> None:
    gone = look(image(own=without(*(f"opt/model/{path}" for path in MODEL))))
    assert "image.contents.writable" not in {check.id for check in gone}


def test_a_model_that_is_not_said_is_an_error() -> None:
    assert bad(look(image(), dataclasses.replace(ASKED, files={})))["model"] is Verdict.ERROR
    assert bad(look(image(), dataclasses.replace(ASKED, digest="")))["model"] is Verdict.ERROR
    assert bad(look(image(), dataclasses.replace(ASKED, digest="0" * 64)))["model"] is Verdict.FAIL


@pytest.mark.parametrize("more", [{"mode": 0o666}, {"uid": 10001}, {"gid": 10001, "mode": 0o664}])
def test_a_server_that_can_change_its_model_is_a_warning(more: dict[str, int]) -> None:
    own = OWN | {"opt/model/MLmodel": (MODEL["MLmodel"], more)}
    assert bad(look(image(own=own))) == {"writable": Verdict.WARN}


# -- its packages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "lock", "verdict", "said"),
    [
        ({}, LOCK, Verdict.PASS, ""),
        ({}, LOCK.replace("2.1.0", "2.1"), Verdict.PASS, ""),
        ({}, LOCK.replace("1.6.1", "1.6.2"), Verdict.FAIL, "scikit-learn is 1.6.1 and was 1.6.2"),
        ({}, LOCK + "pandas==2.2.3\n", Verdict.FAIL, "pandas 2.2.3 is not there"),
        ({}, LOCK + "pandas==2.2.3 ; python_version < '3.9'\n", Verdict.PASS, ""),
        (package("numpy", "2.0.0", files=[]), LOCK, Verdict.FAIL, "numpy is 2.0.0, 2.1.0"),
        ({}, "", Verdict.INCONCLUSIVE, "nothing says with which versions"),
        ({}, "numpy>=2\n", Verdict.INCONCLUSIVE, "no package with its version"),
    ],
)
def test_versions(more: dict[str, File], lock: str, verdict: Verdict, said: str) -> None:
    checks = look(image(more), dataclasses.replace(ASKED, locks={"requirements.txt": lock}))
    assert next(c.verdict for c in checks if c.id == "image.contents.versions") is verdict
    assert said in reason(checks, "versions")


def test_packages_that_are_loose_or_added() -> None:
    loose = dataclasses.replace(ASKED, locks={"requirements.txt": LOCK + "pandas>=2\n"})
    assert bad(look(image(), loose)) == {"loose": Verdict.WARN}
    assert bad(look(image(package("pandas", "2.2.3")))) == {"added": Verdict.WARN}
    assert bad(look(image(package("pandas", "2.2.3")), dataclasses.replace(ASKED, own=False))) == {}


def test_what_is_left_out_on_purpose_is_not_missed() -> None:
    locks = {"requirements.txt": LOCK + "mlflow==3.17.2\n"}
    assert bad(look(image(), dataclasses.replace(ASKED, locks=locks))) == {"versions": Verdict.FAIL}
    assert bad(look(image(), dataclasses.replace(ASKED, locks=locks, without=["MLflow"]))) == {}


def test_without_a_virtual_environment_every_folder_of_packages_counts() -> None:
    own = {path.replace("opt/venv/", "usr/local/"): data for path, data in without("opt/venv/pyvenv.cfg").items()}
    assert bad(look(image(own=own))) == {}
    own |= package("numpy", "1.26.4", site="usr/lib/python3/dist-packages")
    assert bad(look(image(own=own))) == {"versions": Verdict.FAIL}


def test_no_lock_is_never_a_pass() -> None:
    assert bad(look(image(), dataclasses.replace(ASKED, locks={}))) == {"versions": Verdict.INCONCLUSIVE}


def test_lines_of_a_lock() -> None:
    pins, loose = installed.locked(
        "# c\n-i https://x\n--hash=x\nA_b[extra]==1.0 # why\nc ===2\nd\ne~=1.0\nf @ https://x/f.whl\ng==1.*\n\\\n"
    )
    assert [(one.name, one.version) for one in pins] == [("a-b", "1.0"), ("c", "2")]
    assert loose == ["d", "e", "f", "g"]


def test_a_local_version_is_the_same_version_of_another_build() -> None:
    same = installed._Environment.same
    assert same("2.1.0+cpu", "2.1.0")
    assert not same("2.1.0", "2.1.0+cpu")
    assert not same("2.1.0+cpu", "2.1.0+cu121")
    assert not same("nonsense", "2.1")


# -- archives ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("oci", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_archives_of_old_and_new_engines(oci: bool, packed: bool) -> None:
    archives = [
        layer({"a/b": b"one", "./c": b"two", "z": b""}, packed=packed),
        layer({"a/b": b"three"}, packed=packed, links=[("l", "a/b", tarfile.SYMTYPE), ("h", "a/b", tarfile.LNKTYPE)]),
        layer({}, packed=packed),
    ]
    found = layers.parse(saved(CONFIG, archives, oci=oci), Wanted(whole=lambda _: True, digested=lambda _: True))
    files = found.files()
    assert files.keys() == {"a/b", "c", "z", "l", "h"}
    assert (files["a/b"].content, files["h"].content, files["l"].link) == (b"three", b"three", "a/b")
    assert files["c"].sha256 == hashlib.sha256(b"two").hexdigest()
    assert files["c"].md5 == hashlib.md5(b"two", usedforsecurity=False).hexdigest()
    assert found.config["config"]["User"] == "10001:10001"
    plain = [gzip.decompress(one) if packed else one for one in archives]
    assert [one.digest for one in found.layers] == [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in plain]
    assert len(found.own([found.layers[0].digest])) == 2
    assert len(found.own(["sha256:other"])) == 3


@pytest.mark.parametrize("damage", ["manifest", "layer", "cut"])
def test_a_broken_archive_is_never_an_empty_image(damage: str) -> None:
    with pytest.raises((tarfile.TarError, ValueError, KeyError, IndexError, EOFError, OSError)):
        layers.parse(saved(CONFIG, [layer(BASE), layer(OWN)], damage=damage), Wanted())


def test_a_packing_that_cannot_be_read_is_said() -> None:
    with pytest.raises(ValueError, match="zstd"):
        layers.parse(saved(CONFIG, [b"\x28\xb5\x2f\xfd" + b"0" * 600]), Wanted())


@pytest.mark.parametrize(
    "name", ["app/.env.production", "x/id_rsa", "credentials.json", "a.p12", "root/.docker/config.json"]
)
def test_names_of_secrets(name: str) -> None:
    assert secretive.name(name)


@pytest.mark.parametrize(
    "name", ["app/.env.example", "environment.yml", "src/secrets_test.md", "id_rsa.pub.txt", "a.pem"]
)
def test_names_that_are_none(name: str) -> None:
    assert not secretive.name(name)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"see https://example.org/a:b@c", b"-----BEGIN CERTIFICATE-----\nMII", b"sk-learn",
        b"password = getpass()", b"postgres://user:$PASS@host/db", b"postgres://user:${PASS}@host",
    ],
)  # fmt: skip
def test_texts_that_hold_no_secret(text: bytes) -> None:
    assert not secretive.text(text)


def test_files_see_only_the_last_of_each() -> None:
    first, second = Entry("a", sha256="1"), Entry("a", sha256="2")
    seen = Contents({}, [layers.Layer(entries=[first]), layers.Layer(entries=[second])]).files()
    assert seen["a"] is second
    assert worst([]) is Verdict.ERROR
