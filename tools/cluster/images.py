"""Container images made here, of Debian's static busybox: no registry, no Docker.

``server`` is the seed's application (answers "Health Check!" on port 3000); the others are what can
go wrong with a new version of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
APPLETS = ("sh", "sleep", "cat", "wget", "httpd", "touch", "rm", "test", "date", "true", "dd")
REPOSITORY = "tripswitch.test"
PORT = 3000
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
GREETING = "Health Check!"

# Stops listening a while after it is told to end, as a server behind a load balancer should: those
# who have not heard of it yet still get an answer.
_SERVE = f"httpd -f -p {PORT} -h /www & trap 'sleep 5; exit 0' TERM; wait"


@dataclass(frozen=True)
class Image:
    """An image and the command in it, as a Dockerfile would say it.

    With ``public`` it stands in for an image of that name: its command is the entry point, so that the
    ``args`` of a manifest are its arguments. ``programs`` are paths and texts of scripts in it.
    """

    name: str
    command: tuple[str, ...]
    public: str = ""
    programs: tuple[tuple[str, str], ...] = ()

    @property
    def reference(self) -> str:
        """What a pod asks for."""
        return self.public or f"{REPOSITORY}/{self.name}:1"


def _shell(name: str, script: str) -> Image:
    return Image(name, ("/bin/sh", "-c", script))


PAUSE = _shell("pause", "trap 'exit 0' TERM; sleep 2147483647 & wait")
IMAGES: Mapping[str, Image] = {
    image.name: image
    for image in (
        PAUSE,
        _shell("server", _SERVE),
        # A new version of it that is good, too.
        _shell("server-next", f"sleep 0.1; {_SERVE}"),
        _shell("slow-starter", f"sleep 8; {_SERVE}"),
        _shell("exit-2", "exit 2"),
        # The seed's section 6, to the letter: CMD [ "EXIT", "2" ].
        Image("seed-exit-2", ("EXIT", "2")),
        _shell("exits-later", "httpd -p 3000 -h /www; sleep 20; exit 1"),
        # Fills a file in memory until the limit of the container is reached.
        _shell("out-of-memory", "exec dd if=/dev/zero of=/dev/null bs=200M count=100"),
        # Serves, and stops doing so after 15 s.
        _shell("loses-health", "httpd -p 3000 -h /www; sleep 15; rm /www/index.html; sleep 9999"),
        # Runs, and never listens.
        _shell("silent", "trap 'exit 0' TERM; sleep 9999 & wait"),
    )
}

PULLED = _shell("server-pulled", f"sleep 0.2; {_SERVE}")
"""A good server that is only in registries. Never the same image under two names: a kubelet that has
pulled one does not trust the other, which was brought by hand, any more, and wants to pull it."""


def write_archive(
    image: Image, path: Path, repository: str = REPOSITORY, *, busybox: Path = BUSYBOX
) -> Path:
    """Write the image as a file that ``ctr images import`` and ``docker load`` take."""
    layer = _layer(busybox, image.programs)
    started = "Entrypoint" if image.public else "Cmd"
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {started: list(image.command), "Env": ["PATH=/bin"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]},
            "history": [{"created_by": "tools/cluster/images.py"}],
        }
    ).encode()
    manifest = json.dumps(
        [
            {
                "Config": f"{_digest(config)}.json",
                "RepoTags": [image.public or f"{repository}/{image.name}:1"],
                "Layers": ["layer.tar"],
            }
        ]
    ).encode()
    files = {
        f"{_digest(config)}.json": config,
        "layer.tar": layer,
        "manifest.json": manifest,
    }
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            _add(archive, name, content)
    return path


def _layer(busybox: Path, programs: Iterable[tuple[str, str]] = ()) -> bytes:
    """Busybox, its commands as links, and what the server answers with; the same bytes always."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for folder in ("bin", "tmp", "www", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            layer.addfile(entry)
        _add(layer, "bin/busybox", busybox.read_bytes(), 0o755)
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            layer.addfile(link)
        _add(layer, "www/index.html", GREETING.encode())
        _add(layer, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
        for name, text in programs:
            _add(layer, name, text.encode(), 0o755)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def load_images(directory: Path, load: Callable[[Path], None]) -> None:
    """Make every image and hand it to ``load``."""
    for image in IMAGES.values():
        archive = write_archive(image, directory / "image.tar")
        load(archive)
        archive.unlink()
