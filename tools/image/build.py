"""The operator's container image, built without Docker and without a registry.

``python -m tools.image.build image tripswitch.tar`` writes a docker-archive, for ``docker load``, ``ctr
images import`` or ``skopeo copy``. ``python -m tools.image.build root DIRECTORY`` writes the root file
system alone, which the Containerfile copies. Needs root and Debian's ``mmdebstrap``, on Linux.

Three layers: Python of Debian without a shell, the locked dependencies, and our wheel.
"""

from __future__ import annotations

import argparse
import compileall
import platform
import py_compile
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.image.archive import Config, write_archive
from tools.image.dependencies import select_locked
from tools.version import read_version

ROOT = Path(__file__).parents[2]
SUITE = "bookworm"
PYTHON = "3.11"
"""Of Debian's ``SUITE``."""
PACKAGES = ("python3-minimal", "libpython3-stdlib", "ca-certificates")
USER = 65532
APPLICATION = "opt/tripswitch"
DEPENDENCIES = "opt/dependencies"

CONFIG = Config(
    entrypoint=["/usr/bin/python3", "-m", "tripswitch.shell"],
    user=f"{USER}:{USER}",
    environment={
        "PATH": "/usr/bin",
        "PYTHONPATH": f"/{APPLICATION}:/{DEPENDENCIES}",
        # Nothing can be written, and `import operator` is the standard library's.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    },
)

_NOT_NEEDED = (
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/perl5"),
    *("usr/sbin", "sbin", "var/lib/apt", "var/cache", "etc/apt", "bin", "dev", "usr/lib/python3"),
    *("usr/lib/python3.11/test", "usr/lib/python3.11/pydoc_data"),
)
"""Of the Debian packages; with them go tar, dpkg and debconf, so that no program but Python is left."""

_LAZY = ("client/api", "client/models", "aio/client/api", "aio/client/models")
"""Generated modules of the Kubernetes client (124 of its 126 MB) that are loaded only when used."""


class ImageError(Exception):
    """The image could not be built."""


@dataclass(frozen=True)
class Layers:
    """Folders that are laid over one another, lowest first."""

    system: Path
    dependencies: Path
    application: Path

    @property
    def folders(self) -> list[Path]:
        """All of them, lowest first."""
        return [self.system, self.dependencies, self.application]


def build_layers(scratch: Path) -> Layers:
    """Make all layers below ``scratch``. Raises ImageError with the words of the tool that failed."""
    layers = Layers(scratch / "system", scratch / "dependencies", scratch / "application")
    _make_system(layers.system)
    _install_dependencies(layers.dependencies / DEPENDENCIES, scratch)
    _install_wheel(layers.application / APPLICATION, scratch)
    _prune_client(layers)
    for folder in layers.folders:
        _compile(folder)
    return layers


def _make_system(target: Path) -> None:
    """Debian's Python and nothing around it: packages are unpacked, not set up."""
    target.mkdir()
    archive = target.with_suffix(".tar")
    include = f"--include={','.join(PACKAGES)}"
    # Nothing is mounted or run, so a container build without rights to mount is enough.
    _run("mmdebstrap", "--variant=extract", "--skip=check/canmount", include, SUITE, str(archive))
    _run("tar", "--extract", "--exclude=./dev/*", f"--file={archive}", f"--directory={target}")
    archive.unlink()
    certificates = sorted((target / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = target / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(path.read_text() for path in certificates))
    for name in _NOT_NEEDED:
        shutil.rmtree(target / name, ignore_errors=True)
    for program in (target / "usr/bin").iterdir():
        if not program.name.startswith("python3"):
            program.unlink()
    nobody = f"nonroot:x:{USER}:{USER}:nonroot:/:/usr/sbin/nologin\n"
    for unused in target.glob("usr/lib/*/gconv"):  # character sets of other programs
        shutil.rmtree(unused)
    (target / "etc/passwd").write_text("root:x:0:0:root:/:/usr/sbin/nologin\n" + nobody)
    (target / "etc/group").write_text(f"root:x:0:\nnonroot:x:{USER}:\n")


def _install_dependencies(target: Path, scratch: Path) -> None:
    """Exactly the locked ones, by their hashes, as wheels for the image's Python."""
    locked = scratch / "requirements.txt"
    lock = (ROOT / "requirements.lock").read_text()
    locked.write_text(select_locked(lock, PYTHON, extras=["operator"]))
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in (36, 34, 31, 28, 17)]
    platforms.append(f"manylinux2014_{machine}")
    _pip(
        *("install", "--require-hashes", "--no-deps", "--no-compile", "--only-binary=:all:"),
        *(f"--platform={name}" for name in platforms),
        *(f"--python-version={PYTHON}", "--implementation=cp"),
        *(f"--abi=cp{PYTHON.replace('.', '')}", "--abi=abi3", "--abi=none"),
        *(f"--target={target}", f"--requirement={locked}"),
    )
    shutil.rmtree(target / "bin", ignore_errors=True)


def _install_wheel(target: Path, scratch: Path) -> None:
    """Our own wheel, as it would be published."""
    wheels = scratch / "wheels"
    _pip("wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={wheels}", str(ROOT))
    (wheel,) = wheels.glob("tripswitch-*.whl")
    _pip("install", "--no-deps", "--no-compile", f"--target={target}", str(wheel))
    shutil.rmtree(target / "bin", ignore_errors=True)


def _prune_client(layers: Layers) -> None:
    """Leave out the client's models and API classes that starting the operator does not load.

    The client loads them one by one when they are used, and the operator sends and reads plain
    dictionaries: of 124 MB, less than one is ever read.
    """
    code = (
        "import sys, tripswitch.shell.__main__\n"
        "print(*[m.__file__ for n, m in sys.modules.items() if n.startswith('kubernetes.')], sep='\\n')"
    )
    places = f"{layers.application / APPLICATION}:{layers.dependencies / DEPENDENCIES}"
    program = layers.system / f"usr/bin/python{PYTHON}"
    library = layers.system / f"usr/lib/python{PYTHON}"
    environment = {"PYTHONPATH": f"{library}:{library}/lib-dynload:{places}"}
    options = ("-s", "-B", "-c", code)
    loaded = _run(str(program), *options, environment=environment).split()
    client = layers.dependencies / DEPENDENCIES / "kubernetes"
    for folder in _LAZY:
        for path in (client / folder).glob("*.py"):
            if path.name != "__init__.py" and str(path) not in loaded:
                path.unlink()


def _compile(folder: Path) -> None:
    """Bytecode beforehand: the image cannot be written to. Only this very Python can make it."""
    if sys.version_info[:2] == tuple(map(int, PYTHON.split("."))):
        compileall.compile_dir(
            folder,
            quiet=2,
            stripdir=str(folder),
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def _pip(*words: str) -> str:
    return _run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words)


def _run(*words: str, environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    except FileNotFoundError as error:
        raise ImageError(f"{words[0]} is needed to build the image") from error
    except subprocess.CalledProcessError as error:
        raise ImageError(f"{words[0]} failed: {error.stderr.strip()[-2000:]}") from error
    return done.stdout


def build_image(target: Path, tag: str) -> Path:
    """Write the image as a docker-archive. Raises ImageError when it cannot be built."""
    with tempfile.TemporaryDirectory() as scratch:
        layers = build_layers(Path(scratch))
        write_archive(target, layers.folders, CONFIG, tag)
    return target


def build_root(target: Path) -> Path:
    """Write all layers into one folder. Raises ImageError when it cannot be built."""
    with tempfile.TemporaryDirectory() as scratch:
        for folder in build_layers(Path(scratch)).folders:
            shutil.copytree(folder, target, symlinks=True, dirs_exist_ok=True)
    return target


def main(arguments: list[str] | None = None) -> int:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tools.image.build")
    parser.add_argument("kind", choices=("image", "root"))
    parser.add_argument("target", type=Path)
    parser.add_argument("--tag", default=f"tripswitch:{read_version()}")
    options = parser.parse_args(arguments)
    try:
        if options.kind == "image":
            build_image(options.target, options.tag)
        else:
            build_root(options.target)
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
