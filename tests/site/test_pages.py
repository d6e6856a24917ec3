"""Every page of the docs site in a headless browser: no error, no network, diagrams drawn, fits the screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Page, find_browser, start_browser

ROOT = Path(__file__).parents[2]
SITE = ROOT / "site"
DOCS = ROOT / "docs"
WIDTHS = (1280, 390)
"""A laptop's and a phone's, in CSS pixels."""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    program = find_browser()
    if program is None:
        pytest.skip("no chromium-headless-shell here (tools/packages.sh installs it)")
    with start_browser(program) as page:
        yield page


def sources() -> list[str]:
    return sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md"))


def count_diagrams(source: str) -> int:
    """Return how many diagrams a page's Markdown has."""
    return len(re.findall(r"^```mermaid$", source, flags=re.MULTILINE))


def find_nodes(node: dict[str, Any], *names: str) -> Iterator[dict[str, Any]]:
    """Yield a document's elements with these names, also those inside shadow roots."""
    if node["nodeName"].lower() in names:
        yield node
    for child in (*node.get("children", ()), *node.get("shadowRoots", ())):
        yield from find_nodes(child, *names)


def find_drawn(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the diagrams that are drawn, without those in whose place Mermaid shows an error."""
    hosts = [div for div in find_nodes(tree, "div") if "mermaid" in div.get("attributes", ())]
    pictures = [svg for host in hosts for svg in find_nodes(host, "svg")]
    return [svg for svg in pictures if "error" not in svg["attributes"]]


WIDER_THAN_THE_WINDOW = """
[...document.querySelectorAll("body *")]
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .slice(0, 3).map(e => e.tagName + " " + e.className + " " + e.textContent.trim().slice(0, 40))
"""

WAIT_FOR = """
new Promise(resolve => {{
  const end = performance.now() + 20000;
  const look = () => ({condition}) ? resolve(true)
    : performance.now() > end ? resolve(false) : setTimeout(look, 20);
  look();
}})
"""
"""A promise that is true as soon as a condition is, and false after twenty seconds."""

RESULTS = '[...document.activeElement.shadowRoot.querySelectorAll("a")].map(link => link.pathname)'


@pytest.mark.parametrize("name", sources())
def test_a_page_shows_everything_without_a_network(page: Page, name: str) -> None:
    page.resize(WIDTHS[0])
    page.open(f"file://{SITE}/{name}.html")
    wanted = count_diagrams((DOCS / f"{name}.md").read_text())
    # Mermaid puts an element of the same class in the place of each source text.
    replaced = WAIT_FOR.format(condition='!document.querySelector("pre.mermaid")')
    assert page.evaluate(replaced), "a diagram stays source text"
    drawn = find_drawn(page.read_tree()) if wanted else []
    assert len(drawn) == wanted
    for width in WIDTHS:
        page.resize(width)
        scrolls = page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        assert not scrolls, f"{width} px: {page.evaluate(WIDER_THAN_THE_WINDOW)}"
    assert page.list_complaints() == []
    elsewhere = [
        url for url in page.list_requests() if not url.startswith(("file:", "data:", "blob:"))
    ]
    assert elsewhere == []


def test_every_page_of_the_site_is_looked_at() -> None:
    built = {path.relative_to(SITE).with_suffix("").as_posix() for path in SITE.rglob("*.html")}
    assert built - {"404"} == set(sources())


def test_the_search_finds_a_word(page: Page) -> None:
    page.resize(WIDTHS[0])
    page.open(f"file://{SITE}/index.html")
    page.evaluate('document.querySelector(".md-search__button").click()')
    assert page.evaluate(WAIT_FOR.format(condition="document.activeElement.shadowRoot"))
    page.call("Input.insertText", text="notifications")
    assert page.evaluate(WAIT_FOR.format(condition=f"{RESULTS}.length"))
    assert f"{SITE}/how-to/notifications.html" in page.evaluate(RESULTS)
