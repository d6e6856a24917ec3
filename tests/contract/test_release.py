"""Everything that a release has carries the one version of pyproject.toml."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from tools import release
from tools.generate import versions
from tools.image import prebuilt
from tools.image.archive import Config, write_archive
from tools.plugin_file import build as build_plugin_file
from tools.version import ROOT, read_version


def test_files_that_repeat_the_version_are_generated() -> None:
    for path, text in versions.render_files().items():
        assert path.read_text() == text
        assert read_version() in text


def test_no_tool_has_a_version_of_its_own() -> None:
    number = re.escape(read_version())
    places = [
        *(ROOT / "tools").rglob("*.py"),
        *(ROOT / "operator").rglob("*.py"),
        ROOT / "Makefile",
    ]
    assert [
        path for path in places if re.search(rf"tripswitch[:-]{number}", path.read_text())
    ] == []
    assert f"tripswitch:{read_version()}" == prebuilt.TAG


def test_wheel_and_sdist_carry_it(tmp_path: Path) -> None:
    built = release.build_release(tmp_path, ["wheel", "sdist"])
    assert [path.name for path in built] == [
        f"tripswitch-{read_version()}-py3-none-any.whl",
        f"tripswitch-{read_version()}.tar.gz",
    ]
    sums = (tmp_path / "SHA256SUMS").read_text()
    assert all(
        re.search(rf"^[0-9a-f]{{64}}  {re.escape(path.name)}$", sums, re.MULTILINE)
        for path in built
    )


def test_the_plugin_carries_it(tmp_path: Path) -> None:
    path = tmp_path / "kubectl-tripswitch"
    build_plugin_file(path, pythons=())
    assert release.read_wheel_version(path) == read_version()


@pytest.mark.cluster
def test_the_chart_package_carries_it(tmp_path: Path) -> None:
    assert release.read_chart_version(release.build_chart(tmp_path)) == read_version()


def test_the_image_carries_it_as_its_tag(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    archive = tmp_path / "image.tar"
    write_archive(archive, [layer], Config([], "0:0", {}), prebuilt.TAG)
    assert release.read_image_version(archive) == read_version()


def test_an_artefact_with_another_version_fails_the_release(tmp_path: Path) -> None:
    other = tmp_path / "other.whl"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("tripswitch-9.9.9.dist-info/METADATA", "Version: 9.9.9\n")
    artefacts = {"wheel": (lambda _: other, release.read_wheel_version)}
    with pytest.raises(release.ReleaseError, match=r"other\.whl has version 9\.9\.9"):
        release.build_release(tmp_path, ["wheel"], artefacts)
