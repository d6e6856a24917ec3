"""A registry of container images that only this machine and its real nodes reach: real pulls."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import yaml

from tools.cluster.ports import free_port
from tools.cluster.processes import Process, Startable

_SECONDS = 30.0
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"

REGISTRY = "registry.test"
"""What pods call the loopback registry of the real node."""


class RegistryError(Exception):
    """The registry could not be started, or refused an image."""


class Registry(Startable):
    """Debian's docker-registry at an address of this machine; what it holds outlives a stop."""

    def __init__(self, directory: Path, address: str) -> None:
        self._directory = directory
        self.location = f"{address}:{free_port(address)}"
        self._process = Process(
            "docker-registry",
            ["/usr/bin/docker-registry", "serve", str(directory / "registry.yaml")],
            directory / "registry.log",
        )

    @property
    def url(self) -> str:
        """Where it answers, over plain HTTP."""
        return f"http://{self.location}"

    def start(self) -> None:
        """Start it and wait until it answers; RegistryError with the end of its log if never."""
        settings = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {
                "filesystem": {"rootdirectory": str(self._directory / "images")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.location},
        }
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "registry.yaml").write_text(yaml.safe_dump(settings))
        self._process.start()
        deadline = time.monotonic() + _SECONDS
        while not self._answers():
            if self._process.exit_code() is not None or time.monotonic() > deadline:
                raise RegistryError(f"the registry did not start:\n{self._process.tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it: from now on connections are refused."""
        self._process.kill()

    def push(self, archive: Path, name: str) -> None:
        """Store a docker-archive as ``name``, such as ``server:1``."""
        source, target = f"docker-archive:{archive}", f"docker://{self.location}/{name}"
        words = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        done = subprocess.run([*words, source, target], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RegistryError(done.stderr.strip())

    def find_digest(self, name: str) -> str:
        """Return the digest that a tag, such as ``server:1``, means now."""
        repository, _, tag = name.partition(":")
        with self._request("HEAD", repository, tag) as answer:
            return str(answer.headers["Docker-Content-Digest"])

    def delete(self, repository: str, digest: str) -> None:
        """Delete an image by its digest, as a retention policy does; its tags go with it."""
        self._request("DELETE", repository, digest).close()

    def push_index(self, name: str, platforms: Mapping[str, str]) -> str:
        """Make a tag mean several images of its repository, by architecture; return its digest.

        Args:
            name: Repository and tag, such as ``server:all``.
            platforms: Digest of the image for each architecture.
        """
        repository, _, tag = name.partition(":")
        manifests = [
            {
                "mediaType": _MANIFEST,
                "digest": digest,
                "size": self._measure(repository, digest),
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, digest in platforms.items()
        ]
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}
        self._request("PUT", repository, tag, json.dumps(index).encode()).close()
        return self.find_digest(name)

    def _measure(self, repository: str, digest: str) -> int:
        with self._request("HEAD", repository, digest) as answer:
            return int(answer.headers["Content-Length"])

    def _request(
        self, method: str, repository: str, reference: str, body: bytes | None = None
    ) -> http.client.HTTPResponse:
        """Ask for a manifest; RegistryError with the registry's words if it refuses."""
        request = urllib.request.Request(
            f"{self.url}/v2/{repository}/manifests/{reference}", data=body, method=method
        )
        request.add_header("Accept", f"{_INDEX}, {_MANIFEST}")
        if body is not None:
            request.add_header("Content-Type", _INDEX)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            answer: http.client.HTTPResponse = opener.open(request, timeout=10)
        except urllib.error.HTTPError as error:
            raise RegistryError(f"{method} {repository} {reference}: {error.read()!r}") from error
        return answer

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/v2/", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
