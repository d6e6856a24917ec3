"""The command line, the log lines, and the ways in which the process ends."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.request import getproxies

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from tests.unit.cluster.fake_api import answer
from tripswitch.cluster.alarms_client import Source
from tripswitch.cluster.log_context import about
from tripswitch.cluster.notify import Target
from tripswitch.domain.values.protection import Mode
from tripswitch.shell import __main__ as command
from tripswitch.shell.flags import Flags
from tripswitch.shell.logs import JsonFormatter, TextFormatter, configure_logging
from tripswitch.shell.options import Options, read_options
from tripswitch.shell.process import RARE_COLLECTIONS, USUAL_COLLECTIONS, freeze_what_is_there, run

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("tripswitch")
    before = (root.handlers[:], root.level, own.level)
    yield
    root.handlers[:], root.level, own.level = before


@pytest.mark.usefixtures("logging_as_before")
def test_options_reach_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Options] = []

    async def keep(options: Options) -> int:
        given.append(options)
        return 3

    main = command.build_command(keep)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    line = (
        "-n shop --namespace bank --kubeconfig file --workers 2 --health-port 0 --log-level debug"
    )
    result = CliRunner().invoke(main, line.split())
    assert result.exit_code == 3
    wanted = Options(
        ("shop", "bank"),
        "file",
        workers=2,
        health_port=0,
        log_level="debug",
        check_references=False,
    )
    assert given == [wanted]


@pytest.mark.usefixtures("logging_as_before")
def test_a_proxy_without_a_scheme_is_an_http_proxy_for_every_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """kopf, alarms and notifications take the environment's as it is."""
    found: list[dict[str, str]] = []

    async def look(_: Options) -> int:
        found.append(getproxies())
        return 0

    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "https://proxy.example:3128")
    CliRunner().invoke(command.build_command(look), [])
    (proxies,) = found
    assert proxies["https"] == "http://proxy.example:3128"
    assert proxies["http"] == "https://proxy.example:3128"


@pytest.mark.parametrize("line", ["--workers 0", "--log-format xml", "--health-port 99999"])
def test_nonsense_is_refused(line: str) -> None:
    assert CliRunner().invoke(command.main, line.split()).exit_code == 2


async def test_without_credentials_it_says_so_and_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = Options(kubeconfig=str(tmp_path / "nothing"), health_port=0)
    assert await run(options) == 1
    assert "cannot start: no usable credentials" in caplog.text


async def list_nothing(_: web.Request) -> web.Response:
    return answer({"metadata": {"resourceVersion": "1"}, "items": []})


def write_kubeconfig(folder: Path, server: str) -> Path:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "current-context": "it",
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                "clusters": [{"name": "it", "cluster": {"server": server}}],
                "users": [{"name": "it", "user": {"token": "t"}}],
            }
        )
    )
    return kubeconfig


async def test_without_an_api_server_it_says_so_and_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kubeconfig = write_kubeconfig(tmp_path, "http://127.0.0.1:1")
    assert await run(Options(kubeconfig=str(kubeconfig), health_port=0)) == 1
    assert "cannot start" in caplog.text


async def test_a_health_port_in_use_ends_in_one_clear_line_before_anything_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    application = web.Application()
    application.router.add_get(
        "/apis/tripswitch.dev/v1alpha1/guardeddeployments",
        list_nothing,
    )
    server = TestServer(application)
    await server.start_server()
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        kubeconfig = write_kubeconfig(tmp_path, str(server.make_url("")))
        assert await run(Options(kubeconfig=str(kubeconfig), health_port=port)) == 1
        (line,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
        assert line.getMessage().startswith(f"cannot start: health port {port}: ")
        assert "in use" in line.getMessage()
        assert line.exc_info is None
    await server.close()
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"watch", "kopf"})


def test_json_lines_can_be_read_by_machines() -> None:
    try:
        int("why")
    except ValueError:
        record = logging.LogRecord(
            "tripswitch.x", logging.ERROR, "f", 1, "a %s\nb", ("word",), sys.exc_info()
        )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["level"], read["logger"], read["message"]) == (
        "ERROR",
        "tripswitch.x",
        "a word\nb",
    )
    assert "ValueError: invalid literal" in read["exception"]
    assert read["time"].endswith("+00:00")


def write_line(formatter: logging.Formatter, **extra: Any) -> str:
    record = logging.makeLogRecord(
        {"name": "tripswitch.x", "levelname": "INFO", "msg": "RolloutStarted"}
    )
    record.__dict__.update(extra)
    return formatter.format(record)


def test_a_json_line_has_the_object_and_the_revision_as_fields() -> None:
    whole = json.loads(write_line(JsonFormatter(), **about(("shop", "web"), revision=2)))
    assert (whole["namespace"], whole["name"], whole["revision"]) == ("shop", "web", 2)
    assert whole["message"] == "RolloutStarted"
    assert "revision" not in json.loads(write_line(JsonFormatter(), **about(("shop", "web"))))
    assert not {"namespace", "name"} & set(json.loads(write_line(JsonFormatter())))


def test_a_text_line_has_the_object_before_the_message() -> None:
    line = write_line(TextFormatter(), **about(("shop", "web"), revision=2))
    assert line.endswith(" INFO tripswitch.x: shop/web: RolloutStarted")
    assert write_line(TextFormatter()).endswith(" INFO tripswitch.x: RolloutStarted")


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize("style", ["text", "json"])
def test_libraries_speak_only_when_something_is_wrong(style: str) -> None:
    configure_logging("info", style)
    assert logging.getLogger("tripswitch.shell").isEnabledFor(logging.INFO)
    assert not logging.getLogger("kopf.objects").isEnabledFor(logging.INFO)


def test_what_was_listed_at_the_start_is_left_out_of_garbage_collections() -> None:
    listed = [[number] for number in range(1000)]
    gc.set_threshold(RARE_COLLECTIONS)
    freeze_what_is_there()
    try:
        assert gc.get_freeze_count() > len(listed)
        assert not any(one is listed for one in gc.get_objects())
        assert gc.get_threshold() == USUAL_COLLECTIONS
    finally:
        gc.unfreeze()


@pytest.mark.usefixtures("logging_as_before")
def test_evidence_and_notifications_are_options_and_the_key_is_no_argument(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Options] = []

    async def keep(options: Options) -> int:
        given.append(options)
        return 0

    main = command.build_command(keep)
    monkeypatch.setenv("TRIPSWITCH_NOTIFY_SECRET", KEY)
    line = "--log-evidence=false --notify-url=http://hook.example/a?b"
    assert CliRunner().invoke(main, line.split()).exit_code == 0
    assert not given[0].log_evidence
    assert given[0].notify == Target("http://hook.example/a?b", KEY)
    CliRunner().invoke(main, [])
    assert given[1].log_evidence
    assert given[1].notify is None


def test_a_key_that_receivers_cannot_use_is_refused_at_the_start() -> None:
    result = CliRunner().invoke(
        command.main,
        ["--notify-url=http://hook.example"],
        env={"TRIPSWITCH_NOTIFY_SECRET": "hush, a password"},
    )
    assert result.exit_code == 2
    assert (
        "$TRIPSWITCH_NOTIFY_SECRET cannot sign notifications: the key is not base64"
        in result.output
    )
    assert "hush" not in result.output


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        ([], Mode.ENFORCE),
        (["--guard-workloads=enforce"], Mode.ENFORCE),
        (["--guard-workloads=observe"], Mode.OBSERVE),
        (["--guard-workloads=off"], None),
    ],
)
def test_guarding_existing_workloads_can_be_limited_and_switched_off(
    words: list[str], mode: Mode | None
) -> None:
    """G7: the chart sets it together with the rights."""
    context = command.main.make_context("operator", list(words))
    assert read_options(cast("Flags", context.params)).guard_workloads is mode


@pytest.mark.parametrize("url", ["hook.example", "ftp://hook.example", "http://"])
def test_an_address_that_is_none_is_refused_at_the_start(url: str) -> None:
    result = CliRunner().invoke(command.main, [f"--notify-url={url}"])
    assert result.exit_code == 2
    assert "must be an http or https URL" in result.output


@pytest.mark.parametrize(
    ("line", "environment", "source"),
    [
        pytest.param("", {}, None, id="not set up"),
        pytest.param("--alarms-url=http://p:9090", {}, Source("http://p:9090"), id="an address"),
        pytest.param(
            "",
            {"TRIPSWITCH_ALARMS_URL": "http://p:9090"},
            Source("http://p:9090"),
            id="by variable",
        ),
        pytest.param(
            "--alarms-url=https://p --alarms-ca-file=ca.crt --alarms-token-file=token "
            "--alarms-namespace-label=kubernetes_namespace",
            {},
            Source("https://p", "ca.crt", "token", "kubernetes_namespace"),
            id="all of it",
        ),
    ],
)
def test_a1_where_alarms_are_read_from(
    line: str, environment: dict[str, str], source: Source | None
) -> None:
    with CliRunner().isolation(env=environment):
        context = command.main.make_context("", line.split())
    assert read_options(cast("Flags", context.params)).alarms == source


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--alarms-url=prometheus:9090", "must be an http or https URL"),
        ("--alarms-token-file=token", "need --alarms-url"),
        ("--alarms-ca-file=ca.crt", "need --alarms-url"),
        ("--alarms-url=http://p --alarms-namespace-label=", "must be a label name of Prometheus"),
        (
            "--alarms-url=http://p --alarms-namespace-label=a.b",
            "must be a label name of Prometheus",
        ),
    ],
)
def test_a1_wrong_options_about_alarms_are_refused(line: str, words: str) -> None:
    result = CliRunner().invoke(command.main, line.split())
    assert result.exit_code == 2
    assert words in result.output
