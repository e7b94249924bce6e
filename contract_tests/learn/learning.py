"""One run of `learn`: ask, clean up, and say what stays."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..description import Contract
from .engine import Answer, Question, run
from .fence import MOST_REQUESTS, Fence, OutOfBounds
from .line import Line, Reply, Send, Undecided
from .names import CANDIDATES
from .questions import questions
from .scene import Scene

RESERVE = 8  # requests that the clean-up may need
_LETTERS = "bcdfghjkmnpqrtvwx"


class Interrupted(KeyboardInterrupt):
    """The user stopped the run; the arguments name what stays in the ledger."""


@dataclass(frozen=True)
class Findings:
    """What a run found out.

    Attributes:
        left: what stays in the ledger.
    """

    answers: Mapping[str, Answer]
    asked: list[Question]
    exchanges: list[Reply]
    requests: int
    customers: tuple[str, ...]
    left: tuple[str, ...]


def bases_of(contract: Contract, given: str = "") -> dict[str, str]:
    """Return the base paths to try, by subdomain: the contract's own first, or only the one that the user gave."""
    if given:
        return {given.split("/")[2] if given.count("/") > 2 else given: given}
    own = contract.base_path
    segments = own.split("/")
    names = dict.fromkeys([segments[2], "customer", "billing"])
    return {name: "/".join([*segments[:2], name, *segments[3:]]) for name in names}


def declared_names(contract: Contract) -> dict[str, str]:
    """Return the contract's name of each role."""
    return {role: contract.wire(role) for role in CANDIDATES} | {"id": contract.keys["charge"]}


def learn(
    contract: Contract,
    transport: Send,
    ledger: str,
    token: str,
    prefix: str,
    *,
    bases: Mapping[str, str] | None = None,
    product: str = "P01",
    sleep: Callable[[float], None],
    most: int = MOST_REQUESTS,
) -> Findings:
    """Ask all questions, and remove what was made."""
    bases = bases or bases_of(contract)
    fence = Fence(list(bases.values()), ledger, prefix, name=contract.keys["customer"], most=most, reserve=RESERVE)
    line = Line(transport, next(iter(bases.values())), ledger, token, fence, sleep)
    stem = prefix + "".join(secrets.choice(_LETTERS) for _ in range(4))
    scene = Scene(
        line, stem, prefix, product, declared_names(contract), contract.keys["customer"], contract.keys["subscription"],
        contract.place("charge").segment, contract.place("subscription").segment,
    )  # fmt: skip
    asked = questions(bases)
    try:
        answers = run(asked, scene)
    except KeyboardInterrupt:
        fence.reserve = 0
        raise Interrupted(*_clean_up(scene)) from None
    fence.reserve = 0
    left = _clean_up(scene)
    return Findings(answers, asked, line.exchanges, fence.sent, tuple(sorted(fence.customers)), tuple(left))


def _clean_up(scene: Scene) -> list[str]:
    """Remove what the run made, as far as the API and the number of requests allow, and return what stays."""
    left = [f"customer {number}" for number in sorted(scene.line.fence.customers)]
    may_remove = scene.facts.get("delete-subscription", "") in {"", "removes"}  # not known yet after Ctrl-C
    for number in reversed(scene.subscriptions):
        target = scene.line.target(scene.customer, scene.subscriptions_segment, number)
        if not (may_remove and _removed(scene, target)):
            left.append(f"subscription {number}, with its charges")
    if scene.customer:
        own = [made for made in scene.made if made.target.startswith(f"{scene.customer_charges}/")]
        may_remove = scene.facts.get("delete-charge", "") in {"", "removes"}
        left += ["a charge of the customer" for made in own if not (may_remove and _removed(scene, made.target))]
    return left


def _removed(scene: Scene, target: str) -> bool:
    try:
        return scene.line.send("DELETE", target).ok
    except (Undecided, OutOfBounds):
        return False
