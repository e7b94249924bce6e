"""The commands. Each imports what it needs when it runs, so that `--help` and `version` start fast."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from contextlib import suppress

import click

from ._lazy_group import LazyGroup
from ._log import OPTION, is_output, log, unwritable

USAGE_ERROR = 64
INTERRUPTED = 130


def run(*, is_interrupted: bool = False) -> int:
    """Run the command line; returns the exit code: 0 done, 1 error, 64 wrong usage, 130 interrupted.

    Args:
        is_interrupted: whether a signal arrived while the modules were loaded.
    """
    try:
        if is_interrupted:
            raise KeyboardInterrupt
        result = payex_billing.main(prog_name="payex-billing", standalone_mode=False)
    except click.UsageError as wrong:
        error = _with_place(wrong)
        log.is_json = log.is_json or OPTION in sys.argv  # the options may not have been read to the end
        _replace_old_report(error)
        return _shown(error, USAGE_ERROR)
    except click.ClickException as error:
        return _shown(error, 1)
    except OSError as error:
        if not is_output(error):
            raise
        return _shown(click.ClickException(unwritable(error)), 1)
    except (click.Abort, KeyboardInterrupt) as stop:
        if not log.is_told:
            log.say("error", str(stop.__cause__ or stop) or "Interrupted.", level="error", exit_code=INTERRUPTED)
        _replace_old_report(stop)
        return INTERRUPTED
    finally:
        log.end()
    return result if isinstance(result, int) else 0


def _replace_old_report(error: Exception | KeyboardInterrupt) -> None:
    if "--report" in " ".join(sys.argv):
        from ._reporting import end_before_a_report  # noqa: PLC0415 - seldom needed

        end_before_a_report(error)


def _with_place(error: click.UsageError) -> click.UsageError:
    """Return the error; that of an unknown option before the command says that options stand after it."""
    context = error.ctx
    if not isinstance(error, click.NoSuchOption) or context is None or context.parent is not None:
        return error
    hint = f"Options of a command stand after it: payex-billing COMMAND {error.option_name} …"
    return click.UsageError(f"{error.format_message()} {hint}", context)


def _color(choice: str) -> bool | None:
    """Return whether to use colors; None if the output decides."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None


def _shown(error: click.ClickException, exit_code: int) -> int:
    with suppress(OSError):
        if log.is_debug:
            traceback.print_exception(error.__context__ or error)
        if not log.is_json:
            error.show()
    if log.is_json and not log.is_told:
        log.record("error", level="error", message=error.format_message(), exit_code=exit_code)
    return exit_code


# Commands in modules of their own, loaded when they are asked for, with what the help says of them.
COMMANDS = {
    "apply": ("._reconcile", "Make Billing hold what a table says."),
    "charges": ("._charges", "List, add, update, end and remove charges."),
    "completion": ("._settings", "Print the completion script of a shell."),
    "contract": ("._contract", "Test an endpoint against the contract."),
    "customer": ("._charges", "Read and create customers."),
    "doctor": ("._doctor", "Check settings, certificate, TLS, token and ledger."),
    "drift": ("._ledger", "Show what others have changed since the runs."),
    "export": ("._ledger", "Write what the ledger holds to a table."),
    "history": ("._runs", "Show every write to a customer."),
    "mock": ("._mock", "Serve the mock until Ctrl-C."),
    "plan": ("._reconcile", "Show what apply would change."),
    "problems": ("._problems", "Explain a problem type."),
    "report-schema": ("._output_schemas", "Print the JSON Schema of a report."),
    "retry": ("._reconcile", "Apply the rows again that a run did not apply."),
    "schema": ("._output_schemas", "Print the JSON Schema of a command's --json."),
    "runs": ("._runs", "Show the runs of apply and undo."),
    "settings": ("._settings", "Show each setting, and where it comes from."),
    "undo": ("._undo", "Take the writes of a run back."),
    "work": ("._work", "Help another process to write its run."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(None, "--version", package_name="payex-billing", message="payex-billing %(version)s")
@click.option("--debug", is_flag=True, help="Log every request, and show the traceback of an error.")
@click.option("--quiet", is_flag=True, help="On standard error only warnings and errors.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colors; NO_COLOR and FORCE_COLOR count with auto.",
)
@click.pass_context
def payex_billing(context: click.Context, debug: bool, quiet: bool, color: str) -> None:
    """Keep billable charges in PayEx Billing right."""
    context.color = _color(color)
    log.is_quiet = quiet
    if debug:
        log.is_debug = True
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(name)s: %(message)s")
        for noisy in ("asyncio", "httpcore", "httpx"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@payex_billing.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of text.")
def version(as_json: bool) -> None:
    """Print the version."""
    from .._version import __version__  # noqa: PLC0415 - only for this

    click.echo(f'{{"version": "{__version__}"}}' if as_json else f"payex-billing {__version__}")


if __name__ == "__main__":
    sys.exit(run())
