"""Where runs are kept: an MLflow server, GitLab's MLflow endpoint, or a sqlite file in the working folder."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mlgate.tracking.flat import Limits
from mlgate.tracking.words import redact

Kind = Literal["server", "gitlab", "sqlite", "none"]

_GITLAB = re.compile(r"(?P<root>.*)/api/v\d+/projects/(?P<project>[^/]+)/ml/mlflow")
_INSTEAD = "Give the address of an MLflow server (https://...), or sqlite:///mlflow.db for a file in the working folder"
# What a worker may need to reach a server: proxies and certificates. Nothing of the cloud's, nothing of the forge's.
_NETWORK = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS",
)


@dataclass(frozen=True)
class Store:
    """One address and what opens it. Secrets are in no representation of it.

    The address comes from the environment or from an option of the caller, never from mlgate.yaml: a pull request
    could point it, and with it the token, somewhere else.
    """

    uri: str  # without user and password
    token: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    network: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str], uri: str = "") -> Store | None:
        """The store that `uri`, else MLFLOW_TRACKING_URI, names; None without either. Never raises."""
        address = (uri or environ.get("MLFLOW_TRACKING_URI", "")).strip()
        if not address:
            return None
        address, user, password = _apart(address)
        network = {
            name: value
            for name, value in environ.items()
            if (name.upper() in _NETWORK) and value and (name.isupper() or name.lower().endswith("_proxy"))
        }
        return cls(
            uri=address,
            token=environ.get("MLFLOW_TRACKING_TOKEN", "").strip(),
            user=user or environ.get("MLFLOW_TRACKING_USERNAME", ""),
            password=password or environ.get("MLFLOW_TRACKING_PASSWORD", ""),
            network=network,
        )

    @property
    def scheme(self) -> str:
        return self.uri.split(":", 1)[0].lower() if ":" in self.uri else ""

    @property
    def kind(self) -> Kind:
        if self.scheme in ("http", "https"):
            return "gitlab" if self._gitlab else "server"
        return "sqlite" if self.scheme == "sqlite" else "none"

    @property
    def extra(self) -> Literal["track", "track-local"]:
        """The packages that speak to it."""
        return "track-local" if self.kind == "sqlite" else "track"

    @property
    def limits(self) -> Limits:
        return Limits(param=250) if self.kind == "gitlab" else Limits()

    @property
    def shown(self) -> str:
        """How sentences call it."""
        where = "GitLab's MLflow endpoint" if self.kind == "gitlab" else "MLflow"
        return f"{where} at {redact(self.uri, self.secrets)[:200]}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no sentence may hold. A user's name is none."""
        pair = f"{self.user}:{self.password}" if self.user and self.password else ""
        proxies = [value for name, value in self.network.items() if name.upper().endswith("PROXY")]
        parts = [p for value in proxies for p in _apart(value)[2:] if p]
        return tuple(s for s in (self.token, self.password, pair, *parts) if s)

    @property
    def gitlab(self) -> tuple[str, str]:
        """Root of the forge and the project (a number, or a path); empty for other stores."""
        found = self._gitlab
        return (found["root"], urllib.parse.unquote(found["project"])) if found else ("", "")

    @property
    def _gitlab(self) -> re.Match[str] | None:
        return _GITLAB.fullmatch(self.uri)

    def refused(self, folder: Path) -> str:
        """Why nothing can be logged there, in one sentence; empty when it can be tried."""
        if self.kind in ("server", "gitlab"):
            return self._odd_address()
        if self.kind == "sqlite":
            return self._odd_file(folder)
        if self.scheme.startswith("databricks") or self.scheme == "uc" or self.uri.startswith("databricks"):
            return f"Databricks is not supported: it signs in by its own SDK and profiles. {_INSTEAD}."
        if self.scheme.split("+")[0] in ("postgresql", "postgres", "mysql", "mssql", "oracle"):
            return f"A {self.scheme} database is what an MLflow server keeps its runs in. {_INSTEAD}."
        if self.scheme in ("", "file"):
            return f"MLflow keeps runs in plain folders no longer. {_INSTEAD}."
        return f"`{self.scheme[:40]}:` is no kind of MLflow store that is supported. {_INSTEAD}."

    def _odd_address(self) -> str:
        try:
            parts = urllib.parse.urlsplit(self.uri)
            port = parts.port
        except ValueError:
            return f"MLFLOW_TRACKING_URI is no address. {_INSTEAD}."
        if any(not c.isprintable() or c.isspace() for c in self.token):
            return "MLFLOW_TRACKING_TOKEN holds a space or a line break, so it is no token."
        if not parts.hostname or port == 0 or re.search(r"[\s\\\x00-\x1f]", self.uri):
            return f"MLFLOW_TRACKING_URI is no address. {_INSTEAD}."
        return ""

    def _odd_file(self, folder: Path) -> str:
        if "?" in self.uri:
            return "A sqlite store takes no options after `?`. Write sqlite:///mlflow.db."
        try:
            path, root = self.database(folder), folder.resolve()
        except (OSError, ValueError, RuntimeError):
            return "MLFLOW_TRACKING_URI names no file. Write sqlite:///mlflow.db."
        if path is None or path == root or path.is_dir():
            return "A sqlite store needs a file in the working folder. Write sqlite:///mlflow.db."
        if not path.is_relative_to(root) or ".git" in path.relative_to(root).parts:
            return f"The sqlite store {str(path)[:200]} lies outside the working folder. Write sqlite:///mlflow.db."
        return ""

    def database(self, folder: Path) -> Path | None:
        """The file of a sqlite store, links resolved; None for one in memory."""
        if not self.uri.lower().startswith("sqlite:///"):
            return None
        name = urllib.parse.unquote(self.uri[len("sqlite:///") :])
        return None if name in ("", ":memory:") else (folder / name).resolve()

    def page(self, experiment: str, run: str) -> str:
        """The run in a server's own pages."""
        return f"{self.uri}/#/experiments/{experiment}/runs/{run}" if self.kind == "server" else ""

    def environment(self) -> dict[str, str]:
        """What the worker, and nothing else, is given: credentials, proxies, certificates."""
        given = {
            "MLFLOW_TRACKING_TOKEN": self.token,
            "MLFLOW_TRACKING_USERNAME": self.user,
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }
        if self.kind == "sqlite":
            return {}
        if self.token and (self.kind == "gitlab" or not self.password):
            given = {"MLFLOW_TRACKING_TOKEN": self.token}
        return {**self.network, **{name: value for name, value in given.items() if value}}


def _apart(address: str) -> tuple[str, str, str]:
    """An address without user and password, query and fragment; and the two."""
    scheme, colon, rest = address.partition("://")
    if not colon or scheme.lower() not in ("http", "https"):
        return address, "", ""
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    user, _, host = host.rpartition("@")
    name, _, password = user.partition(":")
    clean = f"{scheme.lower()}://{host}{slash}{path}".rstrip("/")
    return clean, urllib.parse.unquote(name), urllib.parse.unquote(password)
