"""The selection of the customers of a table for a run."""

from __future__ import annotations

import re
from typing import Self

import attrs

from ..errors import InvalidArgument


@attrs.frozen
class Shard:
    """A stable part of the customers: number `index` of `count`, counted from 1.

    A digest of the customer number decides the part, so a customer is always in the same one. The parts together are
    the whole.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `3/8`.

        Raises:
            InvalidArgument: it is not of this form.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise InvalidArgument("shard", "is a part of a whole, such as 3/8")
        return cls(int(match[1]), int(match[2]))

    def condition(self, cell: str = "customer_no") -> str:
        """The SQL condition that a row is in the shard."""
        return f"md5_number({cell}) % {self.count} = {self.index - 1}"

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def selection(shard: Shard | None, *, changed_only: bool = False, chosen_only: bool = False) -> str:
    """Return the SQL condition on the table `good` that selects the rows of a run; empty if every row is selected.

    Args:
        shard: the part of the customers; None for all.
        changed_only: whether only customers whose rows changed since they were last applied are read.
        chosen_only: whether only customers are read that were chosen with `Table.choose`.
    """
    conditions = [shard.condition()] if shard else []
    if changed_only:
        conditions.append("customer_no IN (SELECT customer_no FROM changed)")
    if chosen_only:
        conditions.append("customer_no IN (SELECT customer_no FROM chosen)")
    return " AND ".join(conditions)
