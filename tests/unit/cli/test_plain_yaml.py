"""What other readers of YAML and JSON take is read, and what is written means the same to them."""

from __future__ import annotations

import json

import pytest
import yaml

from tripswitch.cli.plain_yaml import load_plain, write


def read_one(text: str) -> object:
    (found,) = load_plain(text)
    return found


CONFUSING = """
y N 1e3 12E05 1.5e3 -.5 089 098765432109 0o17 -0b1_1 5. no 0755 12:30 1_0 .5 ~ null true .inf 0x1F 2024-01-01
"""


@pytest.mark.parametrize("text", [*CONFUSING.split(), ""])
def test_text_that_another_reader_takes_for_something_else_is_in_quotes(text: str) -> None:
    written = write({"value": text}, allow_unicode=True)
    assert written in (f"value: '{text}'\n", f'value: "{text}"\n')


@pytest.mark.parametrize("text", ["yes1", "web", "1.2.3", "v1", "5s", "1e", "0x", "a: b", "e3"])
def test_any_other_text_is_read_as_it_was(text: str) -> None:
    assert yaml.safe_load(write([text], allow_unicode=False)) == [text]


def test_numbers_and_switches_are_written_without_quotes() -> None:
    assert write([5, -1, 1.5, 1e20, True, None], allow_unicode=True) == (
        "- 5\n- -1\n- 1.5\n- 1.0e+20\n- true\n- null\n"
    )


@pytest.mark.parametrize("indent", ["\t", 2, None])
def test_json_is_read_however_it_is_indented(indent: str | int | None) -> None:
    value = {"a": [1, {"b": "c\td"}], "e": {}}
    assert read_one(json.dumps(value, indent=indent)) == value


def test_a_tab_may_separate_and_end_what_is_no_indentation() -> None:
    assert read_one("a: 1\t# one\nb:\t2\t\nc: [3,\t4]\n") == {"a": 1, "b": 2, "c": [3, 4]}


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "-\t- 1\n", "\ta: 1\n"])
def test_a_tab_is_no_indentation(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="token"):
        load_plain(text)


def test_the_two_halves_of_a_character_are_one() -> None:
    assert read_one(r'"\ud83d\ude00 \ufeff\u00fc"') == "\N{GRINNING FACE} \ufeffü"


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00"])
def test_half_a_character_is_replaced_as_kubectl_does(half: str) -> None:
    assert read_one(f'"a{half}b"') == "a\N{REPLACEMENT CHARACTER}b"
