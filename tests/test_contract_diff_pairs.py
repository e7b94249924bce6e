"""`make contract-diff` on our contract and one changed copy each: the exit code, and each difference it names.

A difference *breaks* if a request that our client may send today would fail, or if a response could be misread.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from tests.contract_diff.call_pairs import MEDIA_TYPES, OPERATIONS, SAME_API, SECURITY, SERVERS
from tests.contract_diff.edits import BREAKING, HARMLESS, SAME, UNREADABLE, Edit, Pair, made, referring
from tests.contract_diff.spellings import OURS, inside, swagger_20
from tests.contract_diff.value_pairs import REQUESTS, RESPONSES
from tests.support import ROOT
from tools.contract_diff.__main__ import diff

PAIRS = [*SAME_API, *SERVERS, *MEDIA_TYPES, *SECURITY, *REQUESTS, *RESPONSES, *OPERATIONS]


def written(tmp_path: Path, pair: Pair) -> list[str]:
    ours, other = ROOT / "openapi.yaml", tmp_path / "other.json"
    if pair.ours:
        ours = tmp_path / "ours.json"
        ours.write_text(json.dumps(made(pair.ours)), encoding="utf-8")
    text = pair.as_text(made(pair.other))
    other.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [str(other), "--contract", str(ours)]


def named(difference: Any) -> str:
    """Verdict, kind and the last name, such as `breaks response changed quantity`."""
    verdict = "breaks" if difference["breaks"] else "harmless"
    name = difference["name"]
    last = (name.partition(" ")[2] if difference["what"] == "response" else name).rpartition(".")[2]
    return f"{verdict} {difference['what']} {difference['kind']} {last}".strip()


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_changed_copy_gets_the_verdict_that_a_caller_would_give(pair: Pair, tmp_path: Path) -> None:
    result = CliRunner().invoke(diff, [*written(tmp_path, pair), "--json"], catch_exceptions=False)
    differences = json.loads(result.stdout)["differences"]
    assert {named(difference) for difference in differences} == set(pair.named)
    assert result.exit_code == pair.code
    if pair.only_in:
        assert {difference["where"] for difference in differences} == {pair.only_in}


UNREADABLE_FILES: list[tuple[str, str | bytes | Edit, str]] = [
    ("an empty file", "", "is empty"),
    ("a page of HTML", "<!DOCTYPE html>\n<html><title>Swagger UI</title></html>", "HTML"),
    ("a list", "- 1", "not an OpenAPI or Swagger file"),
    ("broken JSON", '{"openapi": "3.1.0", "paths": {', "line 1"),
    ("bytes of another kind", b"PK\x03\x04\xff\xfe\x00", "cannot be read"),
    ("YAML about something else", "services: {}", "neither `swagger"),
    ("an unknown version", "openapi: 4.0.0\npaths: {}", "4.0.0"),
    ("no paths", "openapi: 3.1.0", "paths"),
    ("paths that are a list", "openapi: 3.1.0\npaths: []", "paths"),
    ("a reference to another file", referring("common.yaml#/Number"), "common.yaml#/Number"),
    ("a reference to another host", referring("https://payex.com/common.json#/Number"), "not fetched"),
    ("a reference to nothing", referring("#/components/schemas/Nothing"), "#/components/schemas/Nothing"),
    (
        "a reference to itself",
        lambda each: each["components"]["schemas"].update(Link={"$ref": "#/components/schemas/Link"}),
        "leads to itself",
    ),
    (
        "a schema that is composed of itself",
        lambda each: each["components"]["schemas"].update(Link={"allOf": [{"$ref": "#/components/schemas/Link"}]}),
        "leads to itself",
    ),
]


@pytest.mark.parametrize(("content", "said"), [pytest.param(*case[1:], id=case[0]) for case in UNREADABLE_FILES])
def test_a_file_that_cannot_be_compared_is_a_sentence_that_names_it(
    content: str | bytes | Edit, said: str, tmp_path: Path
) -> None:
    other = tmp_path / "swagger.json"
    text = content if isinstance(content, (str, bytes)) else json.dumps(made(content))
    other.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = CliRunner().invoke(diff, [str(other)], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (UNREADABLE, "")
    assert "swagger.json" in result.stderr
    assert said in result.stderr


def test_a_broken_file_never_ends_in_a_traceback(tmp_path: Path) -> None:
    junk: list[Any] = [None, [], {}, "text", 1, True, -0.5, ["a"], {"a": 1}, {"$ref": "#/paths"}, {"$ref": 5}]
    other = tmp_path / "swagger.json"
    for seed in range(40):
        random = Random(seed)
        document = swagger_20() if seed % 2 else copy.deepcopy(OURS)
        parent = random.choice([node for node in inside(document) if node])
        parent[random.choice(list(parent))] = random.choice(junk)
        other.write_text(json.dumps(document), encoding="utf-8")
        result = CliRunner().invoke(diff, [str(other)], catch_exceptions=False)
        assert result.exit_code in {SAME, UNREADABLE, HARMLESS, BREAKING}
        assert (result.exit_code == UNREADABLE) is result.stderr.startswith("Error: ")
