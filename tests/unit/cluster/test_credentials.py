"""Where the API server is, and by which way it is reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.cluster.fake_api import answer, serve
from tripswitch.cluster.credentials import Credentials
from tripswitch.cluster.resources import PODS


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """A kubeconfig whose cluster is https://api.example:6443."""
    path = tmp_path / "config"
    config = {
        "clusters": [{"name": "a", "cluster": {"server": "https://api.example:6443"}}],
        "users": [{"name": "a", "user": {"token": "secret"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        ({"HTTP_PROXY": "http://proxy.example:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "api.example"}, None),
    ],
)
async def test_the_proxy_that_the_environment_names_is_used(
    kubeconfig: Path,
    environment: dict[str, str],
    proxy: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    credentials = Credentials(str(kubeconfig))
    await credentials.load()
    assert credentials.configuration.proxy == proxy


async def test_a_proxy_of_the_kubeconfig_comes_before_the_environments(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(kubeconfig.read_text())
    config["clusters"][0]["cluster"]["proxy-url"] = "http://own.example:3128"
    kubeconfig.write_text(json.dumps(config))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    credentials = Credentials(str(kubeconfig))
    await credentials.load()
    assert credentials.configuration.proxy == "http://own.example:3128"


async def test_a_netrc_file_takes_no_part_in_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    async def handle(request: web.Request) -> web.Response:
        return answer({"authorization": request.headers["Authorization"]})

    async with serve(handle, token="secret") as client:
        answered = await client.request("GET", PODS.path("shop", "web-1"))
        assert answered == {"authorization": "Bearer secret"}
