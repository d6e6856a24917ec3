"""Builds everything that a release has, with one version: ``make release``.

Wheel, sdist, the plugin as one file, chart package, image, SBOM and checksums, in ``dist/``. The version is that of
pyproject.toml. Each artefact is opened afterwards and must carry it; otherwise the release fails. The image needs root and
Debian's mmdebstrap; ``--without image`` leaves it out.
"""

from __future__ import annotations

import argparse
import email
import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from tools import plugin_file
from tools.cluster.build import ensure
from tools.image.build import build_image
from tools.image.dependencies import select_locked
from tools.version import ROOT, read_version


class ReleaseError(Exception):
    """The release cannot be built, or an artefact has another version."""


def _run(*words: str | Path) -> None:
    try:
        subprocess.run(words, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ReleaseError(f"{Path(words[0]).name}: {error}") from error


def build_wheel(target: Path) -> Path:
    """Write the wheel."""
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", target)
    return target / f"tripswitch-{read_version()}-py3-none-any.whl"


def build_sdist(target: Path) -> Path:
    """Write the source distribution."""
    _run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", target)
    return target / f"tripswitch-{read_version()}.tar.gz"


def build_plugin(target: Path) -> Path:
    """Write the kubectl plugin for every Python that it is packed for."""
    path = target / "kubectl-tripswitch"
    plugin_file.build(path)
    return path


def build_chart(target: Path) -> Path:
    """Write the chart as a package."""
    helm = ensure(["helm"])["helm"]
    _run(helm, "package", ROOT / "manifests" / "chart", "--destination", target)
    return target / f"tripswitch-{read_version()}.tgz"


def build_image_file(target: Path) -> Path:
    """Write the image as a docker-archive."""
    version = read_version()
    return build_image(target / f"tripswitch-{version}-image.tar", f"tripswitch:{version}")


def build_sbom(target: Path) -> Path:
    """Write the list of the operator's Python packages in CycloneDX form."""
    locked = target / "requirements.txt"
    lock = (ROOT / "requirements.lock").read_text()
    locked.write_text(select_locked(lock, "3.11", extras=["operator"]))
    path = target / "tripswitch.cdx.json"
    program = ROOT / ".venv" / "supply" / "bin" / "cyclonedx-py"
    options = (
        "--pyproject",
        ROOT / "pyproject.toml",
        "--output-reproducible",
        "--output-file",
        path,
    )
    _run(program, "requirements", *options, locked)
    locked.unlink()
    return path


def read_wheel_version(path: Path) -> str:
    """Return the version in the metadata of a wheel, or of the package inside the plugin file."""
    with zipfile.ZipFile(path) as archive:
        [name] = [
            name
            for name in archive.namelist()
            if "tripswitch-" in name and name.endswith(".dist-info/METADATA")
        ]
        return str(email.message_from_bytes(archive.read(name))["Version"])


def _read_member(path: Path, name: str) -> bytes:
    with tarfile.open(path) as archive:
        member = archive.extractfile(name)
        if member is None:
            raise ReleaseError(f"{path.name} has no {name}")
        return member.read()


def read_sdist_version(path: Path) -> str:
    """Return the version in the metadata of a source distribution."""
    folder = path.name.removesuffix(".tar.gz")
    return str(email.message_from_bytes(_read_member(path, f"{folder}/PKG-INFO"))["Version"])


def read_chart_version(path: Path) -> str:
    """Return the version of a chart package, with that of the operator if the two differ."""
    chart = yaml.safe_load(_read_member(path, "tripswitch/Chart.yaml"))
    own, operator = str(chart["version"]), str(chart["appVersion"])
    return own if own == operator else f"{own} (operator {operator})"


def read_image_version(path: Path) -> str:
    """Return the tag of the image in a docker-archive."""
    [image] = json.loads(_read_member(path, "manifest.json"))
    [tag] = image["RepoTags"]
    return str(tag).rpartition(":")[2]


def read_sbom_version(path: Path) -> str:
    """Return the version of the component that an SBOM is about."""
    return str(json.loads(path.read_text())["metadata"]["component"]["version"])


Artefact = tuple[Callable[[Path], Path], Callable[[Path], str]]
ARTEFACTS: Mapping[str, Artefact] = {
    "wheel": (build_wheel, read_wheel_version),
    "sdist": (build_sdist, read_sdist_version),
    "plugin": (build_plugin, read_wheel_version),
    "chart": (build_chart, read_chart_version),
    "image": (build_image_file, read_image_version),
    "sbom": (build_sbom, read_sbom_version),
}
"""What a release has: how each is built, and how its version is read back."""


def build_release(
    target: Path, kinds: Sequence[str], artefacts: Mapping[str, Artefact] = ARTEFACTS
) -> list[Path]:
    """Build the artefacts of these kinds, check their versions, and write ``SHA256SUMS`` beside them.

    Raises:
        ReleaseError: An artefact cannot be built or has another version than pyproject.toml.
    """
    target.mkdir(parents=True, exist_ok=True)
    built = []
    for kind in kinds:
        build, read = artefacts[kind]
        print(f"{kind} ...", flush=True)
        path = build(target)
        found = read(path)
        if found != read_version():
            raise ReleaseError(f"{path.name} has version {found}, pyproject.toml {read_version()}")
        built.append(path)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in built]
    (target / "SHA256SUMS").write_text("".join(sums))
    return built


def main(arguments: list[str] | None = None) -> int:
    """Build what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.release")
    parser.add_argument("--target", type=Path, default=ROOT / "dist", help="default: dist/")
    parser.add_argument("--without", choices=ARTEFACTS, action="append", default=[])
    options = parser.parse_args(arguments)
    kinds = [kind for kind in ARTEFACTS if kind not in options.without]
    try:
        built = build_release(options.target, kinds)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"version {read_version()}:", *(f"  {path}" for path in built), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
