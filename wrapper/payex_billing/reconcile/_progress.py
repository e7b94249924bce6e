"""The remaining steps of a planned customer, based on the existing charges. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import attrs

from ..models import RecurringProduct
from ._match import OF_MASTER, Held, Kind, Level, Step, has_values
from ._planned import PlannedCustomer, digest_of
from ._records import Intent, Result

CHANGED = "the customer has changed since it was planned. Apply the table again, or make a new plan"


@attrs.frozen(kw_only=True)
class Progress:
    """The done and the remaining steps of a customer.

    Attributes:
        done: positions of the steps that were done, with the id of the charge that a step created.
        left: positions of the steps that are left.
        adopted: intents whose creation took effect although the server refused it, with the id of the charge.
        changed: whether somebody else has changed the customer since it was planned.
    """

    done: Mapping[int, str | None]
    left: tuple[int, ...]
    adopted: Mapping[int, str]
    changed: bool


def progress(
    planned: PlannedCustomer,
    held: Held,
    intents: Iterable[Intent],
    blocked: Collection[Level] = (),
    claimed: Collection[str] = (),
) -> Progress:
    """Compare a planned customer with the charges that exist now.

    Args:
        planned: the customer.
        held: what is held of it.
        intents: its writes that the plan asked for. They do not count as changes by somebody else.
        blocked: levels to which nothing is written, because a creation there is not decided. They are not compared.
        claimed: the ids of charges that a write of the journal has created. No other write can have created them.
    """
    noted = list(intents)
    tried = {intent.position for intent in noted}
    done: dict[int, str | None] = {intent.position: intent.charge_id for intent in noted if intent.is_written}
    left: list[int] = []
    changed = False
    present = {key: charge for key, charge in held.by_id().items() if key[0] not in blocked}
    expected: dict[tuple[Level, str | None], str] = {}
    for level, digests in planned.digests.items():
        if level not in blocked:
            expected |= {(level, charge_id): digest for charge_id, digest in digests.items()}
    for position, step in enumerate(planned.steps):
        level = step.subscription_no
        if level in blocked:
            left.append(position)
            continue
        charge = None if step.charge_id is None else present.get((level, step.charge_id))
        digest = expected.pop((level, step.charge_id), None)
        untouched = charge is not None and digest_of(charge) == digest
        match step.kind:
            case Kind.CREATE_CUSTOMER:
                is_done = held.exists
            case Kind.CREATE_SUBSCRIPTION:
                is_done = level in held.charges
            case Kind.REMOVE_SUBSCRIPTION:
                is_done = level not in held.charges
            case Kind.CREATE:
                is_done = position in done
            case Kind.REMOVE:
                is_done = charge is None
                changed |= not (is_done or untouched)
            case _:
                is_done = charge is not None and _is_updated(
                    charge, step, tried=position in tried, confirmed=position in done
                )
                changed |= not (is_done or untouched)
        if is_done:
            done.setdefault(position, None)
        else:
            left.append(position)
    foreign, others_changed = _others(planned, expected, present, done)
    adopted = _adopted(planned, noted, foreign, done, left, claimed)
    changed = changed or others_changed or bool(foreign)
    return Progress(done=done, left=tuple(left), adopted=adopted, changed=changed)


def _others(
    planned: PlannedCustomer,
    expected: dict[tuple[Level, str | None], str],
    present: Mapping[tuple[Level, str], RecurringProduct],
    done: Mapping[int, str | None],
) -> tuple[list[tuple[Level, RecurringProduct]], bool]:
    """Look at the charges that no step is about.

    Returns:
        Those that were not held when the customer was planned, and whether one that was held has changed or is gone.
    """
    own = {charge_id for charge_id in done.values() if charge_id is not None}
    stepped = {(step.subscription_no, step.charge_id) for step in planned.steps}
    foreign: list[tuple[Level, RecurringProduct]] = []
    changed = False
    for key, charge in present.items():
        if key in expected:
            changed |= digest_of(charge) != expected.pop(key)
        elif key not in stepped and charge.id not in own:
            foreign.append((key[0], charge))
    return foreign, changed or bool(expected)


def _adopted(
    planned: PlannedCustomer,
    intents: Iterable[Intent],
    foreign: list[tuple[Level, RecurringProduct]],
    done: dict[int, str | None],
    left: list[int],
    claimed: Collection[str],
) -> dict[int, str]:
    """Find charges that a refused creation has made all the same: the refusal belonged to another request.

    They are taken out of `foreign`, and their steps are done.
    """
    adopted: dict[int, str] = {}
    for intent in intents:
        if intent.result is not Result.REFUSED or intent.position not in left or intent.step.kind is not Kind.CREATE:
            continue
        step = planned.steps[intent.position]
        for level, charge in foreign:
            if (
                level == step.subscription_no
                and charge.id not in claimed
                and step.charge is not None
                and has_values(charge, step.charge)
            ):
                foreign.remove((level, charge))
                left.remove(intent.position)
                done[intent.position] = adopted[intent.id] = charge.id
                break
    return adopted


def took_effect(intents: Iterable[Intent], done: Collection[int]) -> tuple[Intent, ...]:
    """Return the writes that took effect although no response said so: what they asked for is there now."""
    by_position = {intent.position: intent for intent in intents}  # the last try of each step
    return tuple(
        intent for position, intent in by_position.items() if intent.result is Result.REPEATED and position in done
    )


def _is_updated(charge: RecurringProduct, step: Step, *, tried: bool, confirmed: bool) -> bool:
    """Whether an update has taken effect.

    After a try, a cleared field may show the value of the master product. If it shows the value that it had before,
    only a response tells whether the update took effect.
    """
    if step.charge is None or step.before is None:
        return False
    for name, wanted in attrs.asdict(step.charge).items():
        value = getattr(charge, name)
        if value == wanted or (name == "text" and not (value or wanted)):
            continue
        may_be_of_master = tried and wanted is None and name in OF_MASTER and name in step.changes
        if not may_be_of_master or (value == getattr(step.before, name) and not confirmed):
            return False
    return True


def unwritten(planned: PlannedCustomer, held: Held, intents: Iterable[Intent]) -> tuple[Step, ...]:
    """The steps that the server confirmed, and that cannot be seen when the customer is read again."""
    result = progress(planned, held, intents)
    present = held.by_id()
    missing = [planned.steps[position] for position in result.left]
    for position, charge_id in result.done.items():
        step = planned.steps[position]
        charge = present.get((step.subscription_no, charge_id or step.charge_id or ""))
        if step.kind is Kind.CREATE and step.charge is not None:
            if charge is None or not has_values(charge, step.charge):
                missing.append(step)
        elif step.kind in {Kind.UPDATE, Kind.END} and (
            charge is None or not _is_updated(charge, step, tried=True, confirmed=True)
        ):
            missing.append(step)
    return tuple(missing)
