"""What could be a secret, kept out of words and out of environments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_USERINFO = re.compile(r"(?<=://)[^/@\s]*:?[^/@\s]*@")
_QUERY = re.compile(
    r"(?<=[?&])([^=&\s]*(?:sig|token|key|secret|password|credential)[^=&\s]*)=[^&\s'\"]+", re.IGNORECASE
)
_ASSIGNED = re.compile(
    r"\b((?:[\w-]*(?:password|passwd|secret|token|access_key|account_key|sas|connection_string)[\w-]*)\s*[=:]\s*)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s,;'\"]+)",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Without what could be a secret: user and password of an address, signed query strings, `password=...`."""
    text = _USERINFO.sub("***@", text)
    text = _QUERY.sub(r"\1=***", text)
    return _ASSIGNED.sub(r"\1***", text)


_PASSWORD = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
_LOOKS_SECRET = re.compile(
    r".*(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL).*|.*_KEY|.*_KEY_ID|.*CONNECTION_STRING.*|.*_SAS"
    r"|.*APIKEY|.*_(?:PASS|PWD|PAT|DSN|AUTH|JWT)|PGPASSFILE|KUBECONFIG|DOCKER_CONFIG"
    r"|(?:AWS|AZURE|GITHUB|CI_JOB|ACTIONS|GITLAB|MLFLOW_TRACKING|MLGATE|OSS|TWINE|DOCKER_AUTH)_.*"
    r"|GOOGLE_APPLICATION_CREDENTIALS|CLOUDSDK_.*|(?:UV|PIP)_.*INDEX.*|NETRC|SSH_AUTH_SOCK|GIT_ASKPASS|SSH_ASKPASS",
    re.IGNORECASE,
)


def without(environ: Mapping[str, str], *, named: Iterable[str] = (), allowed: Iterable[str] = ()) -> dict[str, str]:
    """The environment that project code sees: nothing that looks like a credential, or was `named` as one, and no
    address that holds a password.

    `allowed` are the exceptions that train.environment names.
    """
    kept, gone = set(allowed), set(named)
    return {
        name: value
        for name, value in environ.items()
        if name in kept or not (name in gone or _LOOKS_SECRET.fullmatch(name) or _PASSWORD.search(value))
    }
