"""The report of a run."""

from __future__ import annotations

import attrs

from ._records import RemovalFailed


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
    notes: list[str] = attrs.field(factory=list)
    interrupted: bool = False
    stopped: str = ""

    @property
    def is_complete(self) -> bool:
        """Return whether each row is unchanged, applied, rejected or failed."""
        return self.unchanged + self.applied + len(self.rejected) + len(self.failed) == self.rows

    def to_json(self) -> dict[str, object]:
        """Return the report as plain JSON."""
        return attrs.asdict(self)
