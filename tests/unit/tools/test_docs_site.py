"""The docs site's navigation forgets no page and names none that is not there."""

from __future__ import annotations

from pathlib import Path

from tools.docs_site import fill_in, find_missing_images, leave_in_repository


def test_a_pattern_stands_for_the_pages_that_no_entry_names(tmp_path: Path) -> None:
    for name in ("a.md", "b.md", "c.md", "part/x.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# A page")
    nav = ["b.md", {"Part": ["part/*.md"]}, {"Empty": ["none/*.md"]}, "gone.md", "*.md"]
    assert fill_in(nav, tmp_path) == ["b.md", {"Part": ["part/x.md"]}, "a.md", "c.md"]


def test_a_picture_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "there.svg").write_text("<svg/>")
    (tmp_path / "page.md").write_text("![one](there.svg) ![two](gone.svg)")
    assert find_missing_images(tmp_path) == ["page.md: gone.svg"]


def test_a_link_out_of_the_site_becomes_its_words_and_must_lead_somewhere(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (tmp_path / "LICENSE").write_text("free")
    page = docs / "page.md"
    page.write_text("[law](../LICENSE) [gone](../NOTHING) [other](other.md#part) ![p](../x.svg)")
    assert leave_in_repository(page, docs) == (
        "law gone [other](other.md#part) ![p](../x.svg)",
        ["page.md: ../NOTHING"],
    )
