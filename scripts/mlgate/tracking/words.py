"""What went wrong with MLflow, in one sentence, and never with a secret in it."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Iterable

_LONGEST = 240  # characters of somebody else's words
# Most telling first: what a message says, and what it comes to.
_SAYINGS = (
    (r"CERTIFICATE_VERIFY_FAILED|SSLError|certificate verify", "has a certificate that is not trusted here"),
    (r"NameResolutionError|Name or service not known|name resolution|getaddrinfo", "has a name that nobody knows"),
    (r"Connection refused|NewConnectionError|No route to host|Network is unreachable", "cannot be reached"),
    (r"ReadTimeout|Read timed out|ConnectTimeout|connect timeout", "did not answer in time"),
    (r"RemoteDisconnected|Connection aborted|Connection reset|ProtocolError", "broke off the connection"),
    (r"too many (429) error responses", "is limiting requests ({code})"),
    (r"too many (5\d\d) error responses", "answered with an error ({code})"),
    (r"not in a valid JSON format|JSONDecodeError", "answers, but not as MLflow does: is a login page in front of it?"),
    (r"No space left on device|database or disk is full|Disk quota exceeded", "has no room left: the disk is full"),
    (r"database is locked", "is in use by another process"),
    (r"file is not a database|malformed", "is no sqlite database, or a broken one"),
    (
        r"readonly database|Read-only file system|unable to open database|NotADirectory|FileExists",
        "cannot be written to",
    ),
    (r"out-of-date database schema|Can't locate revision", "is of another version of MLflow: `mlflow db upgrade`"),
)
_STATUSES = {
    401: "refused the credentials (401): look at MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD",
    403: "does not allow this with these credentials (403)",
    404: "knows no such address (404): is MLFLOW_TRACKING_URI right, and may the token see it?",
    405: "does not take such requests (405): is MLFLOW_TRACKING_URI right?",
    413: "takes no request of this size (413)",
    429: "is limiting requests (429)",
}


def sentence(at: str, said: str, *, status: int = 0, secrets: Iterable[str] = ()) -> str:
    """One sentence about a failure. `said` is the exception's text, `status` the last HTTP status, 0 for no answer."""
    clean = redact(said, secrets)
    for pattern, meaning in _SAYINGS:
        if found := re.search(pattern, clean):
            code = found.group(1) if found.groups() else ""
            return _ended(f"{at} {meaning.format(code=code)}")
    if status in _STATUSES:
        return _ended(f"{at} {_STATUSES[status]}")
    if status >= 500:
        return f"{at} answered with an error ({status})."
    return f"{at}: {brief(clean) or 'it failed without a word'}."


def _ended(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


def brief(said: str) -> str:
    """The first words of a longer text, on one line, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    return (line[: _LONGEST - 1] + "…" if len(line) > _LONGEST else line).rstrip(".")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Without the secrets, in any of the forms they travel in, and without `user:password@` of any address."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in (secret, base64.b64encode(secret.encode()).decode(), urllib.parse.quote(secret, safe="")):
            text = text.replace(form, "***")
    text = re.sub(r"(?i)\b(Bearer|Basic)\s+[\w.~+/=-]{4,}", r"\1 ***", text)
    return re.sub(r"(?<=://)[^/\s@'\"]+@", "***@", text)


def several(names: Iterable[str], most: int = 3) -> str:
    """`a`, `b`, `c` and 4 more."""
    found = list(names)
    shown = ", ".join(f"`{brief(name)}`" for name in found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most:,} more"
