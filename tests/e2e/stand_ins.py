"""Local images under the names that public manifests ask for: small servers that do what the manifests expect.

No manifest has to be changed for a node that reaches no registry.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tools.cluster.images import Image, write_archive

_PODINFO = """#!/bin/sh
port=9898
for word in "$@"; do case "$word" in --port=*) port="${word#--port=}" ;; esac; done
httpd -f -p "$port" -h /www & trap 'exit 0' TERM; wait
"""
_PODCLI = """#!/bin/sh
address="${3#localhost}"
exec wget -q -O /dev/null "http://127.0.0.1${address%%/*}/"
"""
_PROGRAMS = (("podinfo", _PODINFO), ("bin/podcli", _PODCLI))
_WAIT = "sleep 2147483647 & trap 'exit 0' TERM; wait"


def _podinfo(version: str) -> Image:
    reference = f"ghcr.io/stefanprodan/podinfo:{version}"
    # Each version is an image of its own: the kubelet looks at what it is made of, not at its name.
    return Image(f"podinfo-{version}", ("/podinfo", version), reference, _PROGRAMS)


def _waiting(name: str, reference: str) -> Image:
    return Image(name, ("/bin/sh", "-c", f"true {name}; {_WAIT}"), reference)


STAND_INS = {
    image.name: image
    for image in (
        _podinfo("5.0.3"),
        _podinfo("5.0.4"),
        _podinfo("6.14.1"),
        _podinfo("6.14.2"),
        Image(
            "front-end",
            ("/bin/sh", "-c", "httpd -f -p 8079 -h /www & trap 'exit 0' TERM; wait"),
            "docker.io/weaveworksdemos/front-end:0.3.12",
        ),
        _waiting(
            "kube-state-metrics", "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.19.1"
        ),
        _waiting("kube-rbac-proxy", "quay.io/brancz/kube-rbac-proxy:v0.22.1"),
    )
}


def write_stand_ins(names: Iterable[str], folder: Path) -> list[Path]:
    """Write the named images as archives."""
    return [write_archive(STAND_INS[name], folder / f"{name}.tar") for name in names]
