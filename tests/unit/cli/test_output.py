"""What programs read is complete, and does nothing to a terminal that shows it."""

from __future__ import annotations

import json

import pytest
import yaml

from tripswitch.cli.output import emit

STEERING = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F))]
STEERING += [chr(code) for code in range(0x2066, 0x206A)]


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize("char", STEERING, ids=lambda char: f"U+{ord(char):04X}")
def test_what_steers_a_terminal_is_escaped(
    char: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    value = {"message": f"größer {char}31m red", char: 1}
    emit(value, form)
    printed = capsys.readouterr().out
    assert [one for one in printed if one in STEERING and one != "\n"] == []
    assert (json.loads(printed) if form == "json" else yaml.safe_load(printed)) == value


def test_ordinary_letters_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"message": "größer"}, "json")
    emit({"message": "größer"}, "yaml")
    assert capsys.readouterr().out.count("größer") == 2
