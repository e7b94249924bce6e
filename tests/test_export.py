"""`export`: what a ledger holds, as a table that `apply` takes back, and `drift`: what others have changed in it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from payex_billing import AsyncBilling, reconcile
from payex_billing_mock import MockServer, Store

from tests.commands import run_command
from tests.support import LEDGER, NIGHTLY, TOKEN

Run = Callable[..., subprocess.CompletedProcess[str]]
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=73)
LAST = {"productCode": "P01", "unitPrice": 10.5, "startDate": "2026-01-01"}


def money(whole: int, decimals: int) -> st.SearchStrategy[float]:
    return st.decimals(-whole, whole, places=decimals).map(float)


CHARGES = st.fixed_dictionaries(
    {"productCode": st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)},
    optional={
        "quantity": st.integers(1, 99_999),
        "unitPrice": money(9_999_999, 6),
        "vatRate": st.decimals(0, 100, places=2).map(float),
        "text": st.one_of(
            ANY_TEXT, st.sampled_from([" Fibre", "Fibre\u200b", "=1+1", "a\tb", "a\r\nb", "1,5", "\ufeffx"])
        ),
        "startDate": st.dates(max_value=date(2026, 1, 1)).map(str),
        "endDate": st.one_of(st.none(), st.dates(min_value=date(2026, 1, 2)).map(str)),
    },
)
CUSTOMERS = st.text("abcåäö&/_ -.019", min_size=1, max_size=15).filter(
    lambda text: not {".", ".."} & {*text.split("/")}
)
# The client cannot address a number with a dot segment, because a URL has another meaning then.
SUBSCRIPTIONS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=34).filter(
    lambda text: not {".", ".."} & {*re.split(r"[/\\;]", text)}
)
STATES = st.dictionaries(
    CUSTOMERS,
    st.tuples(
        st.lists(CHARGES, max_size=3),
        st.dictionaries(SUBSCRIPTIONS, st.lists(CHARGES, max_size=2), max_size=2),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


def hold(mock: MockServer, state: dict[str, Any]) -> None:
    """Let the mock hold a state. With the third value, each charge of a customer is there twice."""
    mock.app.store = Store()
    for number, (own, below, twice) in state.items():
        mock.store.create_customer(LEDGER, {"customerNo": number})
        for charge in own * (2 if twice else 1):
            mock.store.create_charge(LEDGER, number, "", dict(charge))
        for subscription, charges in below.items():
            mock.store.create_subscription(LEDGER, number, {"subscriptionNo": subscription})
            for charge in charges:
                mock.store.create_charge(LEDGER, number, subscription, dict(charge))


async def round_trip(mock: MockServer, numbers: list[str], target: Path) -> reconcile.Plan:
    async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=mock.url) as billing:
        exported = await reconcile.export(billing, numbers, target)
        assert exported.failed == {}
        with reconcile.read(target) as table:
            assert table.total == exported.charges
            return await reconcile.plan(billing, table, prune=True)


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
@settings(
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=100 if NIGHTLY else 10,  # for each file format
)
@given(state=STATES)
def test_an_exported_state_needs_no_write(ending: str, state: dict[str, Any], mock: MockServer, tmp_path: Path) -> None:
    hold(mock, state)
    target = tmp_path / f"charges.{ending}"
    if not any(own or any(below.values()) for own, below, _ in state.values()):
        return  # a table without a row is refused
    plan = asyncio.run(round_trip(mock, list(state), target))
    assert plan.rejected == {}
    assert plan.counts == {}


def test_an_edited_cell_with_an_exact_text_is_rejected(mock: MockServer, tmp_path: Path) -> None:
    hold(mock, {"1": ([{**LAST, "text": " Fibre"}], {}, False)})
    target = tmp_path / "charges.csv"
    asyncio.run(round_trip(mock, ["1"], target))
    target.write_text(target.read_text("utf-8").replace("Fibre,", "Copper,"), "utf-8")
    with reconcile.read(target) as table:
        assert [rejection.rule for rejection in table.rejections] == [
            "does not fit its column payex_exact. If the row was edited, empty that cell"
        ]


def test_a_text_that_begins_like_a_formula_is_a_text_in_a_workbook(mock: MockServer, tmp_path: Path) -> None:
    hold(mock, {"1": ([{**LAST, "text": "=1+1"}], {}, False)})
    asyncio.run(round_trip(mock, ["1"], tmp_path / "charges.xlsx"))
    sheet = openpyxl.load_workbook(tmp_path / "charges.xlsx").active
    assert sheet is not None
    cells = {cell.value: cell.data_type for row in sheet.iter_rows() for cell in row}
    assert cells["=1+1"] == "s"
    assert cells[10.5] == "n"


# as one types it


@pytest.fixture
def run(mock: MockServer, tmp_path: Path) -> Run:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        given = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "COLUMNS": "200"}
        return run_command(*arguments, cwd=tmp_path, environment={**os.environ, **given, **variables})

    return run


def test_the_customers_come_from_a_list_a_column_or_the_journal(run: Run, mock: MockServer, tmp_path: Path) -> None:
    hold(mock, {"1": ([LAST], {}, False), "2": ([LAST], {"46": [LAST]}, False)})
    (tmp_path / "list.txt").write_text("1\n\n 2 \n9\n1\n", "utf-8")
    (tmp_path / "crm.csv").write_text("name;kund\nÅsa;2\nBo;2\n", "utf-8")
    listed = run("export", "--customers", "list.txt", "--to", "a.csv")
    assert (listed.returncode, "3 charges of 2 customers in a.csv" in listed.stdout) == (0, True), listed
    assert "1 customer not in the ledger: 9" in listed.stdout
    column = run("export", "--customers", "crm.csv", "--column", "kund", "--to", "b.csv", "--json")
    assert json.loads(column.stdout)["charges"] == 2
    assert run("export", "--to", "c.csv").returncode == 1  # no journal yet
    assert run("apply", "a.csv").returncode == 0
    (tmp_path / "new.csv").write_text("customer_no,product_code,start_date\n2,P02,2026-11-01\n", "utf-8")
    assert run("apply", "new.csv", "--first-run").returncode == 0
    assert "3 charges of 1 customer in c.csv" in run("export", "--to", "c.csv").stdout


def test_an_export_counts_only_the_customers_in_the_file(run: Run, mock: MockServer, tmp_path: Path) -> None:
    hold(mock, {"1": ([LAST, LAST], {}, False), "2": ([], {"46": []}, False)})
    (tmp_path / "list.txt").write_text("1\n2\nnobody\n", "utf-8")
    assert run("export", "--customers", "list.txt", "--to", "a.csv").stdout.splitlines() == [
        "1 customer not in the ledger: nobody", "1 customer without a charge", "2 charges of 1 customer in a.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "list.txt",
            "1\n\n{value}\n",
            "list.txt: line 3: {shown}: customer_no must have at most 15 characters, not 60",
        ),
        (
            "crm.csv",
            "kund\n1\n{value}\n",
            "crm.csv: line 3: {shown}: customer_no must have at most 15 characters, not 60",
        ),
        (
            "list.txt",
            "1\na/../b\n",
            "list.txt: line 2: 'a/../b': customer_no must not hold '.' or '..' between slashes",
        ),
    ],
)
def test_a_wrong_number_in_a_list_is_named_with_its_file_and_line(
    run: Run, tmp_path: Path, name: str, text: str, said: str
) -> None:
    value = "\u202e" + "x" * 59
    (tmp_path / name).write_text(text.format(value=value), "utf-8")
    refused = run("export", "--customers", name, "--column", "kund", "--to", "a.csv")
    shown = r"'\u202e" + "x" * 38 + "…'"
    assert (refused.returncode, said.format(shown=shown) in refused.stderr) == (1, True), refused.stderr


def test_an_interrupted_export_goes_on(run: Run, mock: MockServer, tmp_path: Path) -> None:
    hold(mock, {str(number): ([LAST], {}, False) for number in range(5)})
    numbers = [str(number) for number in range(5)]

    async def some() -> reconcile.Export:
        stop = asyncio.Event()
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=mock.url) as billing:
            return await reconcile.export(
                billing, numbers, tmp_path / "a.csv", concurrency=1, stop=stop,
                on_progress=lambda _, done, __: stop.set() if done == 2 else None,
            )  # fmt: skip

    first = asyncio.run(some())
    assert (first.interrupted, first.customers, (tmp_path / "a.csv").exists()) == (True, 2, False)
    with (tmp_path / "a.csv.part").open("ab") as part:
        part.write(b'{"customer_no": "2", "exi')  # as a kill in the middle of a line leaves it
    (tmp_path / "list.txt").write_text("\n".join(numbers), "utf-8")
    second = run("export", "--customers", "list.txt", "--to", "a.csv")
    assert "2 customers had been read before." in second.stdout
    assert "5 charges of 5 customers in a.csv" in second.stdout
    assert not (tmp_path / "a.csv.part").exists()


def test_drift_is_what_others_changed_removed_and_added(run: Run, mock: MockServer, tmp_path: Path) -> None:
    rows = "".join(f"{number},P01,{number}.50,2026-11-01\n" for number in (1, 2, 3))
    (tmp_path / "charges.csv").write_text("customer_no,product_code,unit_price,start_date\n" + rows, "utf-8")
    assert run("apply", "charges.csv", "--first-run").returncode == 0
    assert "no drift" in run("drift").stdout
    assert run("drift").returncode == 0
    (first,), (second,) = mock.store.charges(LEDGER, "1"), mock.store.charges(LEDGER, "2")
    mock.store.charges(LEDGER, "1")[first].document["unitPrice"] = 99
    del mock.store.charges(LEDGER, "2")[second]
    third = mock.store.create_charge(LEDGER, "3", "", dict(LAST))
    mock.store.create_subscription(LEDGER, "3", {"subscriptionNo": "77"})
    below = mock.store.create_charge(LEDGER, "3", "77", dict(LAST))
    found = run("drift", "--json")
    drift = json.loads(found.stdout)["drift"]
    assert found.returncode == 2
    assert [(each["kind"], each["customer_no"], each["charge_id"]) for each in drift] == [
        ("changed", "1", first), ("removed", "2", second), ("added", "3", third.id), ("added", "3", below.id),
    ]  # fmt: skip
    assert drift[0]["fields"] == ["unit_price"]
    assert (Decimal(drift[0]["left"]["unit_price"]), Decimal(drift[0]["now"]["unit_price"])) == (Decimal("1.5"), 99)


def test_drift_counts_only_the_customers_that_a_run_has_written_to(run: Run, tmp_path: Path) -> None:
    (tmp_path / "charges.csv").write_text("customer_no,product_code,unit_price\n1,P01,1.50\n", "utf-8")
    assert run("apply", "charges.csv", "--first-run").returncode == 0
    found = run("drift", "--customer", "1", "--customer", "nobody", "--customer", "1")
    assert (found.returncode, found.stdout.splitlines()) == (0, [
        "1 customer without a write in the journal: nobody", "1 charge of 1 customer compared: no drift",
    ])  # fmt: skip
    assert json.loads(run("drift", "--customer", "nobody", "--json").stdout)["customers"] == 0
    (tmp_path / "charges.csv").write_text("customer_no,product_code,unit_price\n2,P01,1.50\n", "utf-8")
    assert run("apply", "charges.csv", "--first-run").returncode == 0
    since = run("drift", "--customer", "1", "--since", "2")
    assert "1 customer without a write in the journal since run 2: 1" in since.stdout
