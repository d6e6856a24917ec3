"""Mutation testing of the core: which changes of ``tripswitch.domain`` would no unit test notice?

    python -m tools.mutation                                   every module (long)
    python -m tools.mutation rules/threshold rules/scaling     only these
    python -m tools.mutation --keep DIR rules/scaling          work in DIR and leave everything there

mutmut derives module names from paths and does not take a source root called ``operator``. So it works
on a staged copy in which the root is called ``src``, and lives in a virtual environment of its own.
The unit tests must pass before anything can be learnt. Survivors are printed as differences, grouped
by module; ``docs/proof.md`` lists the result of each. The exit code says whether there are any.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

PINNED = ("mutmut==3.8.1", "pytest==9.2.0", "pytest-timeout==2.4.0")
ROOT = Path(__file__).parents[1]
DOMAIN = ROOT / "operator" / "tripswitch" / "domain"
TESTS = Path("tests/unit/domain")
UNMUTATED = frozenset({"__init__"})

CONFIGURATION = """\
[tool.pytest.ini_options]
addopts = ["--import-mode=importlib"]
pythonpath = [".", "src"]

[tool.mutmut]
source_paths = ["src"]
only_mutate = [{modules}]
pytest_add_cli_args_test_selection = ["{tests}"]
use_git_change_detection = false
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 when something survived."""
    modules = find_modules()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(modules))
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.modules) - set(modules):
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    wanted = sorted(set(chosen.modules)) or modules
    if chosen.keep is not None:
        return run(chosen.keep.absolute(), wanted, chosen.jobs)
    with tempfile.TemporaryDirectory(prefix="tripswitch-mutation-") as scratch:
        return run(Path(scratch), wanted, chosen.jobs)


def find_modules() -> list[str]:
    """Return the modules of the core, such as ``rules/threshold``."""
    found = (path for path in DOMAIN.rglob("*.py") if path.stem not in UNMUTATED)
    return sorted(path.relative_to(DOMAIN).with_suffix("").as_posix() for path in found)


def run(home: Path, modules: Sequence[str], jobs: int) -> int:
    """Stage, mutate, test and report in ``home``."""
    mutmut = install(home / "venv")
    stage = home / "stage"
    write_stage(stage, modules)
    log = home / "mutmut.log"
    print(f"mutating {', '.join(modules)}: some minutes for each", flush=True)
    with log.open("w") as output:  # its spinners are no reading matter
        command = [str(mutmut), "run", "--max-children", str(jobs)]
        done = subprocess.run(
            command, cwd=stage, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 0:
        print(log.read_text()[-4000:], file=sys.stderr)
        print("the unit tests do not pass, or mutmut failed: nothing was learnt", file=sys.stderr)
        return done.returncode
    return report(mutmut, stage)


def install(environment: Path) -> Path:
    """Return mutmut, in a virtual environment that nothing else uses."""
    mutmut = environment / "bin" / "mutmut"
    if not mutmut.exists():
        venv.create(environment, with_pip=True)
        pip = environment / "bin" / "pip"
        subprocess.run([pip, "install", "--quiet", *PINNED], check=True)
    return mutmut


def write_stage(stage: Path, modules: Sequence[str]) -> None:
    """Copy the core as ``src/tripswitch/domain`` and the tests that are about it."""
    shutil.rmtree(stage, ignore_errors=True)
    rubbish = shutil.ignore_patterns("__pycache__")
    package = stage / "src" / "tripswitch"
    for part in ("domain", "simulation"):
        shutil.copytree(DOMAIN.parent / part, package / part, ignore=rubbish)
    shutil.copy(DOMAIN.parent / "__init__.py", package)
    for folder in (TESTS, Path("tests/oracle"), Path("tests/support")):
        shutil.copytree(ROOT / folder, stage / folder, ignore=rubbish)
    shutil.copy(ROOT / "tests" / "__init__.py", stage / "tests")
    listed = ", ".join(f'"src/tripswitch/domain/{module}.py"' for module in modules)
    (stage / "pyproject.toml").write_text(CONFIGURATION.format(modules=listed, tests=TESTS))


def report(mutmut: Path, stage: Path) -> int:
    """Print the survivors, module by module, as differences."""
    counts: dict[str, int] = {}
    survivors: dict[str, list[str]] = {}
    for line in ask(mutmut, stage, "results", "--all", "true").splitlines():
        name, _, verdict = line.strip().rpartition(": ")
        if name:
            counts[verdict] = counts.get(verdict, 0) + 1
        if name and verdict not in ("killed", "timeout"):
            survivors.setdefault("/".join(name.split(".")[2:-1]), []).append(f"{name}: {verdict}")
    for module, found in sorted(survivors.items()):
        print(f"\n## {module}: {len(found)} survived\n")
        for survivor in found:
            print(f"### {survivor}")
            print(ask(mutmut, stage, "show", survivor.partition(": ")[0]))
    total = ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items()))
    print(f"\n{sum(counts.values())} mutants: {total}")
    return 1 if survivors else 0


def ask(mutmut: Path, stage: Path, *command: str) -> str:
    """Return what mutmut says."""
    done = subprocess.run([mutmut, *command], cwd=stage, check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
