"""What a journal holds of the writes and of the customers of a run."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Self

import attrs

from .._version import __version__
from ._json import from_plain
from ._match import Content, Kind, Level, Step

FIELDS: Final = "id, run, plan, position, step, known, noted, sent, result, charge, after, status, instance, lost"


class Result(Enum):
    """The result of a write.

    DONE: the server confirmed it. CREATED: a look-up found it. ABSENT: a look-up found that it took no effect.
    REFUSED: the server refused it, or it never reached the server; it may be sent again. FAILED: its row failed.
    REPEATED: its response was lost, and it is harmless to repeat.
    """

    DONE = "done"
    CREATED = "created"
    ABSENT = "absent"
    REFUSED = "refused"
    FAILED = "failed"
    REPEATED = "repeated"


WRITTEN = (Result.DONE.value, Result.CREATED.value)


class Ending(Enum):
    """How a run ended. A run that was killed has none."""

    DONE = "done"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"


@attrs.frozen(kw_only=True)
class Started:
    """What a journal notes of a run when it begins.

    Attributes:
        command: `apply`, `retry`, `undo` or `write`.
        file: the table or the plan, as it was named.
        options: the options of the command.
        approved: the digest that was approved in spite of a guard; empty without one.
        undoes: the number of the run that this one undoes.
    """

    command: str = "apply"
    file: str = ""
    options: Mapping[str, Any] = attrs.field(factory=dict)
    approved: str = ""
    undoes: int | None = None

    def to_row(self) -> dict[str, object]:
        """Return the values of the columns, with who runs it and where."""
        return {
            "command": self.command, "file": self.file, "options": json.dumps(self.options, default=str),
            "approved": self.approved, "undoes": self.undoes, '"user"': _user(), "host": socket.gethostname(),
            "version": __version__,
        }  # fmt: skip


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name: in many containers, or a service of Windows
        return ""


@attrs.frozen(kw_only=True)
class Intent:
    """A write that the journal contains.

    Attributes:
        id: its number in the journal.
        run: the number of its run.
        plan: the digest of the plan that it belongs to.
        position: the number of its step in the plan of its customer.
        step: the write.
        known: the charges of its level that were known when it was noted.
        noted: when it was noted, before it was sent, in seconds since 1970.
        sent: the latest time at which it can have left, in seconds since 1970.
        result: the result of the write; None if unknown.
        charge_id: the charge that the write created.
        after: the charge as the server showed it after the write; None if it was not shown.
        status: the HTTP status of the response; None if there was none.
        instance: the `instance` of the problem in the response.
        lost: for a write that is harmless to repeat, the latest time at which an attempt can have left whose effect is
            not known, in seconds since 1970; None if there was none.
    """

    id: int
    run: int
    position: int
    step: Step
    known: frozenset[str]
    noted: float
    sent: float
    plan: str = ""
    result: Result | None = None
    charge_id: str | None = None
    after: Content | None = None
    status: int | None = None
    instance: str | None = None
    lost: float | None = None

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Self:
        """Return the write in a row of the journal that was read with `FIELDS`."""
        number, run, plan, position, step, known, noted, sent, result, charge_id, after, status, instance, lost = row
        return cls(
            id=number, run=run, plan=plan, position=position, step=from_plain(Step, json.loads(step)),
            known=frozenset(json.loads(known)), noted=noted, sent=sent, charge_id=charge_id,
            result=None if result is None else Result(result), status=status, instance=instance, lost=lost,
            after=None if after is None else from_plain(Content, json.loads(after)),
        )  # fmt: skip

    @property
    def is_uncertain(self) -> bool:
        """Whether a write that has a result, and is harmless to repeat, may have taken effect without a response."""
        return not self.is_written and (self.result is Result.REPEATED or self.lost is not None)

    @property
    def creates_charge(self) -> bool:
        """Whether the write must never be sent twice. Any other write is harmless to repeat."""
        return self.step.kind is Kind.CREATE

    @property
    def is_written(self) -> bool:
        """Whether it is known that the write took effect."""
        return self.result in {Result.DONE, Result.CREATED}

    def to_plain(self, contents: Mapping[str, object], noted_at: str) -> dict[str, Any]:
        """Return the values of the write by the names that JSON and tables use.

        Args:
            contents: what the charge billed before and after, in the form of the target.
            noted_at: when the write was noted, in the form of the target.
        """
        return {
            "write": self.id,
            "run": self.run,
            "customer_no": self.step.customer_no,
            "subscription_no": self.step.subscription_no,
            "charge_id": self.charge_id or self.step.charge_id,
            "kind": self.step.kind.value,
            "line": self.step.line,
            **contents,
            "noted_at": noted_at,
            "result": None if self.result is None else self.result.value,
            "status": self.status,
            "instance": self.instance,
        }


@attrs.frozen(kw_only=True)
class RemovalFailed:
    """A charge that should have been removed and could not be.

    Attributes:
        customer_no: the customer of the charge.
        subscription_no: the subscription of the charge; None at customer level.
        charge_id: the charge.
        reason: why the removal failed, in words.
    """

    customer_no: str
    subscription_no: Level
    charge_id: str
    reason: str

    def __str__(self) -> str:
        return f"customer {self.customer_no}, charge {self.charge_id}: {self.reason}"


@attrs.frozen(kw_only=True)
class Done:
    """The results of a run: for one customer, or in total.

    Attributes:
        unchanged: rows that needed no write.
        applied: rows that were written.
        failed: the reason for each row that failed, by line number.
        not_removed: charges that could not be removed.
    """

    unchanged: int = 0
    applied: int = 0
    failed: dict[int, str] = attrs.field(factory=dict)
    not_removed: tuple[RemovalFailed, ...] = ()
