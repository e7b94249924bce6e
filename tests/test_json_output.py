"""Every `--json` is one object that fits its schema, and the schema has every property of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import jsonschema_rs
import pytest
from payex_billing.cli._commands import payex_billing
from payex_billing.cli._output_schemas import OUTPUTS, schema_of
from payex_billing_mock import MockServer

from tests.commands import run_command
from tests.support import LEDGER, ROOT, TOKEN

HEADER = "customer_no,subscription_no,product_code,quantity,unit_price,start_date\n"
FIRST = HEADER + "1,,P01,1,10.50,2026-11-01\n2,46,P02,1,20.00,2026-11-01\n3,,P01,0,1.00,2026-11-01\n"
DEARER = FIRST.replace("10.50", "11.50")
SLIP = DEARER.replace("11.50", "1150.00")
Json = dict[str, Any]


@attrs.frozen
class Case:
    """A command with --json.

    Attributes:
        schema: the name of its schema.
        arguments: the command; {id} is the charge that was added, {charge} one that apply created.
        code: its exit code.
        table: what charges.csv contains.
        journal: whether the command uses the journal in PostgreSQL.
    """

    schema: str
    arguments: str
    code: int = 0
    table: str = FIRST
    journal: bool = False


# In this order, because later commands need what earlier ones have written.
CASES = {
    "version": Case("version", "version"),
    "settings": Case("settings", "settings"),
    "settings that are wrong": Case("settings", "settings --base-url http://example.com", 1),
    "doctor": Case("findings", "doctor"),
    "doctor without a ledger": Case("findings", "doctor --base-url http://example.com", 1),
    "every problem type": Case("problems", "problems"),
    "one problem type": Case("problems", "problems customer-not-found"),
    "a new customer": Case("customer", "customer create 7 --subscription 46"),
    "a customer": Case("customer", "customer get 7"),
    "a new charge": Case("charges", "charges add 7 P01 --quantity 1 --unit-price 499.00 --start 2026-01-01"),
    "all charges": Case("charges", "charges list 7"),
    "the charges of a subscription": Case("charges", "charges list 7 --subscription 46"),
    "a changed charge": Case("charges", "charges update 7 {id} --unit-price 549.50 --text x"),
    "an ended charge": Case("charges", "charges end 7 {id} 2026-12-31"),
    "a removed charge": Case("removal", "charges remove 7 {id} --yes"),
    "a plan": Case("plan", "plan charges.csv", 3),
    "a strict run": Case("report", "apply charges.csv --strict", 3),
    "a run": Case("report", "apply charges.csv --first-run", 3),
    "a second run": Case("report", "apply charges.csv", 3, DEARER),
    "a run that a guard stops": Case("report", "apply charges.csv", 4, SLIP),
    "a run that is refused": Case("report", "apply nowhere.csv", 1),
    "a run that failed rows again": Case("report", "retry 1 charges.csv", 3, DEARER),
    "a run without rejected rows": Case("report", "apply fine.csv"),
    "nothing to retry": Case("report", "retry 4"),
    "the runs": Case("runs", "runs list"),
    "one run": Case("run", "runs show 1"),
    "the history of a customer": Case("history", "history 1"),
    "open creations": Case("creations", "runs resolve"),
    "no drift": Case("drift", "drift"),
    "another price": Case("charges", "charges update 1 {charge} --unit-price 12.00"),
    "drift": Case("drift", "drift", 2),
    "an export": Case("export", "export --to held.csv"),
    "the plan of an undo": Case("plan", "undo 1 --plan-only"),
    "an undo": Case("report", "undo 1 --yes"),
    "an undo of nothing": Case("report", "undo 1 --yes"),
    "forgotten values": Case("history", "history 1 --forget --yes"),
    "a worker without a run": Case("work", "work --wait 0", journal=True),
}  # fmt: skip


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[dict[str, Json]]:
    """What each command printed."""
    folder = tmp_path_factory.mktemp("json")
    with MockServer({LEDGER: TOKEN}) as mock:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PAYEX_")} | {
            "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url,
            "XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder),
        }  # fmt: skip
        yield dict(_printed(folder, environment, f"{request.getfixturevalue('postgres_server')}/postgres"))


def _printed(folder: Path, environment: dict[str, str], database: str) -> Iterator[tuple[str, Json]]:
    ids: dict[str, str] = {}
    (folder / "fine.csv").write_text(HEADER + "1,,P01,1,11.50,2026-11-01\n")
    for name, case in CASES.items():
        (folder / "charges.csv").write_text(case.table)
        arguments = [word.format(**ids) for word in case.arguments.split()]
        own = {"PAYEX_JOURNAL": database} if case.journal else {}
        done = run_command(*arguments, "--json", cwd=folder, environment=environment | own, timeout=120)
        assert done.returncode == case.code, (name, done.stdout, done.stderr)
        printed = json.loads(done.stdout)
        if name == "a new charge":
            ids["id"] = printed["charges"][0]["id"]
        if name == "the history of a customer":
            ids["charge"] = printed["writes"][-1]["charge_id"]
        yield name, printed


@pytest.mark.parametrize("name", CASES)
def test_the_output_is_one_object_that_fits_its_schema(outputs: dict[str, Json], name: str) -> None:
    schema = schema_of(CASES[name].schema)
    validator = jsonschema_rs.validator_for(closed(schema), validate_formats=True)
    assert isinstance(outputs[name], dict)
    assert [(list(error.instance_path), error.message) for error in validator.iter_errors(outputs[name])] == []


def closed(schema: Any) -> Any:
    """The same schema, which refuses every property that it does not name."""
    if not isinstance(schema, dict):
        return schema
    changed = {name: closed(value) if name == "items" else value for name, value in schema.items()}
    for name in ("oneOf", "anyOf"):
        if name in schema:
            changed[name] = [closed(each) for each in schema[name]]
    if "properties" in schema:
        changed["properties"] = {name: closed(value) for name, value in schema["properties"].items()}
        changed["additionalProperties"] = False
    return changed


@pytest.mark.parametrize("name", CASES)
def test_the_schema_refuses_an_output_that_lacks_a_property(outputs: dict[str, Json], name: str) -> None:
    schema, printed = schema_of(CASES[name].schema), outputs[name]
    variants = schema.get("oneOf", [schema])
    fitting = next(each for each in variants if jsonschema_rs.validator_for(each).is_valid(printed))
    validator = jsonschema_rs.validator_for(schema)
    assert fitting["required"]
    for required in fitting["required"]:
        assert not validator.is_valid({key: value for key, value in printed.items() if key != required})


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_schema_is_a_schema_and_has_a_name_of_its_own(name: str) -> None:
    schema = schema_of(name)
    jsonschema_rs.meta.validate(schema)
    assert schema["$id"] == f"urn:payex-billing:{name}:1"
    assert (schema["title"], "description" in schema) == (schema["title"] or "a title", True)


def test_every_command_with_json_has_a_schema_and_is_tried() -> None:
    with_json = set(_with_json(payex_billing, []))
    listed = {command.removesuffix(" --plan-only") for output in OUTPUTS.values() for command in output.commands}
    tried = {
        command for command in with_json for case in CASES.values() if f"{case.arguments} ".startswith(f"{command} ")
    }
    assert with_json == listed == tried
    assert {case.schema for case in CASES.values()} == OUTPUTS.keys()


def _with_json(command: click.Command, path: list[str]) -> Iterator[str]:
    if any("--json" in option.opts for option in command.params):
        yield " ".join(path)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _with_json(below, [*path, name])


def test_the_page_lists_every_schema_with_its_commands() -> None:
    page = (ROOT / "docs" / "howto" / "json.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (.+?) \|$", page, re.MULTILINE))
    assert rows == {name: ", ".join(f"`{each}`" for each in output.commands) for name, output in OUTPUTS.items()}


def test_the_command_prints_a_schema_and_suggests_a_name() -> None:
    def said(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "payex_billing", "schema", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert json.loads(said("charges").stdout) == schema_of("charges")
    assert "charges list, charges add" in said().stdout
    wrong = said("chrges")
    assert (wrong.returncode, "Did you mean 'charges'?" in wrong.stderr) == (64, True)
