"""Images in registries: pushed, found again, promoted by digest, with logins that leave nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from engine.registry import Registry
from mlgate.errors import MlgateError
from mlgate.image import api, credentials, login
from mlgate.image import registry as registries
from mlgate.image.engine import Engine
from mlgate.image.plan import INPUTS_LABEL, MODEL_LABEL
from mlgate.image.promote import promote
from mlgate.image.reference import Reference
from tracking.servers import Door

pytestmark = pytest.mark.docker
LABELS = {MODEL_LABEL: "visits", INPUTS_LABEL: "sha256:" + "cd" * 32}


@dataclass(frozen=True)
class Local:
    """A small image that the engine has."""

    id: str
    tag: str


@pytest.fixture(scope="session")
def small(engine: Engine, registry: Registry, base_image: str) -> Local:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text(f"FROM {base_image}\nCOPY file /\n", "utf-8")
        Path(folder, "file").write_text(uuid4().hex, "utf-8")
        tag = f"{registry.name('small')}:{uuid4().hex}"
        flags = [flag for name, value in LABELS.items() for flag in ("--label", f"{name}={value}")]
        engine.run("build", "--quiet", "--tag", tag, *flags, folder, timeout=120)
    found = engine.inspect(tag)
    assert found
    return Local(found["Id"], tag)


@pytest.fixture
def name(registry: Registry) -> Reference:
    """A repository of this test's own."""
    return Reference.parse(registry.name(f"Acme/Visits-{uuid4().hex[:8]}"))


def test_pushes_under_every_tag_and_finds_it_again(engine: Engine, small: Local, name: Reference) -> None:
    digest = registries.push(engine, small.id, name, ["v1.2.0", "latest", "latest"])
    url = f"http://{name.registry}/v2/{name.repository}"
    assert requests.get(f"{url}/tags/list", timeout=10).json()["tags"] == ["latest", "v1.2.0"]
    head = requests.head(f"{url}/manifests/v1.2.0", headers={"Accept": api.MANIFESTS[1]}, timeout=10)
    assert head.headers["Docker-Content-Digest"] == digest
    for one in (name.tagged("latest"), name.at(digest)):
        found = registries.exists(engine, one)
        assert found
        assert found.digest == digest
        assert LABELS.items() <= found.labels.items()
        assert found.size > 1_000_000


def test_what_is_not_there_is_none(engine: Engine, name: Reference, small: Local) -> None:
    assert registries.exists(engine, name.tagged("v1")) is None
    registries.push(engine, small.id, name, ["v1"])
    assert registries.exists(engine, name.tagged("v2")) is None
    assert registries.exists(engine, name.at("sha256:" + "00" * 32)) is None


def test_the_digest_of_a_base_is_told_by_the_engine_or_by_the_registry(
    engine: Engine, base_image: str, small: Local, name: Reference
) -> None:
    digest = registries.push(engine, small.id, name, ["v1"])
    assert registries.digest_of(engine, str(name.tagged("v1"))) == digest  # the engine has it
    assert registries.digest_of(engine, base_image.partition("@")[0] + ":" + "absent") is None
    engine.run("image", "rm", str(name.tagged("v1")))
    assert registries.digest_of(engine, str(name.tagged("v1"))) == digest  # the registry has it


def test_a_push_without_a_tag_or_without_a_registry_is_refused(engine: Engine, small: Local, name: Reference) -> None:
    with pytest.raises(MlgateError, match="no tag"):
        registries.push(engine, small.id, name, [])
    with pytest.raises(MlgateError) as error:
        registries.exists(engine, Reference.parse("localhost:1/acme/visits:v1"))
    assert "localhost:1 cannot be reached" in str(error.value)


def test_promotes_within_a_registry_by_the_same_digest(engine: Engine, small: Local, name: Reference) -> None:
    digest = registries.push(engine, small.id, name, ["v1"])
    target = Reference.parse(f"{name.name}-production:v1.0.0")
    assert promote(engine, name.at(digest), target) == digest
    found = registries.exists(engine, target)
    assert found
    assert found.digest == digest
    assert promote(engine, name.at(digest), target) == digest  # again changes nothing
    engine.run("image", "rm", "--force", str(target), f"{target.name}@{digest}") if engine.inspect(
        str(target)
    ) else None
    engine.run("pull", "--quiet", f"{target.name}@{digest}", timeout=120)
    pulled = engine.inspect(f"{target.name}@{digest}")
    assert pulled
    assert pulled["Id"] == small.id


def test_promotes_to_another_registry_that_asks_for_a_login(
    engine: Engine, small: Local, name: Reference, locked_registry: Registry
) -> None:
    digest = registries.push(engine, small.id, name, ["v1"])
    target = Reference.parse(locked_registry.name(f"visits-{uuid4().hex[:8]}:production"))
    with pytest.raises(MlgateError, match="asks for a login"), login.session(engine) as nobody:
        promote(nobody, name.at(digest), target)
    with login.session(engine, [(locked_registry.address, locked_registry.user, locked_registry.password)]) as inside:
        assert promote(inside, name.at(digest), target) == digest
        found = registries.exists(inside, target)
        assert found
        assert found.digest == digest


def test_what_is_signed_about_an_image_goes_with_it(engine: Engine, small: Local, name: Reference) -> None:
    digest = registries.push(engine, small.id, name, ["v1"])
    speaking = api.connect(engine, name.registry)
    parts = []
    for octets in (b"{}", b'{"signed": true}'):
        blob = "sha256:" + hashlib.sha256(octets).hexdigest()
        where = speaking.mount(name.repository, blob, "")
        assert where
        speaking.upload(where, name.repository, blob, api.Stream(iter([octets]), len(octets)))
        parts.append({"mediaType": "application/octet-stream", "digest": blob, "size": len(octets)})
    data = {"schemaVersion": 2, "mediaType": api.MANIFESTS[0], "config": parts[0], "layers": parts[1:]}
    paper = api.Manifest(api.MANIFESTS[0], json.dumps(data).encode())
    speaking.put(name.repository, digest.replace(":", "-") + ".sig", paper)
    target = Reference.parse(f"{name.name}-production")
    assert promote(engine, name.at(digest), target) == digest
    found = speaking.manifest(target.tagged(digest.replace(":", "-") + ".sig"))
    assert found
    assert found.digest == paper.digest


def test_an_index_is_promoted_with_its_images(engine: Engine, small: Local, name: Reference) -> None:
    digest = registries.push(engine, small.id, name, ["v1"])
    speaking = api.connect(engine, name.registry)
    one = speaking.manifest(name.at(digest))
    assert one
    entry = {
        "mediaType": one.kind,
        "digest": digest,
        "size": len(one.octets),
        "platform": {"os": "linux", "architecture": "amd64"},
    }
    index = api.Manifest(
        api.INDEXES[1], json.dumps({"schemaVersion": 2, "mediaType": api.INDEXES[1], "manifests": [entry]}).encode()
    )  # fmt: skip
    speaking.put(name.repository, "both", index)
    found = registries.exists(engine, name.tagged("both"))
    assert found
    assert found.digest == index.digest
    assert found.labels[MODEL_LABEL] == "visits"
    target = Reference.parse(f"{name.name}-production:v1")
    assert promote(engine, name.at(index.digest), target) == index.digest
    assert registries.exists(engine, target) == found


class ListsReferrers:
    """A registry of OCI's second version: what refers to an image is in a list, and not under a tag."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def add(self, repository: str, data: object) -> str:
        octets = json.dumps(data).encode()
        digest = "sha256:" + hashlib.sha256(octets).hexdigest()
        self.kept[f"/v2/{repository}/manifests/{digest}"] = self.kept[f"/v2/{repository}/blobs/{digest}"] = octets
        return digest

    def answer(self, method: str, path: str, _: object, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if "/referrers/" in path:
            repository, _, digest = path.removeprefix("/v2/").partition("/referrers/")
            manifests = [
                {"digest": "sha256:" + hashlib.sha256(octets).hexdigest()}
                for name, octets in self.kept.items()
                if name.startswith(f"/v2/{repository}/manifests/") and digest.encode() in octets
            ]
            return 200, {"Content-Type": api.INDEXES[0]}, json.dumps({"manifests": manifests}).encode()
        if method == "PUT":
            self.kept[path] = body
            return 201, {}, b""
        if method == "POST" and "mount=" in path:
            target, _, rest = path.partition("/blobs/uploads/?mount=")
            digest, _, source = rest.partition("&from=")
            self.kept[f"{target}/blobs/{digest}"] = self.kept[f"/v2/{source}/blobs/{digest}"]
            return 201, {}, b""
        if path in self.kept:
            return 200, {"Content-Type": api.MANIFESTS[0]}, b"" if method == "HEAD" else self.kept[path]
        return 404, {}, b"{}"


def test_what_a_newer_registry_lists_about_an_image_goes_with_it(engine: Engine) -> None:
    there = ListsReferrers()
    config = {"digest": there.add("visits", {"config": {}}), "size": 14}
    digest = there.add("visits", {"config": config, "layers": []})
    paper = there.add("visits", {"config": config, "layers": [], "subject": {"digest": digest}})
    with Door(there.answer) as door:
        name = Reference.parse(door.address.removeprefix("http://") + "/visits")
        assert promote(engine, name.at(digest), Reference.parse(f"{name.name}-production:v1")) == digest
    assert f"/v2/visits-production/manifests/{paper}" in there.kept
    assert there.kept["/v2/visits-production/manifests/v1"] == there.kept[f"/v2/visits/manifests/{digest}"]


def test_only_a_digest_is_promoted(engine: Engine, small: Local, name: Reference) -> None:
    with pytest.raises(MlgateError, match="not pinned by digest"):
        promote(engine, name.tagged("v1"), name.tagged("v2"))
    with pytest.raises(MlgateError, match="is not in its registry"):
        promote(engine, name.at("sha256:" + "00" * 32), name.tagged("v2"))


def _saying(octets: bytes, digest: str) -> Door:
    return Door(lambda *_: (200, {"Content-Type": api.MANIFESTS[0], "Docker-Content-Digest": digest}, octets))


def test_a_registry_that_gives_other_octets_is_found_out(engine: Engine) -> None:
    digest = "sha256:" + "ab" * 32
    with _saying(b'{"config": {}}', digest) as door:
        address = door.address.removeprefix("http://")
        with pytest.raises(MlgateError, match="other octets"):
            registries.exists(engine, Reference.parse(f"{address}/visits@{digest}"))


def test_a_token_is_asked_for_where_the_registry_says_and_a_refusal_is_a_sentence(
    engine: Engine, tmp_path: Path
) -> None:
    """Docker Hub, GHCR and GitLab hand out tokens: by the realm that they name, with the login that there is."""
    octets = json.dumps({"config": {"digest": "x"}}).encode()
    seen: list[str] = []

    def answer(_: str, path: str, headers: object, __: bytes) -> tuple[int, dict[str, str], bytes]:
        given = headers["Authorization"] or ""  # type: ignore[index]
        if path.startswith("/token"):
            seen.append(path)
            return (200, {}, b'{"token": "of the day"}') if given.startswith("Basic ") else (403, {}, b"{}")
        if given == "Bearer of the day":
            return 200, {"Content-Type": api.MANIFESTS[0]}, octets
        return 401, {"WWW-Authenticate": f'Bearer realm="{door.address}/token",service="a registry"'}, b"{}"

    with Door(answer) as door:
        address = door.address.removeprefix("http://")
        reference = Reference.parse(f"{address}/acme/visits:v1")
        (tmp_path / "config.json").write_text(json.dumps({"auths": {address: {"auth": "bWU6cGFzcw=="}}}), "utf-8")
        inside = Engine(engine.command, {**engine.environ, "DOCKER_CONFIG": str(tmp_path)})
        found = api.connect(inside, address).manifest(reference)
        assert found
        assert found.octets == octets
        assert seen == ["/token?service=a+registry&scope=repository%3Aacme%2Fvisits%3Apull"]
        (tmp_path / "config.json").unlink()
        with pytest.raises(MlgateError, match="asks for a login"):
            api.connect(inside, address).manifest(reference)


def test_an_entry_in_netrc_does_not_replace_a_login(
    engine: Engine, tmp_path: Path, locked_registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine localhost login other password wrong\n", "utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with login.session(engine, [(locked_registry.address, locked_registry.user, locked_registry.password)]) as inside:
        assert registries.exists(inside, Reference.parse(locked_registry.name("absent:v1"))) is None


# Logins


@pytest.fixture
def own(tmp_path: Path, engine: Engine) -> Iterator[Engine]:
    """The engine with a configuration folder that stands for the user's."""
    folder = tmp_path / "their docker"
    (folder / "cli-plugins").mkdir(parents=True)
    told = {
        "auths": {"other.example.org": {"auth": "bWU6cGFzcw=="}},
        "credsStore": "desktop",
        "proxies": {"default": {}},
    }
    (folder / "config.json").write_text(json.dumps(told), "utf-8")
    before = (folder / "config.json").read_bytes()
    yield Engine(engine.command, {**engine.environ, "DOCKER_CONFIG": str(folder)})
    assert (folder / "config.json").read_bytes() == before


def test_a_login_is_private_and_leaves_nothing(own: Engine, locked_registry: Registry) -> None:
    logins = [(locked_registry.address, locked_registry.user, locked_registry.password)]
    with login.session(own, logins) as inside:
        folder = Path(inside.environ["DOCKER_CONFIG"])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "config.json").stat().st_mode) == 0o600
        told = json.loads((folder / "config.json").read_text("utf-8"))
        assert set(told["auths"]) == {"other.example.org", locked_registry.address}
        assert "credsStore" not in told
        assert "proxies" in told
        assert (folder / "cli-plugins").resolve() == Path(own.environ["DOCKER_CONFIG"], "cli-plugins").resolve()
        found = credentials.find(inside, locked_registry.address)
        assert found
        assert found.user == locked_registry.user
        assert locked_registry.password not in repr(found)
    assert not folder.exists()


def test_it_leaves_nothing_after_a_failure_either(
    own: Engine, locked_registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNNER_TEMP", str(tmp_path))
    with pytest.raises(MlgateError) as error, login.session(own, [(locked_registry.address, "robot", "Wrong-Horse-2")]):
        pytest.fail("the registry took a wrong password")
    assert "refuses the login of 'robot'" in str(error.value)
    assert "Wrong-Horse-2" not in str(error.value) + error.value.fix
    assert not list(tmp_path.glob("mlgate-docker-*"))


def test_the_password_is_in_no_argument(tmp_path: Path) -> None:
    """A `docker` that writes down how it was called."""
    told = tmp_path / "told"
    command = tmp_path / "docker"
    command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}\ncat > {told}.stdin\n', "utf-8")
    command.chmod(0o755)
    with login.session(Engine(str(command), dict(os.environ)), [("ghcr.io/Acme/Visits", "acme", "ghp_Secret-1")]):
        pass
    assert told.read_text("utf-8").split() == ["login", "--username", "acme", "--password-stdin", "ghcr.io"]
    assert Path(f"{told}.stdin").read_text("utf-8") == "ghp_Secret-1"


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "https://index.docker.io/v1/", "acme/visits", ""])
def test_docker_hub_by_any_of_its_names(tmp_path: Path, host: str) -> None:
    told = tmp_path / "told"
    command = tmp_path / "docker"
    command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}\n', "utf-8")
    command.chmod(0o755)
    login.login(Engine(str(command), dict(os.environ)), host, "acme", "pat")
    assert told.read_text("utf-8").split() == ["login", "--username", "acme", "--password-stdin"]


def _fake(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "ecr get-login-password --region eu-west-1"),
        ("public.ecr.aws", "ecr-public get-login-password --region us-east-1"),
    ],
)
def test_amazon_is_asked_for_the_password(tmp_path: Path, host: str, asked: str) -> None:
    _fake(tmp_path, "aws", f'echo "$@" > {tmp_path}/asked; echo of-twelve-hours')
    _fake(tmp_path, "docker", f'echo "$@" > {tmp_path}/told; cat > {tmp_path}/stdin')
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    login.login(Engine(str(tmp_path / "docker"), environ), f"{host}/visits", "", "")
    assert (tmp_path / "asked").read_text("utf-8").strip() == asked
    assert (tmp_path / "told").read_text("utf-8").strip() == f"login --username AWS --password-stdin {host}"
    assert (tmp_path / "stdin").read_text("utf-8") == "of-twelve-hours"


def test_amazon_without_its_command_or_with_no_answer_is_a_sentence(tmp_path: Path) -> None:
    _fake(tmp_path, "docker", "exit 0")
    engine = Engine(str(tmp_path / "docker"), {"PATH": str(tmp_path)})
    host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    with pytest.raises(MlgateError, match="no `aws` to ask"):
        login.login(engine, host, "AWS", "")
    _fake(tmp_path, "aws", "echo 'Unable to locate credentials' >&2; exit 253")
    with pytest.raises(MlgateError, match="Unable to locate credentials"):
        login.login(Engine(engine.command, {"PATH": f"{tmp_path}:{os.environ['PATH']}"}), host, "AWS", "")
    with pytest.raises(MlgateError, match=r"no password for ghcr\.io"):
        login.login(engine, "ghcr.io", "acme", "")


def test_helpers_of_credentials_are_asked(tmp_path: Path) -> None:
    answer = '{"Username": "me", "Secret": "of the helper"}'
    _fake(tmp_path, "docker-credential-tests", f"echo '{answer}'")
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {"ghcr.io": "tests"}}), "utf-8")
    engine = Engine("docker", {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DOCKER_CONFIG": str(tmp_path)})
    found = credentials.find(engine, "ghcr.io")
    assert found
    assert (found.user, found.password) == ("me", "of the helper")
    assert credentials.find(engine, "quay.io") is None
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(MlgateError, match="cannot be read"):
        credentials.find(engine, "ghcr.io")
