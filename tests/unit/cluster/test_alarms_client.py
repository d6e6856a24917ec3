"""What the operator makes of the answers of a server of alerting rules, good ones and bad ones."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tools.cluster.certificates import write_certificates
from tripswitch.cluster.alarms_client import (
    MAX_NAMES,
    AlarmsClient,
    AlarmsUnreadError,
    Source,
    build_query,
    parse_rules,
)
from tripswitch.domain.values.alarms import Alert, RuleReading

NAMES = ("Errors", "Slow")


def rule(name: str = "Errors", *alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "alerting", "name": name, "health": "ok", "alerts": list(alerts), **more}


def answer(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    groups = [{"name": "shop", "rules": list(rules)}]
    return {"status": "success", "data": {"groups": groups}, **more}


def alert(state: str = "firing", **annotations: str) -> dict[str, Any]:
    labels = {"alertname": "Errors", "namespace": "shop"}
    return {"state": state, "labels": labels, "annotations": annotations, "activeAt": "t1"}


class Server:
    """Answers what a test lays down, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.response: Any = lambda: web.json_response(answer(rule(), rule("Slow")))
        self.seconds = 0.0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        await asyncio.sleep(self.seconds)
        response: web.StreamResponse = self.response()
        return response


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Server, str]]:
    """Yield the server and its address."""
    server, application = Server(), web.Application()
    application.router.add_get("/prometheus/api/v1/rules", server.handle)
    running = TestServer(application, scheme="http" if context is None else "https")
    await running.start_server(ssl=context)
    try:
        yield server, str(running.make_url("/prometheus"))
    finally:
        await running.close()


async def problem(client: AlarmsClient) -> str:
    with pytest.raises(AlarmsUnreadError) as raised:
        await client.read(NAMES)
    return str(raised.value)


# --- what an answer says ---


def test_a1_an_alert_has_its_labels_and_its_summary() -> None:
    found = parse_rules(answer(rule("Errors", alert(summary="5 % fail"), alert("pending"))), NAMES)
    labels = {"alertname": "Errors", "namespace": "shop"}
    assert found.known == {"Errors"}
    assert found.alerts == (
        Alert("Errors", labels, "5 % fail", "t1", firing=True),
        Alert("Errors", labels, "", "t1", firing=False),
    )
    assert (dict(found.unread), found.complete) == ({}, True)


def test_a1_a_description_serves_as_a_summary_and_is_bounded_and_clean() -> None:
    words = "\x1b[31m" + "x" * 1000
    found = parse_rules(answer(rule("Errors", alert(description=words))), NAMES)
    assert found.alerts[0].summary == "x" * (256 - len("\x1b[31m"))


def test_a1_rules_of_other_names_and_recording_rules_say_nothing() -> None:
    recording = {"type": "recording", "name": "Errors", "health": "ok"}
    assert parse_rules(answer(rule("Other", alert()), recording), NAMES) == RuleReading()


def test_a1_an_alert_without_labels_of_its_own_has_those_of_its_rule() -> None:
    bare = {"state": "firing"}
    found = parse_rules(answer(rule("Errors", bare, labels={"namespace": "shop"})), NAMES)
    assert found.alerts[0].labels == {"namespace": "shop"}


def test_a2_a_rule_that_was_not_evaluated_well_is_unread() -> None:
    broken = rule("Errors", health="err", lastError="many-to-many matching")
    young = rule("Slow", health="unknown")
    found = parse_rules(answer(broken, young), NAMES)
    assert found.unread == {
        "Errors": "many-to-many matching",
        "Slow": "the rule has not been evaluated yet",
    }


def test_a2_one_bad_rule_of_two_with_the_same_name_makes_it_unread() -> None:
    found = parse_rules(answer(rule("Errors", health="err"), rule("Errors")), NAMES)
    assert set(found.unread) == {"Errors"}


def test_a2_an_answer_with_warnings_is_not_complete() -> None:
    assert not parse_rules(answer(rule(), warnings=["a store is away"]), NAMES).complete


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"status": "error", "error": "x"},
        {"status": "success"},
        {"status": "success", "data": {"groups": None}},
    ],
    ids=str,
)
def test_a2_another_answer_is_none(body: Any) -> None:
    with pytest.raises(AlarmsUnreadError, match="not that of Prometheus"):
        parse_rules(body, NAMES)


def test_a1_with_too_many_names_all_rules_are_asked_for() -> None:
    assert len(build_query(["x" * MAX_NAMES])) == 2
    assert build_query(["x" * MAX_NAMES, "y"]) == [("type", "alert")]


# --- over HTTP ---


async def test_a1_one_request_with_all_names() -> None:
    async with serving() as (server, url):
        found = await AlarmsClient(Source(url + "/")).read(NAMES)
    assert found == RuleReading(frozenset(NAMES))
    (request,) = server.asked
    assert request.query_string == "type=alert&rule_name[]=Errors&rule_name[]=Slow"
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("response", "words"),
    [
        pytest.param(lambda: web.Response(status=401), "HTTP status 401", id="401"),
        pytest.param(lambda: web.Response(status=503), "HTTP status 503", id="503"),
        pytest.param(
            lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
            "HTTP status 302",
            id="a redirection",
        ),
        pytest.param(lambda: web.Response(text="<html>"), "JSONDecodeError", id="no JSON"),
        pytest.param(
            lambda: web.Response(body=b"\xff"), "the answer is no UTF-8", id="no text either"
        ),
        pytest.param(
            lambda: web.Response(text='{"a":' * 150_000),
            "the answer is nested too deeply",
            id="nested too deeply",
        ),
        pytest.param(
            lambda: web.Response(text="x" * 2_000_000),
            "the answer is longer than 1000000 bytes",
            id="too long",
        ),
    ],
)
async def test_a2_a_refusal_is_told(response: Any, words: str) -> None:
    async with serving() as (server, url):
        server.response = response
        assert await problem(AlarmsClient(Source(url), max_bytes=1_000_000)) == words


async def test_a2_a_slow_server_is_not_waited_for() -> None:
    async with serving() as (server, url):
        server.seconds = 30
        assert await problem(AlarmsClient(Source(url), seconds=0.05)) == "no answer in time"


async def test_a2_nobody_there() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{probe.getsockname()[1]}"
        told = await problem(AlarmsClient(Source(url)))
    assert told.startswith("cannot connect: ")
    assert "secret" not in told


async def test_the_token_is_read_for_each_request(tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with serving() as (server, url):
        client = AlarmsClient(Source(url, token_file=str(token)))
        for word in ("first", "second"):
            token.write_text(f"{word}\n")
            await client.read(NAMES)
        assert [one.headers["Authorization"] for one in server.asked] == [
            "Bearer first",
            "Bearer second",
        ]
        for words in ("one\ntwo", "\u00e9"):
            token.write_text(words)
            assert await problem(client) == "the token file is not one line of ASCII text"
        token.unlink()
        assert await problem(client) == f"{token}: No such file or directory"


async def test_a_private_authority_is_trusted_if_it_is_given(tmp_path: Path) -> None:
    for name in ("ours", "other"):
        write_certificates(tmp_path / name, ["127.0.0.1"])
    ours, ca = tmp_path / "ours", tmp_path / "ca.crt"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ours / "server.crt", ours / "server.key")
    async with serving(context) as (_, url):
        assert url.startswith("https://")
        untrusted = "the certificate of the server is not trusted"
        assert await problem(AlarmsClient(Source(url))) == untrusted
        client = AlarmsClient(Source(url, ca_file=str(ca)))
        assert await problem(client) == "the CA file cannot be read: No such file or directory"
        ca.write_bytes((tmp_path / "other" / "ca.crt").read_bytes())
        assert await problem(client) == untrusted
        ca.write_bytes((ours / "ca.crt").read_bytes())
        assert (await client.read(NAMES)).known == frozenset(NAMES), "read for each request"
        ca.write_text("no certificate")
        assert "the CA file cannot be read: " in await problem(client)


async def test_a2_what_speaks_no_http_is_told() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        told = await problem(AlarmsClient(Source(f"http://127.0.0.1:{port}")))
    assert told in ("ClientResponseError", "ServerDisconnectedError", "the answer is no HTTP")
