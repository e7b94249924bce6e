"""A model of the server: the charges of one customer. It shares no code with the client or the mock."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from .process import Request

PATH: Final = "/billing/customer/v1/1234/customers/10000001/recurring-products"


class Late(NamedTuple):
    """A write that takes effect later, before a time."""

    before: float
    body: bytes


class Charges(NamedTuple):
    """The charges of the customer.

    Attributes:
        bodies: what each was created with; its id is its position.
        late: writes under way.
    """

    bodies: tuple[bytes, ...] = ()
    late: tuple[Late, ...] = ()

    def created(self, body: bytes) -> Charges:
        return self._replace(bodies=(*self.bodies, body))

    def postponed(self, late: Late) -> Charges:
        return self._replace(late=tuple(sorted((*self.late, late))))

    def arrived(self, late: Late) -> Charges:
        left = list(self.late)
        left.remove(late)
        return Charges(self.bodies, tuple(left)).created(late.body)


def identity(position: int) -> str:
    """Return the id of a charge."""
    return f"charge-{position}"


def answer(charges: Charges, request: Request) -> tuple[Charges, int, bytes]:
    """Return the charges after a request, the status, and the body of the response."""
    assert request.path == PATH, request.path
    match request.method:
        case "GET":
            items = [_shown(position, body) for position, body in enumerate(charges.bodies)]
            return charges, 200, json.dumps({"items": items, "navigation": {"@id": PATH}}).encode()
        case "POST":
            assert request.body is not None
            return charges.created(request.body), 201, json.dumps(_shown(len(charges.bodies), request.body)).encode()
    raise AssertionError(request.method)


def _shown(position: int, body: bytes) -> dict[str, object]:
    number = identity(position)
    return json.loads(body) | {"@id": f"{PATH}/{number}", "recurringProductId": number, "operations": None}
