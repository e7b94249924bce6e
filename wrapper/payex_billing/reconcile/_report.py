"""The report of a run."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from ._records import RemovalFailed


class RunOutcome(Enum):
    """How a run ended, or that it has not ended.

    RUNNING: it is at work, or was killed. DONE: Billing holds what the table says. ROWS_FAILED: all rows were handled,
    and some were rejected or failed. GUARD_STOPPED: a guard stopped it. REFUSED: it was not allowed to start. In both
    cases nothing was written. STOPPED: it could not go on. INTERRUPTED: a signal ended it. INCOMPLETE: rows have no
    result. FAILED: an error ended it. PLANNED: it was only shown.
    """

    RUNNING = "running"
    DONE = "done"
    ROWS_FAILED = "rows_failed"
    GUARD_STOPPED = "guard_stopped"
    REFUSED = "refused"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    PLANNED = "planned"


@attrs.define(kw_only=True)
class Report:
    """The results of a run. `unchanged + applied + rejected + failed` is `rows`, unless the run was interrupted.

    Attributes:
        run: the number of the run in the journal; 0 if nothing was noted.
        undoes: the number of the run that it took back; None if it applied a table or its plan.
        rows: rows of the table, in this shard. In an undo, the writes that are taken back.
        unchanged: rows that needed no write.
        applied: rows that were written.
        rejected: the reason for each row that breaks a rule, by line number.
        failed: the reason for each row whose write failed or is not known to have taken effect, by line number.
        not_removed: charges that should have been removed and could not be.
        not_in_file: existing charges of the customers in the table that are in no row. They are kept.
        steps: writes that were done, by kind.
        before: money a month that the customers of the plan paid before the run, in major currency units; None if the
            plan was not finished.
        after: the same after the plan.
        notes: sentences that a person should read.
        interrupted: whether the run was stopped by Ctrl-C or a signal; the same command continues it.
        stopped: why the run could not go on; empty if it could. The same command goes on with it.
    """

    run: int = 0
    undoes: int | None = None
    rows: int = 0
    unchanged: int = 0
    applied: int = 0
    rejected: dict[int, str] = attrs.field(factory=dict)
    failed: dict[int, str] = attrs.field(factory=dict)
    not_removed: tuple[RemovalFailed, ...] = ()
    not_in_file: int = 0
    steps: dict[str, int] = attrs.field(factory=dict)
    before: Decimal | None = None
    after: Decimal | None = None
    notes: list[str] = attrs.field(factory=list)
    interrupted: bool = False
    stopped: str = ""

    @property
    def is_complete(self) -> bool:
        """Return whether each row is unchanged, applied, rejected or failed."""
        return self.unchanged + self.applied + len(self.rejected) + len(self.failed) == self.rows

    @property
    def outcome(self) -> RunOutcome:
        """How the run ended."""
        if self.stopped:
            return RunOutcome.STOPPED
        if self.interrupted:
            return RunOutcome.INTERRUPTED
        if not self.is_complete:
            return RunOutcome.INCOMPLETE
        return RunOutcome.ROWS_FAILED if self.rejected or self.failed or self.not_removed else RunOutcome.DONE

    def to_json(self) -> dict[str, object]:
        """Return the report as plain JSON. Money is text, so that it keeps its digits."""
        plain = attrs.asdict(self)
        for name in ("before", "after"):
            plain[name] = None if plain[name] is None else str(plain[name])
        return plain
