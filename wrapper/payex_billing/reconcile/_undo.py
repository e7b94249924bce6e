"""What takes the writes of a run back, compared with what is held now. Pure.

It is a comparison of three: what was there before the run, what the run left, and what is there now. A value that is
not what the run left was changed by somebody else, and stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

import attrs

from ..models import RecurringProduct
from ._match import CHANGEABLE, OF_MASTER, Content, Held, Kind, Level, Step, content_of, has_values, value_of
from ._records import Intent

# The step that takes a write back, or why it is left, or None if there is nothing to do.
_Found: TypeAlias = Step | str | None
_UNCERTAIN = (Kind.UPDATE, Kind.END, Kind.REMOVE)  # whether these took effect can be seen


@attrs.frozen(kw_only=True)
class LeftAlone:
    """A write that is not taken back.

    Attributes:
        write: its number in the journal.
        customer_no: the customer.
        subscription_no: the subscription; None at customer level.
        charge_id: the charge; None if the write does not concern one.
        reason: why it is left, in words.
    """

    write: int
    customer_no: str
    subscription_no: Level
    charge_id: str | None
    reason: str

    def __str__(self) -> str:
        level = f", subscription {self.subscription_no}" if self.subscription_no else ""
        charge = f", charge {self.charge_id}" if self.charge_id else ""
        return f"customer {self.customer_no}{level}{charge}: {self.reason}"


@attrs.frozen(kw_only=True)
class Inverse:
    """What takes back the writes of a run to one customer.

    Attributes:
        steps: the writes, parents before their children, subscriptions last. The line of a step is the number of the
            write that it takes back.
        left: the writes that are left as they are.
    """

    steps: tuple[Step, ...]
    left: tuple[LeftAlone, ...]


@attrs.frozen
class _Chain:
    """The writes of a run to one charge: what was there before the first, and what the last one left."""

    first: Intent
    last: Intent
    charge_id: str

    @property
    def level(self) -> Level:
        return self.last.step.subscription_no

    @property
    def before(self) -> Content | None:
        return self.first.step.before

    @property
    def after(self) -> Content | None:
        return self.last.step.charge


def levels_of(writes: Iterable[Intent]) -> set[Level]:
    """Return the levels that the writes are about."""
    return {intent.step.subscription_no for intent in writes}


@attrs.frozen
class Fates:
    """What later undos have done to the writes of a run.

    Attributes:
        undone: numbers of the writes that are taken back.
        redone: for a write that was taken back and then done again, the write that did it again.
        created: charges that the undos created.
    """

    undone: frozenset[int] = frozenset()
    redone: Mapping[int, Intent] = attrs.field(factory=dict)
    created: frozenset[str] = frozenset()


def fates(later: Iterable[Intent]) -> Fates:
    """Follow the writes of a run through its undos, the undos of these, and so on.

    Args:
        later: the writes of all these undos, oldest first.
    """
    inverses: dict[int, Intent] = {}  # the last write that took a write back
    created = set()
    for intent in later:
        if intent.is_written and intent.step.line is not None:
            inverses[intent.step.line] = intent
            if intent.charge_id is not None:
                created.add(intent.charge_id)
    undone, redone = set(), {}
    for number, back in inverses.items():
        # The write, the one that took it back, the one that took that back, and so on: every second one does it again.
        chain = [back]
        while (following := inverses.get(chain[-1].id)) is not None:
            chain.append(following)
        if len(chain) % 2:
            undone.add(number)
        else:
            redone[number] = chain[-1]
    return Fates(frozenset(undone), redone, frozenset(created))


def inverse(writes: Iterable[Intent], held: Held, later: Fates = Fates()) -> Inverse:
    """Compare the writes of a run to one customer with what is held.

    Args:
        writes: the writes of the run to the customer, oldest first.
        held: what is held now of the levels of these writes.
        later: what later undos have done to these writes.
    """
    return _Undoing(held, later).of([each for each in writes if _may_have_effect(each)])


def _may_have_effect(intent: Intent) -> bool:
    return intent.is_written or (intent.is_uncertain and intent.step.kind in _UNCERTAIN)


class _Undoing:
    def __init__(self, held: Held, later: Fates) -> None:
        self._held = held
        self._later = later
        self._left: list[LeftAlone] = []
        self._created: dict[Level, set[str]] = defaultdict(set)  # charges that the run created

    def of(self, writes: list[Intent]) -> Inverse:
        chains: dict[tuple[Level, str], _Chain] = {}
        parents: dict[Level, Intent] = {}
        customer: Intent | None = None
        for intent in writes:
            step = intent.step
            charge_id = intent.charge_id if step.kind is Kind.CREATE else step.charge_id
            if step.kind is Kind.CREATE_CUSTOMER:
                customer = intent
            elif charge_id is None:
                parents[step.subscription_no] = intent
            else:
                key = step.subscription_no, charge_id
                first = chains[key].first if key in chains else intent
                chains[key] = _Chain(first, intent, charge_id)
                if step.kind is Kind.CREATE:
                    self._created[step.subscription_no].add(charge_id)
        made = {level: one for level, one in parents.items() if one.step.kind is Kind.CREATE_SUBSCRIPTION}
        gone = {level: one for level, one in parents.items() if one.step.kind is Kind.REMOVE_SUBSCRIPTION}
        steps = [
            self._step(Kind.CREATE_SUBSCRIPTION, one)
            for level, one in gone.items()
            if level not in self._held.charges and one.id not in self._later.undone and self._held.exists
        ]
        parentless = {step.subscription_no for step in steps}
        found: list[Step] = []
        for original in chains.values():
            chain = self._followed(original)
            self._add(found, chain.last, chain.charge_id, self._charge(chain, parentless))
        order = (Kind.CREATE, Kind.UPDATE, Kind.END, Kind.REMOVE)
        steps += sorted(found, key=lambda step: order.index(step.kind))
        removed = {step.charge_id for step in steps if step.kind is Kind.REMOVE}
        for level, one in made.items():
            self._add(steps, one, None, self._subscription(level, one, removed))
        if customer is not None and self._held.exists:
            self._add(steps, customer, None, "the API removes no customers")
        return Inverse(steps=tuple(steps), left=tuple(self._left))

    def _followed(self, chain: _Chain) -> _Chain:
        """Return the chain with the charge that it is about now: one that was created again has another id."""
        again = self._later.redone.get(chain.last.id)
        if again is None:
            return chain
        charge_id = again.charge_id or again.step.charge_id or chain.charge_id
        return attrs.evolve(chain, charge_id=charge_id, last=attrs.evolve(chain.last, after=again.after))

    def _subscription(self, level: Level, made: Intent, removed: Collection[str | None]) -> _Found:
        charges = self._held.charges.get(level)
        if charges is None or made.id in self._later.undone:
            return None
        staying = [charge.id for charge in charges if charge.id not in removed]
        if staying:
            return f"the subscription has charges that stay: {', '.join(staying[:3])}"
        return self._step(Kind.REMOVE_SUBSCRIPTION, made)

    def _charge(self, chain: _Chain, parentless: Collection[Level]) -> _Found:
        if chain.last.id in self._later.undone:
            return None
        was_there, is_left = chain.first.step.kind is not Kind.CREATE, chain.last.step.kind is not Kind.REMOVE
        if (was_there and chain.before is None) or (is_left and chain.after is None):
            return "its values were forgotten"
        held = {charge.id: charge for charge in self._held.charges.get(chain.level, ())}
        charge = held.get(chain.charge_id)
        if was_there and not is_left:
            return self._restored(chain, charge, parentless)
        if not is_left:
            return None  # created and removed by the same run
        if charge is None:
            return "the charge has been removed since"
        return self._changed_back(chain, charge) if was_there else self._removed(chain, charge)

    def _removed(self, chain: _Chain, charge: RecurringProduct) -> _Found:
        """Take back a creation."""
        wanted = chain.after
        assert wanted is not None  # noqa: S101 - `_charge` makes sure
        shown = chain.last.after
        same = has_values(charge, wanted) if shown is None else content_of(charge) == content_of(shown)
        if not same:
            return "the charge has been changed since"
        if charge.billed_until is not None:
            return f"it has been billed until {charge.billed_until}. End it instead"
        return self._step(Kind.REMOVE, chain.last, charge=charge)

    def _changed_back(self, chain: _Chain, charge: RecurringProduct) -> _Found:
        """Give the fields that the run changed their former values, if all still have the values of the run."""
        before, after = chain.before, chain.after
        assert before is not None and after is not None  # noqa: S101, PT018 - `_charge` makes sure
        shown = chain.last.after or after
        back = {}
        for name in CHANGEABLE:
            was, now = value_of(before, name), value_of(charge, name)
            if was == value_of(after, name) or now == was:
                continue
            if now not in {value_of(after, name), value_of(shown, name)}:
                if chain.last.after is None and value_of(after, name) is None and name in OF_MASTER:
                    return f"its {name} was cleared, and the response was lost: somebody may have changed it since"
                return f"its {name} has been changed since"
            back[name] = getattr(before, name)
        if not back:
            return None
        kind = Kind.END if set(back) == {"end_date"} and before.end_date is not None else Kind.UPDATE
        return self._step(kind, chain.last, charge=charge, content=attrs.evolve(Content.of(charge), **back))

    def _restored(self, chain: _Chain, charge: RecurringProduct | None, parentless: Collection[Level]) -> _Found:
        """Take back a removal: create the charge again."""
        before = chain.before
        assert before is not None  # noqa: S101 - `_charge` makes sure
        if charge is not None:
            return None  # the removal took no effect
        level = chain.level
        if level not in self._held.charges and level not in parentless:
            return "its subscription does not exist any more"
        known = {*chain.last.known, *self._created[level], *self._later.created}
        for other in self._held.charges.get(level, ()):
            if other.id not in known and content_of(other) == content_of(before):
                return f"an equal charge was added since: {other.id}"
        return self._step(Kind.CREATE, chain.last, content=before)

    def _step(
        self, kind: Kind, undoes: Intent, *, charge: RecurringProduct | None = None, content: Content | None = None
    ) -> Step:
        return Step(
            kind=kind,
            customer_no=undoes.step.customer_no,
            subscription_no=undoes.step.subscription_no,
            charge=content,
            charge_id=None if charge is None else charge.id,
            before=None if charge is None else Content.of(charge),
            line=undoes.id,
        )

    def _add(self, steps: list[Step], intent: Intent, charge_id: str | None, found: _Found) -> None:
        if isinstance(found, str):
            step = intent.step
            self._left.append(
                LeftAlone(
                    write=intent.id, customer_no=step.customer_no, subscription_no=step.subscription_no,
                    charge_id=charge_id, reason=found,
                )
            )  # fmt: skip
        elif found is not None:
            steps.append(found)
