"""Each provider of the end-to-end tests refuses where it cannot run, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.environment import start_environment
from tools.cluster.images import IMAGES, write_archive
from tools.cluster.kind_cluster import KindError


def test_kind_without_a_container_engine_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KindError, match=r"needs Docker.*E2E=real"):
        start_environment("kind", tmp_path)


def test_current_without_kubectl_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="needs kubectl"):
        start_environment("current", tmp_path)


def test_an_unknown_provider_is_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="kwok, real, kind, current"):
        start_environment("minikube", tmp_path)


def test_an_image_is_the_same_bytes_whenever_it_is_made(
    tmp_path: Path,
) -> None:
    """Else every run would bring new ones onto a node."""
    busybox = Path(__file__)  # any file will do
    first = write_archive(IMAGES["server"], tmp_path / "first.tar", busybox=busybox).read_bytes()
    again = write_archive(IMAGES["server"], tmp_path / "second.tar", busybox=busybox).read_bytes()
    assert again == first
