"""The operator's image for the tests: ``python -m tools.image.prebuilt`` makes it before the first of them.

It takes a minute and the network, so no test does it in its set-up. The file is named after what goes
into it, and one that is not current is never used.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from tools.image.build import ROOT, ImageError, build_image
from tools.version import read_version

TAG = f"tripswitch:{read_version()}"
_SOURCES = ("operator/tripswitch", "tools/image", "requirements.lock", "pyproject.toml")


def current_path(root: Path = ROOT) -> Path:
    """Where the image of the sources as they are is, or will be."""
    digest = hashlib.sha256()
    for source in _SOURCES:
        path = root / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes() + b"\0")
    return root / "dist" / "for-tests" / f"{digest.hexdigest()[:20]}.tar"


def find_image(root: Path = ROOT) -> Path:
    """Return the image of the sources as they are. Raises ImageError when it was not made."""
    path = current_path(root)
    if not path.exists():
        raise ImageError("the operator's image is not built, and tests build nothing: make real")
    return path


def main() -> int:
    """Make it if it is not there, and remove older ones."""
    path = current_path()
    if path.exists():
        return 0
    print("building the operator's image; about a minute", file=sys.stderr, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.iterdir():
        old.unlink()
    unfinished = path.with_suffix(".unfinished")
    try:
        build_image(unfinished, TAG)
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    unfinished.rename(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
