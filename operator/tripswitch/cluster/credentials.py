"""Where the API server is, and who we are to it: one source for our client and for kopf."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import Configuration
from yaml import YAMLError

from tripswitch.cluster.errors import UnauthorizedError

DEFAULT_KUBECONFIG = "~/.kube/config"
"""Where kubectl looks if ``KUBECONFIG`` is not set, or empty."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

NOT_A_KUBECONFIG = (YAMLError, ValueError, TypeError, LookupError, AttributeError)
"""What the official client raises on a file of another shape: it does not check what it reads."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What another HTTP client needs to reach the same API server as the same user."""

    server: str
    ca_path: str | None
    insecure: bool
    certificate_path: str | None
    private_key_path: str | None
    authorization: str | None


class Credentials:
    """The client's configuration, from a kubeconfig file or from the pod's service account.

    Args:
        kubeconfig: A path (or several, as in ``KUBECONFIG``); None means: ``KUBECONFIG`` unless it is empty,
            else the service account when in a pod, else the default kubeconfig file.
        context: One of the kubeconfig's contexts; None means its current one.
        file_first: In a pod, take the default kubeconfig file before the service account, as kubectl does.
        account: Where a pod has the token, the authority and the namespace of its service account.

    ``namespace`` is, once loaded, the one that the context names, in a pod else the pod's, else empty.
    """

    def __init__(
        self,
        kubeconfig: str | None = None,
        *,
        context: str | None = None,
        file_first: bool = False,
        account: Path = SERVICE_ACCOUNT,
    ) -> None:
        # No limit of connections: each watch keeps one, and a hundred of them would leave none for
        # requests. Those have a limit of their own.
        # And no look at the environment and at a .netrc file by two threads before every request.
        self.configuration: Any = Configuration(
            connection_pool_maxsize=0, client_session_kwargs={"trust_env": False}
        )
        self.namespace = ""
        self._loaders: Any = kubernetes_config  # it has no types
        self._kubeconfig = kubeconfig or os.environ.get("KUBECONFIG") or None
        self._context = context
        self._file_first = file_first
        self._account = account

    async def load(self) -> None:
        """Read the credentials (again): tokens of files and plugins may have changed.

        Raises:
            UnauthorizedError: There are none, the file or plugin that has them failed, they are to act as
                somebody else, or the proxy is of an unknown kind.
        """
        in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
        try:
            if in_pod and not self._names_a_file():
                self._loaders.incluster_config.InClusterConfigLoader(
                    token_filename=str(self._account / "token"),
                    cert_filename=str(self._account / "ca.crt"),
                ).load_and_set(self.configuration)
                self.namespace = self._find_pod_namespace()
            else:
                loaded = await self._loaders.load_kube_config(
                    config_file=self._kubeconfig or DEFAULT_KUBECONFIG,
                    context=self._context,
                    client_configuration=self.configuration,
                    persist_config=False,
                )
                _refuse_impersonation(loaded)
                named = str(loaded.current_context["context"].get("namespace") or "")
                self.namespace = named or (self._find_pod_namespace() if in_pod else "")
        except (kubernetes_config.ConfigException, OSError) as error:
            raise UnauthorizedError(f"no usable credentials: {error}") from error
        except NOT_A_KUBECONFIG as error:
            name = self._kubeconfig or DEFAULT_KUBECONFIG
            words = " ".join(f"{type(error).__name__}: {error}".split())
            raise UnauthorizedError(
                f"no usable credentials: {name} cannot be understood: {words}"
            ) from error
        proxy = self.configuration.proxy or _find_proxy(self.configuration.host)
        self.configuration.proxy = _check_proxy(proxy) if proxy else None

    def _names_a_file(self) -> bool:
        """Return whether a kubeconfig is to be read in a pod."""
        if self._kubeconfig is not None or self._context is not None:
            return True
        return self._file_first and Path(DEFAULT_KUBECONFIG).expanduser().exists()

    def _find_pod_namespace(self) -> str:
        """Return the namespace of the pod that this runs in; empty if it is not known."""
        try:
            file = self._account / "namespace"
            return os.environ.get("POD_NAMESPACE") or file.read_text().strip()
        except OSError:
            return ""

    async def connection(self) -> Connection:
        """Return what is in force now."""
        settings = self.configuration
        return Connection(
            server=settings.host,
            ca_path=settings.ssl_ca_cert,
            insecure=not settings.verify_ssl,
            certificate_path=settings.cert_file,
            private_key_path=settings.key_file,
            authorization=await settings.get_api_key_with_prefix("BearerToken"),
        )


def _find_proxy(server: str) -> str | None:
    """Return the proxy that the environment names for a server, as it is for every other client."""
    parts = urlsplit(server)
    if proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return getproxies().get(parts.scheme)


def _refuse_impersonation(loaded: Any) -> None:
    """Refuse a user that acts as another one: the official client would use all rights of the first.

    Raises:
        UnauthorizedError: The kubeconfig asks for it.
    """
    user = loaded._user  # noqa: SLF001 - nothing public has it
    other = None if user is None else user.safe_get("as")
    if other:
        raise UnauthorizedError(
            f"no usable credentials: the kubeconfig's user acts as {other} (as), which is not supported"
        )


def name_proxy_schemes(environment: MutableMapping[str, str]) -> None:
    """Write out the scheme of proxies that have none in the environment, for clients that need one.

    >>> environment = {"HTTPS_PROXY": "proxy.example:3128", "no_proxy": "example"}
    >>> name_proxy_schemes(environment)
    >>> environment
    {'HTTPS_PROXY': 'http://proxy.example:3128', 'no_proxy': 'example'}
    """
    for name, value in environment.items():
        if name.lower() in ("http_proxy", "https_proxy") and value and "://" not in value:
            environment[name] = f"http://{value}"


def _check_proxy(proxy: str) -> str:
    """Return a proxy's address with its scheme, which may be left out: http.

    Raises:
        UnauthorizedError: It is no HTTP proxy.
    """
    scheme, colon, _ = proxy.partition("://")
    if not colon:
        return f"http://{proxy}"
    if scheme.lower() not in ("http", "https"):
        raise UnauthorizedError(
            f"no usable credentials: the proxy is of kind {scheme}; only http and https are supported"
        )
    return proxy
