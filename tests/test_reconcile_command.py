"""`payex-billing plan` and `apply` as one types them: exit codes, reports, rejects, Ctrl-C, and sentences for mistakes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from payex_billing_mock import MockServer
from payex_billing_mock.app import Answer, Request, Respond

from tests.commands import run_command
from tests.support import LEDGER, ROOT, TOKEN

HEADER = "customerNo;productCode;quantity;unitPrice\n"
GOOD = HEADER + "1;P01;1;10,50\n2;P01;2;\n"
BAD = GOOD + "3;P01;0;x\n"
Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(mock: MockServer) -> dict[str, str]:
    return {**os.environ, "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url}


@pytest.fixture
def run(mock: MockServer, tmp_path: Path) -> Run:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_command(*arguments, cwd=tmp_path, environment={**environment(mock), **variables})

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "charges.csv"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_the_exit_codes_are_those_documented(run: Run, file: Path) -> None:
    assert run("plan", "charges.csv").returncode == 0
    assert run("plan", "charges.csv", "--detailed-exitcode").returncode == 2
    assert run("apply", "charges.csv").returncode == 0
    assert run("plan", "charges.csv", "--detailed-exitcode").returncode == 0
    file.write_text(BAD, encoding="utf-8")
    assert run("plan", "charges.csv").returncode == 3
    assert run("apply", "charges.csv").returncode == 3
    assert run("apply", "nowhere.csv").returncode == 1
    assert run("apply").returncode == 64
    assert run("apply", "charges.csv", "--shard", "9/8").returncode == 64
    assert run("apply", "charges.csv", "--map", "x").returncode == 64


@pytest.mark.parametrize(
    ("column", "option"),
    [
        ("Charges of December", "--map 'Charges of December'=…"),
        ("Bo's; rm -rf", "--ignore 'Bo'\"'\"'s; rm -rf'"),
        ("unitprise", "--map unitprise=unit_price"),
    ],
)
def test_the_advice_about_an_unknown_column_can_be_pasted_into_a_shell(
    run: Run, file: Path, column: str, option: str
) -> None:
    file.write_text(f"customer_no,product_code,{column}\n1,P01,\n", encoding="utf-8")
    refused = run("plan", "charges.csv")
    assert (refused.returncode, option in refused.stderr) == (1, True), refused.stderr
    words = shlex.split(refused.stderr.partition("Name it with ")[2].replace("=…", "=text").replace(",", ""))
    assert words[:2] == ["--map", f"{column}={'unit_price' if column == 'unitprise' else 'text'}"]
    for pasted in (words[:2], words[-2:]):
        assert run("plan", "charges.csv", *pasted).returncode == 0


def test_the_name_of_an_unknown_column_that_nobody_can_see_is_not_an_option(run: Run, file: Path) -> None:
    file.write_text("customer_no,product_code,te\u200bxt\n1,P01,\n", encoding="utf-8")
    refused = run("plan", "charges.csv").stderr
    assert r"the column 'te\u200bxt' is not known" in refused
    assert "Did you mean 'text'? Correct the name in the file" in refused
    assert "--map" not in refused


def test_the_command_that_applies_a_plan_can_be_pasted_into_a_shell(run: Run, file: Path) -> None:
    planned = run("plan", "charges.csv", "--out", "our plan.jsonl")
    assert "To apply it: payex-billing apply 'our plan.jsonl'" in planned.stdout


def test_a_plan_can_be_judged(run: Run, file: Path) -> None:
    said = run("plan", "charges.csv", "--details").stdout
    for expected in (
        "2 rows: 0 unchanged",
        "2 customers to create",
        "2 charges to add",
        "10.50 after (+10.50)",
        "Customer 1",
        "P01",
    ):
        assert expected in said
    assert "1 row takes its price from the master product" in said


def test_a_kept_plan_is_applied_and_refused_when_out_of_date(run: Run, file: Path, mock: MockServer) -> None:
    assert "payex-billing apply plan.jsonl" in run("plan", "charges.csv", "--out", "plan.jsonl").stdout
    mock.store.create_customer(LEDGER, {"customerNo": "2"})
    refused = run("apply", "plan.jsonl")
    assert (refused.returncode, "1 customer has changed since the plan was made: 2" in refused.stderr) == (1, True)
    run("plan", "charges.csv", "--out", "plan.jsonl")
    assert "2 applied" in run("apply", "plan.jsonl").stdout


def test_failed_rows_of_a_plan_can_be_fed_again(
    run: Run, file: Path, tmp_path: Path, mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("plan", "charges.csv", "--out", "plan.jsonl")
    with monkeypatch.context() as broken:
        refused = Answer(422, {"Content-Length": "0"}, b"")
        broken.setattr(
            mock.app,
            "interceptor",
            lambda request, respond: (
                refused if b"/2/" in request.raw_path and request.method == "POST" else respond(request)
            ),
        )
        assert run("apply", "plan.jsonl", "--rejects", "rejects.csv").returncode == 3
    assert (tmp_path / "rejects.csv").read_text().splitlines()[1].startswith("2,P01,2,,Unprocessable: ")
    assert "1 applied" in run("apply", "rejects.csv").stdout


def test_progress_is_shown_where_somebody_looks(file: Path, tmp_path: Path, mock: MockServer) -> None:
    file.write_text(HEADER + "".join(f"{number};P01;1;1,00\n" for number in range(40)), encoding="utf-8")
    terminal, end = os.openpty()
    command = [sys.executable, "-m", "payex_billing", "apply", "charges.csv"]
    variables = {**environment(mock), "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, stderr=end)
    os.close(end)
    shown = b""
    with pytest.raises(OSError, match="Input/output error"):  # noqa: PT012 - how a terminal says that it has ended
        while True:
            shown += os.read(terminal, 65_536)
    os.close(terminal)
    assert process.communicate(timeout=30)[0].startswith(b"40 rows: 0 unchanged, 40 applied")
    assert process.returncode == 0, shown
    assert b"planning" in shown
    assert b"writing" in shown
    assert b"/40" in shown
    assert b"rows/s" in shown


def test_bad_cells_are_told_and_the_rejects_can_be_mended_and_fed_again(
    run: Run, file: Path, tmp_path: Path, mock: MockServer
) -> None:
    file.write_text(BAD, encoding="utf-8")
    result = run("apply", "charges.csv", "--rejects", "rejects.csv", "--report", "report.json")
    assert "charges.csv: line 4, column quantity: '0' is not between 1 and 99999" in result.stderr
    assert "charges.csv: line 4, column unitPrice: 'x' is not a number" in result.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["unchanged"], report["applied"], list(report["rejected"]), report["failed"]) == (0, 2, ["4"], {})
    rejects = tmp_path / "rejects.csv"
    rejects.write_text(rejects.read_text().replace(";0;x;", ";1;1,50;"))
    assert "1 applied" in run("apply", "rejects.csv").stdout
    assert mock.store.charges(LEDGER, "3")


def test_strict_does_nothing_if_a_row_is_wrong(run: Run, file: Path, mock: MockServer) -> None:
    file.write_text(BAD, encoding="utf-8")
    result = run("apply", "charges.csv", "--strict")
    assert (result.returncode, list(mock.store.customers(LEDGER))) == (3, [])
    assert "Nothing was done" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "charges.csv"),
        ("apply", "charges.csv"),
        ("customer", "create", "7"),
        ("charges", "list", "7"),
        ("problems",),
        ("doctor",),
    ],
)
def test_json_is_json(run: Run, file: Path, mock: MockServer, arguments: tuple[str, ...]) -> None:
    mock.store.create_customer(LEDGER, {"customerNo": "7"})
    assert json.loads(run(*arguments, "--json").stdout) is not None


def test_ctrl_c_finishes_what_is_under_way_and_the_same_command_goes_on(
    file: Path, tmp_path: Path, mock: MockServer, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    file.write_text(HEADER + "".join(f"{number};P01;1;1,00\n" for number in range(60)), encoding="utf-8")
    enough, go_on = threading.Event(), threading.Event()
    writes = 0

    def waiting(request: Request, respond: Respond) -> Answer:
        nonlocal writes
        writes += request.method == "POST"
        if writes == 20 and not enough.is_set():
            enough.set()
            go_on.wait(20)  # a write is under way while Ctrl-C comes
        return respond(request)

    monkeypatch.setattr(mock.app, "interceptor", waiting)
    command = [sys.executable, "-m", "payex_billing", "apply", "charges.csv", "--concurrency", "2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(mock), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert enough.wait(30)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Stopping" not in (line := process.stderr.readline()):
        assert line, "it ended without a word"
    go_on.set()
    output, errors = process.communicate(timeout=30)

    assert process.returncode == 130, output + errors
    assert "The same command goes on" in errors
    assert 0 < len(list(mock.store.customers(LEDGER))) < 60
    again = run("apply", "charges.csv")
    assert (again.returncode, "60 rows: 0 unchanged, 60 applied" in again.stdout) == (0, True)
    assert sum(len(each.charges) for each in mock.store.customers(LEDGER)) == 60


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (("plan", "nowhere.csv"), {}, "there is no such file"),
        (("plan", "charges.csv"), {"PAYEX_TOKEN": ""}, "PAYEX_TOKEN"),
        (("plan", "charges.csv", "--encoding", "klingon"), {}, "there is no encoding"),
        (("plan", "charges.csv", "--map", "x=customer_no"), {}, "it has no column 'x'"),
        (("apply", "charges.csv", "--journal", "/nowhere/journal"), {}, "cannot be used as a journal"),
        (("plan", "charges.csv", "--out", "/nowhere/plan"), {}, "/nowhere/plan"),
    ],
)
def test_a_mistake_is_a_sentence(
    run: Run, file: Path, arguments: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    result = run(*arguments, **variables)
    assert result.returncode in {1, 64}
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_server_that_is_not_there_ends_it_with_a_sentence(run: Run, file: Path, command: str) -> None:
    result = run(command, "charges.csv", "--patience", "1", PAYEX_BASE_URL="http://127.0.0.1:1", PAYEX_DEADLINE="2")
    assert result.returncode == 1
    assert "the server could not be reached for 1 second: NeverSent: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_guard_stops_apply_before_the_first_write_and_its_digest_lets_it_through(
    run: Run, file: Path, mock: MockServer
) -> None:
    assert run("apply", "charges.csv").returncode == 0
    held = mock.store.charges(LEDGER, "1").copy()
    file.write_text(GOOD.replace("10,50", "1050,00"), encoding="utf-8")
    stopped = run("apply", "charges.csv")
    assert (stopped.returncode, mock.store.charges(LEDGER, "1")) == (4, held)
    assert "price_factor: " in stopped.stderr
    assert "line 2, customer 1" in stopped.stderr
    digest = stopped.stderr.rpartition("--approve ")[2].strip()
    assert run("apply", "charges.csv", "--approve", "0" * 12).returncode == 4
    approved = run("apply", "charges.csv", "--approve", digest)
    assert (approved.returncode, "1 applied" in approved.stdout) == (0, True)


def test_a_guard_does_not_stop_a_run_that_has_nothing_to_write(run: Run, file: Path) -> None:
    """The output reports half a file, and the next whole file is compared with the last whole file."""
    whole = HEADER + "".join(f"{number};P01;1;1,00\n" for number in range(100, 130))
    file.write_text(whole, encoding="utf-8")
    assert run("apply", "charges.csv").returncode == 0
    file.write_text("".join(whole.splitlines(keepends=True)[:16]), encoding="utf-8")
    half = run("apply", "charges.csv")
    assert (half.returncode, "rows_gone: 15 rows of the last run's 30 are not in the file" in half.stdout) == (0, True)
    file.write_text(whole, encoding="utf-8")
    assert run("apply", "charges.csv").stdout.startswith("30 rows: 30 unchanged")


def test_the_rest_of_an_approved_run_needs_no_second_approval(
    run: Run, file: Path, mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two rows that the guards doubt fails, and the same command is repeated."""
    file.write_text(GOOD.replace("2;P01;2;", "2;P01;2;10,50"), encoding="utf-8")
    assert run("apply", "charges.csv").returncode == 0
    file.write_text(GOOD.replace("10,50", "1050,00").replace("2;P01;2;", "2;P01;2;2000,00"), encoding="utf-8")
    digest = run("apply", "charges.csv").stderr.rpartition("--approve ")[2].strip()
    refused = Answer(422, {"Content-Length": "0"}, b"")
    with monkeypatch.context() as broken:
        broken.setattr(
            mock.app,
            "interceptor",
            lambda request, respond: (
                refused if request.method == "PATCH" and b"/2/" in request.raw_path else respond(request)
            ),
        )
        assert run("apply", "charges.csv", "--approve", digest).returncode == 3
    again = run("apply", "charges.csv")
    assert (again.returncode, "1 applied" in again.stdout) == (0, True)


def test_the_digest_of_a_plan_is_that_of_apply(run: Run, file: Path) -> None:
    assert run("apply", "charges.csv").returncode == 0
    file.write_text(GOOD.replace("10,50", "1050,00"), encoding="utf-8")
    digest = json.loads(run("plan", "charges.csv", "--json").stdout)["digest"]
    assert run("apply", "charges.csv", "--approve", digest).returncode == 0


def test_what_the_first_customers_do_not_show_stops_the_rest(
    run: Run, file: Path, mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server confirms a creation and does not store the charge."""
    file.write_text(HEADER + "".join(f"{number};P01;1;1,00\n" for number in range(100, 140)), encoding="utf-8")

    def forgetful(request: Request, respond: Respond) -> Answer:
        answer = respond(request)
        if request.method == "POST" and request.raw_path.endswith(b"recurring-products"):
            mock.store.charges(LEDGER, request.raw_path.split(b"/")[6].decode()).clear()
        return answer

    monkeypatch.setattr(mock.app, "interceptor", forgetful)
    result = run("apply", "charges.csv", "--report", "report.json")
    assert result.returncode == 1
    assert "was written and read back, and does not show it: create (line 2)" in result.stderr
    assert len(list(mock.store.customers(LEDGER))) == 20


def test_one_output_may_not_be_another_file_of_the_command(run: Run, file: Path) -> None:
    content = file.read_text()
    for arguments in (
        ("apply", "charges.csv", "--rejects", "charges.csv"),
        ("plan", "charges.csv", "--out", "./charges.csv"),
        ("apply", "charges.csv", "--rejects", "x", "--report", "x"),
        ("apply", "charges.csv", "--journal", "night.journal", "--report", "night.journal"),
    ):
        result = run(*arguments)
        assert result.returncode == 1
        assert "is the same file as" in result.stderr
    assert file.read_text() == content


def test_an_open_creation_is_decided_by_hand(run: Run, file: Path, tmp_path: Path, mock: MockServer) -> None:
    """The response was lost, the process was killed, and somebody added an equal charge."""
    night = ("charges.csv", "--journal", "our night.journal")
    assert run("apply", *night).returncode == 0
    with sqlite3.connect(tmp_path / "our night.journal") as journal:
        journal.execute("UPDATE run SET finished = NULL")
        journal.execute("DELETE FROM customer WHERE customer = '2'")
        journal.execute(
            "UPDATE write SET result = NULL, charge = NULL, sent = 1 WHERE customer = '2' AND kind = 'create'"
        )
    journal.close()
    first = next(iter(mock.store.charges(LEDGER, "2")))
    mock.store.create_charge(LEDGER, "2", "", {"productCode": "P01", "quantity": 2})
    failed = run("apply", *night)
    assert failed.returncode == 3
    assert "payex-billing runs resolve --journal 'our night.journal' --customer 2" in failed.stderr
    listed = run("runs", "resolve", "--journal", "our night.journal")
    assert (listed.returncode, "line 3: customer 2, product P01" in listed.stdout) == (2, True)
    decided = run("runs", "resolve", "--journal", "our night.journal", "--customer", "2", "--created", first)
    assert (decided.returncode, "No creation is open" in decided.stdout) == (0, True)
    again = run("apply", *night)
    assert again.returncode == 0, again.stderr
    assert len(mock.store.charges(LEDGER, "2")) == 2


# one thing at a time


def only_charge(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    (charge,) = json.loads(result.stdout)["charges"]
    return charge


def test_a_charge_is_added_changed_ended_and_removed(run: Run, mock: MockServer) -> None:
    run("customer", "create", "7", "--subscription", "46")
    values = ("--quantity", "1", "--unit-price", "499.00", "--start", "2026-01-01", "--text", "Fiber")
    added = only_charge(run("charges", "add", "7", "P01", "--subscription", "46", *values, "--json"))
    place = ("7", added["id"], "--subscription", "46")
    changed = only_charge(run("charges", "update", *place, "--unit-price", "549.50", "--clear", "text", "--json"))
    assert (changed["unit_price"], "text" in changed) == ("549.5", False)
    ended = only_charge(run("charges", "end", "7", added["id"], "2026-12-31", "--subscription", "46", "--json"))
    assert ended["end_date"] == "2026-12-31"
    assert "549.50" in run("charges", "list", "7", "--subscription", "46").stdout
    unanswered = run("charges", "remove", *place)
    assert (unanswered.returncode, "add --yes" in unanswered.stderr) == (64, True)
    assert run("charges", "remove", *place, "--yes").returncode == 0
    assert "No charges." in run("charges", "list", "7", "--subscription", "46").stdout


def test_an_error_of_billing_is_a_sentence(run: Run) -> None:
    result = run("customer", "get", "nobody")
    assert (result.returncode, "CustomerNotFound" in result.stderr, "Traceback" in result.stderr) == (1, True, False)


def test_every_problem_type_of_the_contract_is_explained() -> None:
    from payex_billing import errors
    from payex_billing.cli._problems import EXPLAINED
    from payex_billing_mock import load_contract

    types = load_contract().problem_types
    assert {name: each["status"] for name, each in EXPLAINED.items()} == {
        name: each.status for name, each in types.items()
    }
    assert all(hasattr(errors, each["raises"]) for each in EXPLAINED.values())


def test_a_whole_type_is_explained_too(run: Run) -> None:
    assert "ensure()" in run("problems", "billing/customer/problems/customer-not-found").stdout
    assert run("problems", "nonsense").returncode == 64


# doctor


def test_the_doctor_finds_all_well(run: Run) -> None:
    result = run("doctor")
    assert (result.returncode, TOKEN in result.stdout) == (0, False)
    assert "ledger: 1234 is the token's" in result.stdout
    assert "[PAYEX_TOKEN]" in result.stdout


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PAYEX_TOKEN": ""}, "PAYEX_TOKEN"),
        ({"PAYEX_TOKEN": "wrong"}, "refused for ledger 1234"),
        ({"PAYEX_OWNER_NO": "5678"}, "refused for ledger 5678"),
        ({"PAYEX_BASE_URL": "http://127.0.0.1:1"}, "check the address, the network"),
        ({"PAYEX_BASE_URL": "https://127.0.0.1:1"}, "check the address, the network"),
        ({"PAYEX_BASE_URL": "https://127.0.0.1:1", "PAYEX_CLIENT_CERT": "/nowhere.pem"}, "/nowhere.pem"),
    ],
)
def test_the_doctor_says_what_is_wrong_and_what_to_do(run: Run, variables: dict[str, str], said: str) -> None:
    result = run("doctor", **variables)
    assert result.returncode == 1
    assert said in result.stdout
    assert "→" in result.stdout
    assert "Traceback" not in result.stderr


def test_the_doctor_looks_at_tls_and_certificates(tmp_path: Path) -> None:
    from contract_tests.certificates import Certificates

    certificates = Certificates(tmp_path)
    with MockServer({LEDGER: TOKEN}, tls=certificates.server) as mock:
        own = {
            "PAYEX_CA_FILE": str(certificates.ca),
            "PAYEX_CLIENT_CERT": str(certificates.client[0]),
            "PAYEX_CLIENT_KEY": str(certificates.client[1]),
        }
        command = [sys.executable, "-m", "payex_billing", "doctor"]
        well = subprocess.run(command, env={**environment(mock), **own}, capture_output=True, text=True, check=False)
        untrusted = subprocess.run(
            command, env={**environment(mock), **own, "PAYEX_CA_FILE": ""}, capture_output=True, text=True, check=False
        )
    assert well.returncode == 0, well.stdout + well.stderr
    assert "TLSv1.3 with 127.0.0.1" in well.stdout
    assert "valid until" in well.stdout
    assert untrusted.returncode == 1
    assert "set PAYEX_CA_FILE" in untrusted.stdout


# what it costs, and what is missing


def test_help_has_examples_and_loads_neither_tables_nor_drawing() -> None:
    code = (
        "import sys; from payex_billing.cli._commands import payex_billing as command\n"
        "command.main(['--help'], standalone_mode=False)\n"
        "print([name for name in ('rich', 'duckdb', 'httpx', 'yaml', 'asyncio') if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"
    assert "apply" in result.stdout


@pytest.mark.parametrize(
    "command",
    [("plan",), ("apply",), ("charges", "add"), ("customer", "get"), ("doctor",), ("problems",)],
)
def test_every_command_shows_an_example(command: tuple[str, ...]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "payex_billing", *command, "--help"], capture_output=True, text=True, check=True
    )
    assert f"payex-billing {' '.join(command)}" in result.stdout.partition("Example")[2]


def test_a_missing_extra_says_which_one() -> None:
    code = (
        "import sys; sys.modules['duckdb'] = None\n"
        "import payex_billing.reconcile as reconcile\n"
        "try: reconcile.read('x.csv')\n"
        "except Exception as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "pip install 'payex-billing[tables]'" in result.stdout


def test_shell_completion_is_there() -> None:
    variables: dict[str, Any] = {**os.environ, "_PAYEX_BILLING_COMPLETE": "bash_source"}
    program = Path(sys.executable).with_name("payex-billing")
    result = subprocess.run([str(program)], env=variables, capture_output=True, text=True, check=False)
    assert "_payex_billing_completion" in result.stdout


# texts of a server or a file on the terminal

BIDI, CLEAR = "\u202e", "\x1b[2J"


def test_a_text_in_brackets_is_drawn_and_means_nothing(run: Run, mock: MockServer, file: Path) -> None:
    mock.store.create_customer(LEDGER, {"customerNo": "1"})
    added = run("charges", "add", "1", "P01", "--text", "[/x] [bold]y")
    assert added.returncode == 0, added.stderr
    assert "[/x] [bold]y" in run("charges", "list", "1").stdout
    file.write_text("customer_no,product_code\n1,P[b]\n", encoding="utf-8")
    assert "P[b]" in run("plan", "charges.csv", "--details").stdout


def test_control_and_bidi_characters_of_a_server_do_not_reach_the_terminal(run: Run, mock: MockServer) -> None:
    mock.store.create_customer(LEDGER, {"customerNo": "1"})
    charge = mock.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "text": "x"})
    charge.document["text"] = f"{CLEAR}{BIDI}x"
    shown = run("charges", "list", "1")
    assert shown.returncode == 0, shown.stderr
    assert not {BIDI, "\x1b"} & set(shown.stdout)
    assert r"\x1b[2J\u202ex" in shown.stdout


def test_a_plan_with_failures_is_called_incomplete(
    run: Run, file: Path, mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mock.app, "interceptor", lambda request, respond: Answer(422, {"Content-Length": "0"}, b""))
    planned = run("plan", "charges.csv")
    assert planned.returncode == 3
    assert "The plan is incomplete" in planned.stdout
    assert "Nothing to do" not in planned.stdout
    assert "Per month" not in planned.stdout


def test_a_run_whose_removals_failed_counts_them_and_does_not_call_that_nothing(
    run: Run, file: Path, mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(GOOD + "2;P02;1;5\n", encoding="utf-8")
    assert run("apply", "charges.csv").returncode == 0
    file.write_text(GOOD, encoding="utf-8")

    def refuse(request: Request, respond: Respond) -> Answer:
        return Answer(422, {"Content-Length": "0"}, b"") if request.method == "DELETE" else respond(request)

    monkeypatch.setattr(mock.app, "interceptor", refuse)
    pruned = run("apply", "charges.csv", "--prune", "--max-removals", "100%")
    assert pruned.returncode == 3, pruned
    assert "2 rows: 2 unchanged, 0 applied, 0 rejected, 0 failed, 1 charge not removed\n" in pruned.stdout
    assert "Nothing to do" not in pruned.stdout


def test_a_number_that_only_an_existing_customer_can_have_fails_in_the_plan_already(
    run: Run, file: Path, mock: MockServer
) -> None:
    """The contract reads more numbers than it lets one create: `12%` may exist, and cannot be new."""
    file.write_text(HEADER + "12%;P01;1;10\n2;P01;1;10\n", encoding="utf-8")
    planned = run("plan", "charges.csv")
    assert planned.returncode == 3, planned
    assert "line 2: InvalidArgument: customer 12% does not exist and cannot be created: customer_no" in planned.stderr
    applied = run("apply", "charges.csv")
    assert (applied.returncode, "1 applied, 0 rejected, 1 failed" in applied.stdout) == (3, True), applied
    assert [customer.id for customer in mock.store.customers(LEDGER)] == ["2"]


def test_a_cleared_end_date_is_told_with_what_it_costs(run: Run, file: Path) -> None:
    header = "customer_no,product_code,quantity,unit_price,end_date\n"
    file.write_text(f"{header}1,P1,2,10,2026-02-01\n1,P2,1,900,\n", encoding="utf-8")
    assert run("apply", "charges.csv").returncode == 0
    file.write_text(f"{header}1,P1,2,10,\n1,P2,1,100,\n", encoding="utf-8")
    shown = run("plan", "charges.csv").stdout
    assert "1 charge loses its end date and will be billed without end: 20.00 a month." in shown
    table = shown[shown.index("Largest changes") :]
    assert table.index("end date none") < table.index("100.00")
