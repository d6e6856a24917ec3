"""Taking CRDs away where the API server needs to be asked again."""

from __future__ import annotations

import pytest

from tools.cluster.control_plane import ClusterError
from tools.crds import delete_crds

LEFT = "customresourcedefinition.apiextensions.k8s.io/webs.example"


class Server:
    """Answers kubectl; its CRD goes once it was annotated so many times."""

    def __init__(self, asks: int) -> None:
        self._asks = asks
        self.asked: list[str] = []

    def __call__(self, *words: str) -> str:
        if words[0] == "annotate":
            self.asked.append(words[2])
            if len(self.asked) > self._asks:
                raise ClusterError('kubectl annotate: crds "webs.example" not found')
        return LEFT if words[0] == "get" and len(self.asked) < self._asks else ""


def test_a_deletion_that_the_server_forgot_is_asked_for_again() -> None:
    server = Server(asks=2)
    delete_crds(server, "webs.example", every=0.0)
    assert len(set(server.asked)) == 2, "each annotation is a change"


def test_a_crd_that_is_gone_at_once_is_not_annotated() -> None:
    server = Server(asks=0)
    delete_crds(server, "webs.example", every=0.0)
    assert server.asked == []


def test_a_crd_that_never_goes_is_told() -> None:
    with pytest.raises(ClusterError, match="still there 0 s after its deletion"):
        delete_crds(Server(asks=9), "webs.example", seconds=0.0)
