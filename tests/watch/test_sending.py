"""Messages over the wire: what services get, what is tried again, and what is said of those that do not take it."""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests

from mlgate.watch.sending import TRIES, Incident, Letter, Sent, send
from receiving import MailServer, NotifyJSON, NotifySlack, Receiver, pagerduty

SECRET = "TIiajkdnlazkcOXrIdevi7FQ"
SLACK = f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{SECRET}"
ROUTING = "e93facc04764012d7bfb002500d5d1a6"
LETTER = Letter(
    title="[critical] visits in production: drift",
    text="critical visits in production: drift\n  psi.age 0.31 > 0.2",
    markdown="**critical** `visits` in `production`: `drift`\n- `psi.age 0.31 > 0.2`",
    mood="critical",
    link="https://ci.example.org/runs/1",
    incidents=(
        Incident("mlgate/visits/production/drift", "critical", "visits: drift psi.age 0.31 > 0.2",
                 "https://ci.example.org/runs/1", "visits/production"),
    ),
)  # fmt: skip


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Slack and PagerDuty, as far as their addresses go."""
    with Receiver() as receiver:
        monkeypatch.setattr(NotifySlack, "webhook_url", f"http://{receiver.host}/services")
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", f"http://{receiver.host}/v2/enqueue")
        yield receiver


def quick(address: str, letter: Letter = LETTER) -> tuple[Sent, list[float]]:
    """Waits are noted, not waited."""
    waits: list[float] = []
    return send(address, letter, sleep=waits.append), waits


# -- what services get -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [SLACK, f"slack://T1JJ3T3L2/A1BRTD4JD/{SECRET}"])
def test_slack_gets_what_an_incoming_webhook_takes(service: Receiver, address: str) -> None:
    assert quick(address) == (Sent(ok=True, tries=1), [])
    [request] = service.seen
    assert request.path == f"/services/T1JJ3T3L2/A1BRTD4JD/{SECRET}"
    assert request.headers["Content-Type"].startswith("application/json")
    [shown] = request.json["attachments"]
    assert request.json["mrkdwn"] is True
    assert shown["title"] == "[critical] visits in production: drift"
    assert "`psi.age 0.31 &gt; 0.2`" in shown["text"]  # Slack wants these three characters escaped, and no others
    assert "*critical*" in shown["text"]
    assert set(shown) <= {"title", "text", "color", "footer", "ts", "fallback"}


def test_pagerduty_gets_an_event_of_its_second_version(service: Receiver) -> None:
    assert quick(f"pagerduty://{ROUTING}@{'b' * 32}")[0].ok
    [request] = service.seen
    assert request.path == "/v2/enqueue"
    assert request.json == {
        "routing_key": ROUTING,
        "event_action": "trigger",
        "dedup_key": "mlgate/visits/production/drift",
        "payload": {
            "summary": "visits: drift psi.age 0.31 > 0.2",
            "severity": "critical",
            "source": "visits/production",
            "component": "mlgate",
        },
        "links": [{"href": "https://ci.example.org/runs/1"}],
        "client": "mlgate",
    }


def test_pagerduty_gets_each_matter_as_an_incident_of_its_own_and_ends_it(service: Receiver) -> None:
    two = (Incident("one", "warn", "first"), Incident("two", "recovered", "second"))
    assert quick(f"pagerduty://{ROUTING}@{'b' * 32}", Letter("t", "t", "t", "warn", incidents=two))[0].ok
    begun, ended = (request.json for request in service.seen)
    assert (begun["event_action"], begun["dedup_key"], begun["payload"]["severity"]) == ("trigger", "one", "warning")
    assert ended == {"routing_key": ROUTING, "event_action": "resolve", "dedup_key": "two"}


def test_pagerdutys_keys_and_summaries_are_no_longer_than_it_takes(service: Receiver) -> None:
    long = Letter("t", "t", "t", "warn", incidents=(Incident("k" * 300, "warn", "s" * 3_000),))
    assert quick(f"pagerduty://{ROUTING}@{'b' * 32}", long)[0].ok
    assert len(service.seen[0].json["dedup_key"]) == 255
    assert len(service.seen[0].json["payload"]["summary"]) <= 1_024


def test_what_an_address_says_itself_is_not_overruled(service: Receiver) -> None:
    quick(f"pagerduty://{ROUTING}@{'b' * 32}/billing?dedup=mine&action=resolve&click=https://wiki.example.org")
    assert service.seen[0].json == {"routing_key": ROUTING, "event_action": "resolve", "dedup_key": "mine"}
    quick(f"pagerduty://{ROUTING}@{'b' * 32}/billing")
    assert service.seen[1].json["payload"]["source"] == "billing"


def test_a_webhook_of_ones_own_gets_json(service: Receiver) -> None:
    assert quick(f"json://ada:{SECRET}@{service.host}/hook")[0].ok
    said = service.seen[0].json
    assert (said["title"], said["type"]) == (LETTER.title, "failure")
    assert "`psi.age 0.31 > 0.2`" in said["message"]


@pytest.mark.parametrize(("mood", "kind"), [("info", "info"), ("warn", "warning"), ("recovered", "success")])
def test_services_are_told_how_bad_it_is(service: Receiver, mood: str, kind: str) -> None:
    quick(f"json://{service.host}/hook", Letter("t", "t", "t", mood))  # type: ignore[arg-type]
    assert service.seen[0].json["type"] == kind


def test_an_address_may_be_several(service: Receiver) -> None:
    assert quick(f"json://{service.host}/one\n  json://{service.host}/two")[0].ok
    assert [request.path for request in service.seen] == ["/one", "/two"]
    service.answer(404)
    sent, _ = quick(f"json://{service.host}/one json://{service.host}/two")
    assert (sent.ok, sent.said[:16], len(service.seen)) == (False, "address 1 of 2: ", 4)


def test_a_message_that_is_too_long_is_cut_between_lines_and_says_where_the_rest_is(
    service: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifyJSON, "body_maxlen", 200)
    lines = "\n".join(f"- `psi.column_{number} 0.31 > 0.2`" for number in range(40))
    quick(f"json://{service.host}/hook", Letter("title", lines, lines, "warn", "https://ci.example.org/runs/1"))
    said = service.seen[0].json["message"]
    assert len(said) <= 200
    *kept, last = said.split("\n")
    assert last == "(cut; the rest: https://ci.example.org/runs/1)"
    assert kept == lines.split("\n")[: len(kept)]


# -- with patience -----------------------------------------------------------------------------------------------------


def test_after_429_it_waits_as_long_as_it_is_asked_to(service: Receiver) -> None:
    service.answer(429, {"Retry-After": "3"})
    sent, waits = quick(SLACK)
    assert (sent.ok, sent.tries, waits) == (True, 2, [3.0])
    service.answer(429, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)})
    sent, waits = quick(SLACK)
    assert sent.ok
    assert 10 < waits[0] <= 20


@pytest.mark.parametrize("status", [500, 502, 503, 504, 0])
def test_what_may_pass_is_tried_again(service: Receiver, status: int) -> None:
    service.answer(status, times=TRIES - 1)
    sent, waits = quick(SLACK)
    assert (sent.ok, sent.tries, len(waits)) == (True, TRIES, TRIES - 1)
    assert waits == sorted(waits)


def test_it_does_not_try_for_ever(service: Receiver) -> None:
    service.answer(500, times=99)
    sent, _ = quick(SLACK)
    assert sent == Sent(ok=False, said="the service answered 500", tries=TRIES)
    assert len(service.seen) == TRIES


def test_a_wait_that_is_too_long_is_said_and_not_waited(service: Receiver) -> None:
    service.answer(429, {"Retry-After": "3600"})
    sent, waits = quick(SLACK)
    assert (sent.ok, waits, len(service.seen)) == (False, [], 1)
    assert "limits the rate of messages (429) and asks to wait 3600 seconds" in sent.said


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_will_not_pass_is_tried_once(service: Receiver, status: int) -> None:
    service.answer(status)
    sent, waits = quick(SLACK)
    assert (sent.ok, sent.tries, waits) == (False, 1, [])
    assert f"answered {status}" in sent.said


def test_of_several_incidents_only_the_request_that_failed_is_repeated(service: Receiver) -> None:
    two = (Incident("one", "warn", "first"), Incident("two", "warn", "second"))
    service.answer(202)
    service.answer(500)
    assert quick(f"pagerduty://{ROUTING}@{'b' * 32}", Letter("t", "t", "t", "warn", incidents=two))[0].ok
    assert [request.json["dedup_key"] for request in service.seen] == ["one", "two", "two"]


def test_one_incident_that_is_refused_does_not_keep_back_the_next(service: Receiver) -> None:
    two = (Incident("one", "warn", "first"), Incident("two", "warn", "second"))
    service.answer(400)
    assert not quick(f"pagerduty://{ROUTING}@{'b' * 32}", Letter("t", "t", "t", "warn", incidents=two))[0].ok
    assert [request.json["dedup_key"] for request in service.seen] == ["one", "two"]


def test_a_200_that_is_no_yes_is_not_taken_for_one() -> None:
    with Receiver(body=b"invalid_token") as receiver, pytest.MonkeyPatch.context() as patch:
        patch.setattr(NotifySlack, "webhook_url", f"http://{receiver.host}/services")
        assert quick(SLACK)[0] == Sent(ok=False, said="the service answered 200, and did not take it", tries=1)


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        sent, _ = quick(f"json://127.0.0.1:{free.getsockname()[1]}/hook")
    assert sent == Sent(ok=False, said="the service cannot be reached", tries=TRIES)


def test_one_who_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sent, _ = quick(f"json://127.0.0.1:{silent.getsockname()[1]}/hook?rto=0.1")
    assert sent == Sent(ok=False, said="the service did not answer in time", tries=TRIES)


# -- mail --------------------------------------------------------------------------------------------------------------


def test_mail_is_plain_text_with_a_subject() -> None:
    with MailServer() as server:
        assert quick(f"mailto://127.0.0.1:{server.port}?from=gate@example.org&to=ada@example.org")[0].ok
        [(to, mail)] = server.got
    assert to == ["ada@example.org"]
    assert mail["Subject"] == LETTER.title
    assert mail.get_content_type() == "text/plain"
    assert b"psi.age 0.31 > 0.2" in mail.get_payload(decode=True)  # type: ignore[operator]


def test_mail_that_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with MailServer(refuse=1) as server:
        assert quick(f"mailto://127.0.0.1:{server.port}?from=gate@example.org&to=ada@example.org&wait=0")[0].ok
        assert (server.tries, len(server.got)) == (2, 1)


def test_why_mail_could_not_be_sent() -> None:
    with warnings.catch_warnings(), MailServer(user="ada", password="right") as server:
        warnings.simplefilter("ignore")  # the server warns that it asks for a password without TLS
        sent, _ = quick(
            f"mailto://ada:{SECRET}@127.0.0.1:{server.port}?from=gate@example.org&to=bob@example.org&wait=0"
        )
        assert sent == Sent(ok=False, said="the mail server refused the name or the password (535)")
    sent, _ = quick(f"mailto://ada:{SECRET}@127.0.0.1:9?from=gate@example.org&to=bob@example.org&wait=0")
    assert sent == Sent(ok=False, said="the mail server cannot be reached")


# -- addresses are secrets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "its variable is empty, or was not passed on to this step"),
        (" \n", "its variable is empty, or was not passed on to this step"),
        (f"https://example.org/{SECRET}", "write `jsons://` instead of `https://`"),
        (f"http://example.org/{SECRET}", "write `json://` instead of `http://`"),
        (f"slack://{SECRET}", "none that apprise can read"),
        (f"nonsense://{SECRET}", "none that apprise can read"),
        (SECRET, "none that apprise can read"),
        (f"pagerduty://{SECRET}", "none that apprise can read"),
    ],
)
def test_an_address_that_is_none_is_said_without_it(address: str, said: str) -> None:
    sent, _ = quick(address)
    assert not sent.ok
    assert said in sent.said
    assert SECRET not in sent.said


def test_no_address_gets_into_a_log(
    service: Receiver, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    service.answer(500, times=2)
    service.answer(404)
    for address in (
        SLACK,
        f"slack://{SECRET}",
        f"json://u:{SECRET}@127.0.0.1:9/{SECRET}",
        f"mailto://u:{SECRET}@127.0.0.1:9",
    ):
        sent, _ = quick(address)
        assert SECRET not in repr(sent)
    out, err = capfd.readouterr()
    assert SECRET not in out + err + caplog.text
    assert (out, err) == ("", "")


def test_nothing_of_it_stays_behind(service: Receiver) -> None:
    before = requests.Session.send
    logger = logging.getLogger("apprise")
    kept = (logger.handlers[:], logger.propagate, logger.level)
    quick(SLACK)
    assert requests.Session.send is before
    assert (logger.handlers, logger.propagate, logger.level) == kept


def test_a_plugin_that_breaks_is_said_and_raises_nothing(service: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> bool:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(NotifySlack, "send", broken)
    sent, _ = quick(SLACK)
    assert not sent.ok
    assert SECRET not in sent.said
