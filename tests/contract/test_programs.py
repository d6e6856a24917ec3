"""Programs are built before the first test, never by one: a test has a time limit, a build has none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools.cluster.build import ensure
from tools.cluster.toolchain import BuildError
from tools.image.build import ImageError
from tools.image.prebuilt import current_path, find_image

ROOT = Path(__file__).parents[2]


def test_a_program_that_is_not_built_is_an_error_and_not_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPSWITCH_CACHE", str(tmp_path))
    with pytest.raises(BuildError, match=r"glua: not built yet.*make programs"):
        ensure(["glua"])
    assert not list(tmp_path.iterdir())


def test_an_image_of_other_sources_is_never_used(tmp_path: Path) -> None:
    """Its name is a digest of all that goes into it."""
    for name in ("operator/tripswitch/run.py", "tools/image/build.py", "requirements.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "pyproject.toml").touch()
    with pytest.raises(ImageError, match="make real"):
        find_image(tmp_path)
    image = current_path(tmp_path)
    image.parent.mkdir(parents=True)
    image.touch()
    assert find_image(tmp_path) == image
    (tmp_path / "operator" / "tripswitch" / "run.py").write_text("changed")
    with pytest.raises(ImageError, match="make real"):
        find_image(tmp_path)


def planned(*target: str) -> list[str]:
    """Return the commands that make would run, whatever options the make above this test has."""
    words = ["make", "--dry-run", "--no-print-directory", *target]
    done = subprocess.run(
        words,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("target", ["test", "e2e", "cluster-test"])
def test_make_builds_them_before_the_first_test(target: str) -> None:
    commands = planned(target)
    builds = [n for n, command in enumerate(commands) if "cluster build --for tests" in command]
    tests = [n for n, command in enumerate(commands) if "pytest" in command]
    assert builds[0] < tests[0]


def test_make_builds_the_operators_image_before_the_tests_that_install_it() -> None:
    commands = planned("e2e", "E2E=real")
    (build,) = [n for n, command in enumerate(commands) if "tools.image.prebuilt" in command]
    (tests,) = [n for n, command in enumerate(commands) if "pytest" in command]
    assert build < tests


@pytest.mark.parametrize(("target", "purpose"), [("demo", "demo"), ("up", "kwok")])
def test_what_is_tried_by_hand_builds_only_what_it_needs(target: str, purpose: str) -> None:
    builds = [command for command in planned(target) if "cluster build" in command]
    assert len(builds) == 1
    assert f"--for {purpose}" in builds[0]
