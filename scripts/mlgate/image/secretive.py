"""What looks like a secret: names of files, contents of files, variables, and the commands that made an image. Pure.

What is found is said by its place, never by its value.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlgate.repo.credentials import redact

_NAMES = re.compile(
    r"\.env(?:\.(?!example$|sample$|template$|dist$)[\w.-]+)?|\.netrc|_netrc|\.pypirc|\.git-credentials|\.pgpass|\.my\.cnf|\.htpasswd"
    r"|id_(?:rsa|dsa|ecdsa|ed25519)|kubeconfig|\.dockercfg|\.vault-token|\.boto|\.s3cfg|secrets?\.(?:ya?ml|json|toml|env|txt|ini)"
    r"|credentials\.(?:ya?ml|json|toml|db|txt|ini)|service[-_]account[\w-]*\.json|.+\.(?:p12|pfx|jks|keystore|kdbx|ppk|ovpn)"
    r"|cosign\.key|.+_rsa|terraform\.tfstate(?:\.backup)?|config\.local",
    re.IGNORECASE,
)
_PLACES = re.compile(
    r"(?:^|/)(?:\.aws/(?:credentials|config)|\.docker/config\.json|\.kube/config|\.azure/.+|\.config/gcloud/.+|\.ssh/.+"
    r"|\.dvc/config\.local|\.config/gh/hosts\.yml|\.huggingface/token|\.cache/huggingface/token|run/secrets/.+)$"
)
# Files that may hold a secret, and have it only where their text does.
_MAYBE = re.compile(
    r".+\.(?:pem|key|crt|cfg|conf|ini|toml|ya?ml|json|txt|env|sh|bash|py|properties|xml|npmrc|md|ipynb)|\.npmrc|\.condarc"
    r"|pip\.conf|\.bash_history|\.python_history|\.[\w-]+rc|\.dvc/config|config",
    re.IGNORECASE,
)
_TEXTS = {
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,200}?[A-Za-z0-9+/=]{40}",
    "a private key of a service account": rb"\"private_key\"\s*:\s*\"-----BEGIN",
    "a key of AWS": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})\b",
    "a token of GitLab": rb"\bgl(?:pat|dt|rt|cbt|ptt|oas)-[\w-]{20,}",
    "a token of PyPI": rb"\bpypi-AgEI[\w-]{40,}",
    "a token of Slack": rb"\bxox[abposr]-[0-9A-Za-z-]{20,}",
    "a token of Hugging Face": rb"\bhf_[A-Za-z0-9]{30,}\b",
    "a key of a model's provider": rb"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}",
    "a key of Google": rb"\bAIza[0-9A-Za-z_-]{35}\b",
    "a key of Azure storage": rb"AccountKey=[A-Za-z0-9+/=]{40,}",
    "an address with a password": rb"\b[a-z][a-z0-9+.-]{1,20}://[^/\s:@'\"<>{}$\[\]()]{1,80}:[^/\s:@'\"<>{}$\[\]()*]{3,200}@[\w.-]+",
    "a token for npm": rb"_authToken\s*=\s*[^\s$]{8,}",
}
_COMPILED = {what: re.compile(pattern) for what, pattern in _TEXTS.items()}
_VARIABLE = re.compile(
    r".*(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|APIKEY|PRIVATE_KEY|ACCESS_KEY|CONNECTION_STRING).*"
    r"|.*_(?:KEY|PASS|PWD|PAT|DSN|AUTH|JWT|SAS)|NETRC",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"|0|1|true|false|none|null|/[\w./-]*", re.IGNORECASE)  # a switch, or where a file is
_ARGUMENT = re.compile(r"^\|\d+ (.*?) /bin/", re.DOTALL)  # `|1 TOKEN=... /bin/sh -c ...`: what a builder notes of ARG
_GIVEN = re.compile(r"\b([A-Za-z_][A-Za-z0-9_]*)=(\"[^\"]*\"|'[^']*'|[^\s;&|]+)")


def name(path: str) -> bool:
    """Whether a file is a secret by what it is called."""
    return bool(_NAMES.fullmatch(posixpath.basename(path)) or _PLACES.search(path))


def readable(path: str) -> bool:
    """Whether a file is worth reading for secrets in it."""
    base = posixpath.basename(path)
    return bool(_MAYBE.fullmatch(base) or name(path))


def text(content: bytes) -> str:
    """What kind of secret a text holds; empty when it holds none."""
    return next((what for what, pattern in _COMPILED.items() if pattern.search(content)), "")


def variables(environ: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Of `NAME=value`: each name whose value looks like a secret, and why."""
    for one in environ:
        key, _, value = one.partition("=")
        if what := _valued(key, value):
            yield key, what


def _valued(key: str, value: str) -> str:
    if what := text(value.encode()):
        return what
    if _VARIABLE.fullmatch(key) and not _HARMLESS.fullmatch(value.strip("\"'")) and not value.startswith("$"):
        return "a value, and its name says that it is secret"
    return ""


_INSIDE = re.compile(rb"\bpassword[\s=:]+(\S+)|://[^/\s:@]*:([^/\s@]+)@", re.IGNORECASE)
_SHORTEST = 6  # octets; what is shorter is in many files by chance


def needles(value: bytes) -> list[bytes]:
    """What of a secret's value may be in no file: all of it, and each password in it (of a netrc, of an address).

    Certificates are no secret.
    """
    whole = value.strip()
    if whole.startswith(b"-----BEGIN CERTIFICATE"):
        return []
    found = [whole, *(a or b for a, b in _INSIDE.findall(whole))]
    return list(dict.fromkeys(one for one in found if len(one) >= _SHORTEST))


def history(config: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    """Of the commands that made an image: step, what is given to it, and why that looks like a secret.

    An argument is noted of every step after it: it is told of the first.
    """
    told: set[str] = set()
    for step, one in enumerate(config.get("history") or [], 1):
        said = str(one.get("created_by") or "")
        if what := text(said.encode()):
            yield step, "", what
            continue
        noted = _ARGUMENT.match(said)
        given = _GIVEN.findall(noted[1] if noted else said)
        for key, value in given:
            # $TOKEN and ${TOKEN} name a variable; `--mount=type=secret` is how a secret should be given.
            if key not in told and (what := _valued(key, value.strip("\"'"))):
                told.add(key)
                yield step, key, what


def labels(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Labels whose value looks like a secret."""
    for key, value in ((config.get("config") or {}).get("Labels") or {}).items():
        if (what := text(str(value).encode())) or redact(str(value)) != str(value):
            yield key, what or "a value that looks secret"
