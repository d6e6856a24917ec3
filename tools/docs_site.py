"""``make docs``: builds the docs site into ``site/``; a broken link or anchor fails it.

The navigation in ``mkdocs.yml`` names pages, and patterns for those that it does not name, so that a new
page is never forgotten. Zensical (the successor of Material for MkDocs) takes no patterns: what it is given
is the same file with the pages filled in.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.site_scripts.scripts import bundle

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "mkdocs.yml"
STAGED = ROOT / "build" / "docs-site"
"""Where the pages and settings lie that Zensical is given."""

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def fill_in(nav: list[Any], docs: Path) -> list[Any]:
    """Return the navigation with patterns replaced by pages, and without pages that are not there.

    A pattern stands for those that no other entry names, by name.
    """
    named = {page for page in _pages(nav) if "*" not in page}
    return list(_fill(nav, docs, named))


def _pages(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for value in nav.values():
            yield from _pages(value)
    else:
        for value in nav:
            yield from _pages(value)


def _fill(nav: list[Any], docs: Path, named: set[str]) -> Iterator[Any]:
    for entry in nav:
        if isinstance(entry, dict):
            for title, value in entry.items():
                filled = list(_fill(value, docs, named))
                if filled:
                    yield {title: filled}
        elif "*" in entry:
            for path in sorted(docs.glob(entry)):
                page = path.relative_to(docs).as_posix()
                if page not in named:
                    named.add(page)
                    yield page
        elif (docs / entry).exists():
            yield entry


def find_missing_images(docs: Path) -> list[str]:
    """Return the pictures that pages show and that are not there."""
    return [
        f"{page.relative_to(docs)}: {target}"
        for page in sorted(docs.rglob("*.md"))
        for target in re.findall(r"!\[[^\]]*\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]


def leave_in_repository(page: Path, docs: Path) -> tuple[str, list[str]]:
    """Return a page whose links to files of the repository are their words, and the broken ones.

    The site holds the pages only; in the repository such a link leads to the file.
    """
    broken: list[str] = []

    def replace(found: re.Match[str]) -> str:
        target = (page.parent / found[2]).resolve()
        if target.is_relative_to(docs.resolve()):
            return found[0]  # Zensical's to check
        if not target.exists():
            broken.append(f"{page.relative_to(docs)}: {found[2]}")
        return found[1]

    return _LINK.sub(replace, page.read_text()), broken


def main() -> int:
    """Stage the pages, fill in the navigation, and build."""
    docs = ROOT / "docs"
    settings, _, nav = SOURCE.read_text().partition("\nnav:\n")
    shutil.rmtree(STAGED, ignore_errors=True)
    shutil.copytree(docs, STAGED / "docs")
    problems = find_missing_images(docs)
    for page in docs.rglob("*.md"):
        text, broken = leave_in_repository(page, docs)
        (STAGED / "docs" / page.relative_to(docs)).write_text(text)
        problems += broken
    for line in problems:
        print(f"not there: {line}", file=sys.stderr)
    pages = fill_in(yaml.safe_load(nav), docs)
    filled = STAGED / "mkdocs.yml"
    filled.write_text(f"{settings}\n{yaml.safe_dump({'nav': pages}, sort_keys=False)}")
    build = ("build", "--strict", "--clean", "--config-file", str(filled))
    done = subprocess.run([sys.executable, "-m", "zensical", *build], check=False)
    if done.returncode == 0 and shutil.which("npm"):
        bundle(STAGED / "site", STAGED / "scripts")
    elif done.returncode == 0:
        print(
            "npm (of Node.js) is not installed: diagrams and search need a network", file=sys.stderr
        )
    shutil.rmtree(ROOT / "site", ignore_errors=True)
    if done.returncode == 0:
        shutil.copytree(STAGED / "site", ROOT / "site")
    return done.returncode or bool(problems)


if __name__ == "__main__":
    sys.exit(main())
