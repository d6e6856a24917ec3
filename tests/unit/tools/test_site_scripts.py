"""Pages of the docs site load scripts from the site itself, and Mermaid only where there is a diagram."""

from __future__ import annotations

import json

from tools.site_scripts.scripts import HERE, SHIM_ELSEWHERE, localise

PAGE = f'<body><script src="{SHIM_ELSEWHERE}"></script>text</body>'
DIAGRAM = '<body><pre class="mermaid"><code>flowchart LR</code></pre></body>'


def test_the_search_shim_comes_from_the_site() -> None:
    assert localise(PAGE, "../assets") == (
        '<body><script src="../assets/search-shim.js"></script>text</body>'
    )


def test_a_page_with_a_diagram_loads_mermaid() -> None:
    assert '<script src="assets/mermaid.js"></script></body>' in localise(DIAGRAM, "assets")


def test_every_package_of_npm_is_pinned_with_a_hash() -> None:
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    pinned = {name: package for name, package in packages.items() if name}
    assert {f"node_modules/{name}" for name in wanted} == set(pinned)
    assert all(package["integrity"].startswith("sha512-") for package in pinned.values())
