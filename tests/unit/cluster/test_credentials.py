"""Where the API server is, and by which way it is reached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.cluster.fake_api import answer, serve
from tripswitch.cluster.credentials import Credentials
from tripswitch.cluster.errors import UnauthorizedError
from tripswitch.cluster.http_transport import HttpTransport
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
        ({"HTTPS_PROXY": "proxy.example:3128"}, "http://proxy.example:3128"),
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


@pytest.mark.parametrize("given", [None, ""])
async def test_without_a_name_the_file_is_that_of_kubectl(
    kubeconfig: Path, given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = kubeconfig.parent / "home"
    (home / ".kube").mkdir(parents=True)
    kubeconfig.rename(home / ".kube" / "config")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    if given is not None:
        monkeypatch.setenv("KUBECONFIG", given)
    credentials = Credentials()
    await credentials.load()
    assert credentials.configuration.host == "https://api.example:6443"


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A container's folders in namespace build of a cluster at https://10.0.0.1:443."""
    account, home = tmp_path / "account", tmp_path / "home"
    account.mkdir()
    home.mkdir()
    for name, text in (("token", "secret"), ("ca.crt", "authority"), ("namespace", "build\n")):
        (account / name).write_text(text)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "file_first", "host"),
    [
        (False, True, "https://10.0.0.1:443"),
        (False, False, "https://10.0.0.1:443"),
        (True, True, "https://api.example:6443"),
        (True, False, "https://10.0.0.1:443"),
    ],
)
async def test_in_a_pod_the_plugin_takes_the_kubeconfig_first_and_the_operator_its_account(
    pod: Path, kubeconfig: Path, host: str, *, file: bool, file_first: bool
) -> None:
    if file:
        (pod / "home" / ".kube").mkdir()
        kubeconfig.rename(pod / "home" / ".kube" / "config")
    credentials = Credentials(file_first=file_first, account=pod / "account")
    await credentials.load()
    assert (credentials.configuration.host, credentials.namespace) == (host, "build")


async def test_in_a_pod_the_namespace_is_that_of_the_context_or_the_environment_or_the_account(
    pod: Path, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(kubeconfig.read_text())
    named = kubeconfig.with_name("named")
    config["contexts"][0]["context"]["namespace"] = "shop"
    named.write_text(json.dumps(config))
    found = []
    for environment in ("", "mine"):
        monkeypatch.setenv("POD_NAMESPACE", environment)
        for name in (None, str(kubeconfig), str(named)):
            credentials = Credentials(name, account=pod / "account")
            await credentials.load()
            found.append(credentials.namespace)
    assert found == ["build", "build", "shop", "mine", "mine", "shop"]


@pytest.mark.parametrize("proxy", ["socks5://own.example:1080", "foo://x"])
async def test_a_proxy_of_another_kind_is_refused(kubeconfig: Path, proxy: str) -> None:
    config = json.loads(kubeconfig.read_text())
    config["clusters"][0]["cluster"]["proxy-url"] = proxy
    kubeconfig.write_text(json.dumps(config))
    with pytest.raises(UnauthorizedError, match=f"kind {proxy.partition(':')[0]}; only http and"):
        await Credentials(str(kubeconfig)).load()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"[]",
        b"a: [",
        b"\x80",
        b"contexts: 3",
        b"contexts: [3]",
        b"current-context: a\ncontexts: [{name: a}]",
        b"current-context: a\ncontexts: [{name: a, context: x}]",
        b"current-context: [a]\ncontexts: [{name: [a], context: {cluster: b, user: c}}]",
    ],
)
async def test_a_file_of_another_shape_is_an_error_with_its_name(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "config"
    path.write_bytes(content)
    with pytest.raises(UnauthorizedError, match=r"^no usable credentials: .*config.*$"):
        await Credentials(str(path)).load()


@pytest.mark.parametrize(
    "broken",
    [
        {"cluster": {"certificate-authority-data": "no base64"}},
        {"user": {"client-certificate-data": "bm90IFBFTQ==", "client-key-data": "bm90IFBFTQ=="}},
        {"user": {"auth-provider": {"name": "gcp"}}},
    ],
    ids=["authority", "certificate", "provider"],
)
async def test_what_the_file_holds_is_of_no_use(
    kubeconfig: Path, broken: dict[str, dict[str, Any]]
) -> None:
    config = json.loads(kubeconfig.read_text())
    for kind, settings in broken.items():
        config[f"{kind}s"][0][kind].update(settings)
    kubeconfig.write_text(json.dumps(config))

    async def use() -> None:
        credentials = Credentials(str(kubeconfig))
        await credentials.load()
        HttpTransport(credentials)

    with pytest.raises(UnauthorizedError, match=r"^no usable credentials: "):
        await use()


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


async def test_a_user_that_acts_as_another_is_refused(kubeconfig: Path) -> None:
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"]["as"] = "jane"
    kubeconfig.write_text(json.dumps(config))
    with pytest.raises(
        UnauthorizedError, match=r"user acts as jane \(as\), which is not supported"
    ):
        await Credentials(str(kubeconfig)).load()
