"""The scripts for the docs site's diagrams and search: fetched with npm, copied into the site.

Zensical's pages load two scripts from a public server: Mermaid, which draws the diagrams, and a shim that
lets the search work without a web server. ``package-lock.json`` pins both with their hashes; ``npm ci``
checks them. The scripts are run by browsers only, never here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = "assets/scripts"
"""Where the scripts are in the site."""

SHIM_ELSEWHERE = "https://unpkg.com/iframe-worker/shim"
_SCRIPTS = {
    "mermaid.js": "@mermaid-js/tiny/dist/mermaid.tiny.js",
    "mermaid.LICENSE.txt": "@mermaid-js/tiny/LICENSE",
    "search-shim.js": "iframe-worker/shim/index.js",
    "search-shim.LICENSE.txt": "iframe-worker/LICENSE",
}


def bundle(site: Path, scratch: Path) -> None:
    """Copy the scripts into a built site, and let every page load them from there.

    Args:
        site: the folder that Zensical has built.
        scratch: a folder for npm, made anew.

    Raises:
        subprocess.CalledProcessError: npm could not fetch a script, or its hash is another one.
        FileNotFoundError: npm is not installed.
    """
    modules = _fetch(scratch)
    (site / FOLDER).mkdir(parents=True)
    for name, path in _SCRIPTS.items():
        shutil.copyfile(modules / path, site / FOLDER / name)
    for page in site.rglob("*.html"):
        base = os.path.relpath(site / FOLDER, page.parent)
        page.write_text(localise(page.read_text(), base))


def localise(page: str, base: str) -> str:
    """Return a page's HTML with both scripts loaded from a folder of the site.

    Mermaid is several megabytes large, so only pages with a diagram load it.

    Args:
        page: the HTML as Zensical writes it.
        base: the folder of the scripts, relative to the page.
    """
    page = page.replace(SHIM_ELSEWHERE, f"{base}/search-shim.js")
    if 'class="mermaid"' in page:
        page = page.replace("</body>", f'<script src="{base}/mermaid.js"></script></body>')
    return page


def _fetch(scratch: Path) -> Path:
    """Return the folder in which npm has put the pinned packages."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, scratch / name)
    options = (
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
        "--loglevel=error",
    )
    subprocess.run(["npm", "ci", *options], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    return scratch / "node_modules"
