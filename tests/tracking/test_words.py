"""What went wrong, in one sentence, without secrets."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlgate.tracking import words

AT = "MLflow at https://mlflow.example.org"


@pytest.mark.parametrize(
    ("said", "status", "expected"),
    [
        ("HTTPConnectionPool: NewConnectionError('[Errno 111] Connection refused')", 0, f"{AT} cannot be reached."),
        ("Max retries: NameResolutionError(\"Failed to resolve 'x'\")", 0, f"{AT} has a name that nobody knows."),
        ("Caused by ReadTimeoutError: Read timed out. (read timeout=15)", 0, f"{AT} did not answer in time."),
        ("SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED", 0, f"{AT} has a certificate that is not trusted here."),
        ("Caused by ResponseError('too many 503 error responses')", 503, f"{AT} answered with an error (503)."),
        ("Caused by ResponseError('too many 429 error responses')", 429, f"{AT} is limiting requests (429)."),
        ("You are not authenticated.", 401, f"{AT} refused the credentials (401): look at MLFLOW_TRACKING_TOKEN, or "
         "MLFLOW_TRACKING_USERNAME and _PASSWORD."),
        ("Permission denied", 403, f"{AT} does not allow this with these credentials (403)."),
        ("<html>not found</html>", 404, f"{AT} knows no such address (404): is MLFLOW_TRACKING_URI right, and may the "
         "token see it?"),
        ("the response body was not in a valid JSON format. Response body: '<html>'", 200,
         f"{AT} answers, but not as MLflow does: is a login page in front of it?"),
        ("OSError: [Errno 28] No space left on device", 0, f"{AT} has no room left: the disk is full."),
        ("(sqlite3.OperationalError) database is locked", 0, f"{AT} is in use by another process."),
        ("RestException: INVALID_PARAMETER_VALUE: no\nsuch\x1b[31m thing", 400,
         f"{AT}: RestException: INVALID_PARAMETER_VALUE: no such [31m thing."),
        ("", 0, f"{AT}: it failed without a word."),
    ],
)  # fmt: skip
def test_sentences(said: str, status: int, expected: str) -> None:
    assert words.sentence(AT, said, status=status) == expected


@given(
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=40),
    st.text(max_size=30),
    st.text(max_size=30),
)
@example("glpat-xyz_123", "Authorization: Bearer ", "")
@example("hunter2!", "https://me:", "@host/path")
def test_no_sentence_holds_a_secret(secret: str, before: str, after: str) -> None:
    encoded = base64.b64encode(secret.encode()).decode()
    for travelling in (secret, encoded):
        sentence = words.sentence(AT, f"{before}{travelling}{after}", secrets=[secret])
        assert secret not in sentence or secret in AT or secret in before + after
        assert encoded not in sentence


def test_an_address_loses_its_user_and_password_even_when_nobody_said_that_it_is_a_secret() -> None:
    text = "connection to https://me:hunter2@host:5000/x and http://tok@h failed; Basic bWU6aHVudGVyMg=="
    assert words.redact(text) == "connection to https://***@host:5000/x and http://***@h failed; Basic ***"


def test_a_long_answer_is_cut() -> None:
    assert len(words.sentence(AT, "x" * 10_000)) < 300


def test_several_names() -> None:
    assert words.several(["a"]) == "`a`"
    assert words.several("abcde") == "`a`, `b`, `c` and 2 more"
