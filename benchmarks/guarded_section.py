"""The last section of docs/real-node.md: written by ``real_guarded``, kept by ``real_times``."""

from __future__ import annotations

HEADING = "## A guarded Deployment beside a plain one"


def find_guarded(page: str) -> str:
    r"""Return the section of a page; empty if there is none.

    >>> find_guarded(f"# Times\n\n{HEADING}\n\nrows\n").splitlines()
    ['', '## A guarded Deployment beside a plain one', '', 'rows']
    >>> find_guarded("# Times\n")
    ''
    """
    _, heading, rows = page.partition(f"\n{HEADING}")
    return heading + rows


def put_section(page: str, section: str) -> str:
    r"""Return the page with this section in place of the one it had.

    >>> old = put_section("# Times\n", f"{HEADING}\n\nold\n")
    >>> put_section(old, f"{HEADING}\n\nnew\n").splitlines()
    ['# Times', '', '## A guarded Deployment beside a plain one', '', 'new']
    """
    return f"{page.partition(HEADING)[0].rstrip()}\n\n{section}"
