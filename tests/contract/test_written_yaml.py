"""kubectl reads the YAML that the plugin writes as what was meant: its reader is not Python's."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import pytest

from tools.cluster.build import ensure
from tripswitch.cli.plain_yaml import write

LETTERS = "0189.eE+-_xoby~n:T"
CURATED = [
    "098765432109",
    "1234e56",
    "0o17",
    "-0o7",
    "+1_0.5e-3",
    "0x1F",
    "true",
    "NULL",
    "<<",
    "=",
    "\t",
]
CURATED += [
    "0b+0",
    "on",
    "Off",
    "12:30:45",
    "2024-1-2",
    "2024-01-02T03:04:05Z",
    ".inf",
    "-.INF",
    ".nan",
    "*a",
    "&a",
    "!a",
]
CURATED += ["a: b", "a #b", "- a", "? a", "%a", "@a", "`a", "'", '"', "\\", "\n", "a\n", "\u2028", "\N{GRINNING FACE}", "ü"]  # fmt: skip


@pytest.mark.cluster
@pytest.mark.parametrize("allow_unicode", [True, False])
def test_kubectl_reads_every_text_as_that_text(tmp_path: Path, *, allow_unicode: bool) -> None:
    short = ("".join(one) for size in (1, 2, 3) for one in itertools.product(LETTERS, repeat=size))
    texts = [*CURATED, *short, *([] if allow_unicode else ["\u0085"])]
    manifest = {"apiVersion": "v1", "kind": "Any", "metadata": {"name": "it"}, "texts": texts}
    path = tmp_path / "it.yaml"
    path.write_text(write(manifest, allow_unicode=allow_unicode))
    kubectl = str(ensure(["kubectl"])["kubectl"])
    words = [kubectl, "label", "--local", "-f", str(path), "a=b", "-o", "json"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["texts"] == texts
