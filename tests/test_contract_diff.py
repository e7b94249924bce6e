"""`make contract-diff`: what another description changes, how well ours is known, who breaks."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from payex_billing_mock import load_contract

from tests.support import ROOT
from tools.contract_diff.differ import NotADescription, compare

CUSTOMER = "/{ownerNo}/customers/{customerNo}"
CHARGES = f"{CUSTOMER}/recurring-products"
OURS: Any = load_contract().document
Change = Callable[[Any], Any]


def changed(change: Change) -> Any:
    document = copy.deepcopy(dict(OURS))
    change(document)
    return document


def schemas(document: Any) -> Any:
    return document["components"]["schemas"]


DIFFERENCES: list[tuple[str, Change, tuple[str, str, str, bool, str]]] = [
    (
        "an operation less",
        lambda each: each["paths"][CHARGES].pop("post"),
        ("operation", "removed", "", True, "documented"),
    ),
    (
        "an operation more",
        lambda each: each["paths"][CUSTOMER].update(delete={"responses": {"204": {}}}),
        ("operation", "added", "", False, "-"),
    ),
    (
        "a property that must be sent",
        lambda each: (
            schemas(each)["NewCustomer"]["properties"].update(name={"type": "string"}),
            schemas(each)["NewCustomer"]["required"].append("name"),
        ),
        ("request", "added", "name", True, "-"),
    ),
    (
        "a property that may be sent",
        lambda each: schemas(each)["NewCustomer"]["properties"].update(name={"type": "string"}),
        ("request", "added", "name", False, "-"),
    ),
    (
        "a shorter number",
        lambda each: schemas(each)["NewCustomerNo"].update(maxLength=10),
        ("request", "changed", "customerNo", True, "documented"),
    ),
    (
        "a longer number",
        lambda each: schemas(each)["NewCustomerNo"].update(maxLength=20),
        ("request", "changed", "customerNo", False, "documented"),
    ),
    (
        "a property that is not answered",
        lambda each: (
            schemas(each)["Customer"]["properties"].pop("subscriptions"),
            schemas(each)["Customer"]["required"].remove("subscriptions"),
        ),
        ("answer", "removed", "200 subscriptions", True, "documented"),
    ),
    (
        "a property that is answered too",
        lambda each: schemas(each)["Customer"]["properties"].update(status={"type": "string"}),
        ("answer", "added", "200 status", False, "-"),
    ),
    (
        "another type",
        lambda each: schemas(each)["Customer"]["properties"].update(recurringProducts={"type": "object"}),
        ("answer", "changed", "200 recurringProducts", True, "documented"),
    ),
    (
        "an error less",
        lambda each: each["paths"][CUSTOMER]["get"]["responses"].pop("501"),
        ("status", "removed", "501", False, "sibling"),
    ),
    (
        "an error more",
        lambda each: each["paths"][CUSTOMER]["get"]["responses"].update({"410": {}}),
        ("status", "added", "410", False, "-"),
    ),
    (
        "another success",
        lambda each: each["paths"][CHARGES]["post"]["responses"].update({"202": {}}),
        ("status", "added", "202", True, "-"),
    ),
    (
        "a query that must be sent",
        lambda each: each["paths"][CUSTOMER]["parameters"].append(
            {"name": "year", "in": "query", "required": True, "schema": {"type": "integer"}}
        ),
        ("parameter", "added", "query year", True, "-"),
    ),
]


@pytest.mark.parametrize(("change", "expected"), [pytest.param(*each[1:], id=each[0]) for each in DIFFERENCES])
def test_a_difference_is_found_with_its_provenance_and_whether_it_breaks(
    change: Change, expected: tuple[str, str, str, bool, str]
) -> None:
    found = compare(OURS, changed(change))
    assert expected in [(each.what, each.kind, each.name, each.breaks, each.provenance) for each in found]


def test_a_contract_does_not_differ_from_itself() -> None:
    assert compare(OURS, OURS) == []


def test_names_of_path_parameters_are_the_writers_own() -> None:
    renamed = yaml.safe_load(
        yaml.safe_dump(changed(lambda each: None)).replace("customerNo}", "id}").replace("ownerNo}", "company}")
    )
    assert [each for each in compare(OURS, renamed) if each.what == "operation"] == []


SWAGGER: dict[str, Any] = {
    "swagger": "2.0",
    "basePath": "/billing/customer/v1",
    "paths": {
        CUSTOMER: {
            "get": {
                "parameters": [
                    {"name": "ownerNo", "in": "path", "required": True, "type": "string", "minLength": 1},
                    {
                        "name": "customerNo",
                        "in": "path",
                        "required": True,
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 15,
                    },
                ],
                "responses": {"200": {"schema": {"$ref": "#/definitions/Customer"}}},
            }
        }
    },
    "definitions": {
        "Customer": {
            "allOf": [
                {"$ref": "#/definitions/Linked"},
                {
                    "type": "object",
                    "required": ["customerNo"],
                    "properties": {"customerNo": {"type": "string", "x-nullable": True}},
                },
            ]
        },
        "Linked": {"properties": {"@id": {"type": "string"}}},
    },
}


def test_swagger_is_read_as_well() -> None:
    found = {(each.what, each.name): each.detail for each in compare(OURS, SWAGGER) if each.where == f"GET {CUSTOMER}"}
    assert found["answer", "200 customerNo"].startswith(("may be null", "minLength", "maxLength", "pattern"))
    assert ("answer", "200 @id") in found  # of another format only
    assert ("parameter", "path parameter 1") not in found


@pytest.mark.parametrize(
    "document", [{}, {"openapi": "4.0", "paths": {}}, {"openapi": "3.1.0"}, {"swagger": "1.2", "paths": {}}]
)
def test_what_is_no_description_is_refused(document: Any) -> None:
    with pytest.raises(NotADescription):
        compare(OURS, document)


def test_a_reference_to_itself_ends() -> None:
    document = changed(lambda each: schemas(each).update(Customer={"$ref": "#/components/schemas/Customer"}))
    with pytest.raises(NotADescription, match="leads to itself"):
        compare(OURS, document)


def diff(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.contract_diff", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Any], str]:
    def write(document: Any) -> str:
        file = tmp_path / "other.yaml"
        file.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
        return str(file)

    return write


def test_the_exit_code_says_whether_callers_break(written: Callable[[Any], str]) -> None:
    assert diff("openapi.yaml").returncode == 0
    assert diff(written(changed(DIFFERENCES[3][1]))).returncode == 2
    result = diff(written(changed(DIFFERENCES[0][1])))
    assert (result.returncode, "of which break callers" in result.stdout) == (3, True)
    assert f"POST {CHARGES}" in result.stdout


def test_json_says_the_same(written: Callable[[Any], str]) -> None:
    told = json.loads(diff(written(changed(DIFFERENCES[0][1])), "--json").stdout)
    assert told["breaking"] == 1
    assert told["differences"][0]["provenance"] == "documented"


@pytest.mark.parametrize(
    ("text", "said"), [("{", "neither YAML nor JSON"), ("- 1", "not a description"), ("a: 1", "it says neither")]
)
def test_an_unreadable_file_is_a_sentence(written: Callable[[Any], str], text: str, said: str) -> None:
    result = diff(written(text))
    assert (result.returncode, said in result.stderr, "Traceback" in result.stderr) == (1, True, False)


def test_a_missing_file_is_a_sentence() -> None:
    result = diff("nowhere.yaml")
    assert (result.returncode, "cannot be read" in result.stderr) == (1, True)
