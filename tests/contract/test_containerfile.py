"""The Containerfile says the same about the image as the builder that the tests use."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tools.image.build import CONFIG

TEXT = (Path(__file__).parents[2] / "Containerfile").read_text().replace("\\\n", "")


def read(word: str) -> list[str]:
    """The arguments of an instruction of the last stage."""
    last = TEXT.rpartition("\nFROM ")[2]
    return re.findall(rf"^{word} (.*)$", last, re.MULTILINE)


def test_the_containerfile_and_the_builder_agree() -> None:
    assert json.loads(read("ENTRYPOINT")[0]) == list(CONFIG.entrypoint)
    assert read("USER") == [CONFIG.user]
    words = (word.partition("=") for word in read("ENV")[0].split())
    assert {name: value for name, _, value in words} == dict(CONFIG.environment)
    assert TEXT.rpartition("\nFROM ")[2].startswith("scratch\n")
