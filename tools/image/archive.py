"""Writes folders as the layers of a container image, in the docker-archive form."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Config:
    """How a container of the image starts."""

    entrypoint: Sequence[str]
    user: str
    environment: Mapping[str, str]


def write_archive(target: Path, folders: Sequence[Path], config: Config, tag: str) -> None:
    """Write the image: everything belongs to root, has no date, and is in order.

    The same folders give the same bytes.
    """
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(target, "w") as archive:
        names, digests = [], []
        for number, folder in enumerate(folders):
            layer = Path(scratch) / f"{number}.tar"
            _write_layer(layer, folder)
            digests.append(hashlib.sha256(layer.read_bytes()).hexdigest())
            names.append(f"{digests[-1]}/layer.tar")
            archive.add(layer, names[-1], filter=_anonymous)
        settings = json.dumps(_settings(config, digests)).encode()
        name = f"{hashlib.sha256(settings).hexdigest()}.json"
        manifest = [{"Config": name, "RepoTags": [tag], "Layers": names}]
        for path, content in ((name, settings), ("manifest.json", json.dumps(manifest).encode())):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _settings(config: Config, digests: Sequence[str]) -> dict[str, object]:
    machine = platform.machine()
    return {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {
            "Entrypoint": list(config.entrypoint),
            "User": config.user,
            "WorkingDir": "/",
            "Env": [f"{name}={value}" for name, value in config.environment.items()],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }


def _write_layer(target: Path, folder: Path) -> None:
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as layer:
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            layer.add(path, name, recursive=False, filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry
