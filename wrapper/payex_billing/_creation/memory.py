"""Which charges a client has seen and created. A look-up must not take an older, equal charge for a lost one."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable

from .._requests.calls import ParentKey, PlainKey
from ..models import LostCreation, NaturalKey, RecurringProduct

# So many ids of charges that were read are kept, and so many of charges that were created. Each needs 10 MB when full.
CAPACITY = 65_536


class Memory:
    """The ids of charges, when each was first seen, and which request created it; and the creations that are open.

    A customer may hold the same charge twice. After a lost response, a charge with the same content may be older than
    the request, or another request may have created it. The memory also knows the customers and
    subscriptions of which the client has seen all charges: there, a charge that is not in the memory is new. Safe to
    share between threads. When there are too many ids, the oldest are forgotten, and `complete` is False.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.name = secrets.token_hex(8)  # a lost creation says whose mark it has
        self._capacity = capacity
        self._lock = threading.Lock()
        self._clock = 0
        self._seen: OrderedDict[str, int] = OrderedDict()  # the clock when a charge was first read
        self._created: OrderedDict[str, int] = OrderedDict()  # the mark of the request that created a charge
        self._seen_all: OrderedDict[ParentKey, int] = OrderedDict()
        self._open: dict[int, PlainKey] = {}
        self._lost: dict[int, LostCreation] = {}  # the open creations whose call has ended
        self.complete = True

    def begin(self, key: PlainKey) -> int:
        """Record that a creation starts. Return its mark: a number that no other creation of this client has.

        Only creations of charges are kept as open, because a customer or a subscription has a number.
        """
        with self._lock:
            self._clock += 1
            if key[2] is not None:
                self._open[self._clock] = key
            return self._clock

    def end(self, mark: int, created: object = None) -> None:
        """Record the result of a creation: the resource, or None if it took no effect. Only charges are remembered."""
        with self._lock:
            self._open.pop(mark, None)
            if self._lost:
                self._lost.pop(mark, None)
            if isinstance(created, RecurringProduct):
                self._remember(self._created, created.id, mark)

    def lose(self, lost: LostCreation) -> None:
        """Keep a creation open whose call has ended without a result."""
        with self._lock:
            if lost.mark in self._open:
                self._lost[lost.mark] = lost

    def lost_charges(self, parent: ParentKey) -> list[LostCreation]:
        """Return the creations of charges of one parent that ended without a result, oldest first."""
        with self._lock:
            return [lost for mark, lost in sorted(self._lost.items()) if self._open[mark][:2] == parent]

    def rivals(self, key: NaturalKey, mark: int) -> int:
        """Return how many other creations of the same charge are open: under way, or lost and not looked up."""
        plain = (key.customer_no, key.subscription_no, key.charge)
        with self._lock:
            return sum(other == plain for of, other in self._open.items() if of != mark)

    def saw(self, ids: Iterable[str]) -> None:
        """Record the ids of charges that were read."""
        with self._lock:
            self._clock += 1
            for charge_id in ids:
                if charge_id not in self._seen and charge_id not in self._created:
                    self._remember(self._seen, charge_id, self._clock)

    def saw_all(self, parent: ParentKey) -> None:
        """Record that the client has seen all charges of a parent: it read the list, or it created the parent."""
        with self._lock:
            if parent not in self._seen_all:
                self._seen_all[parent] = self._clock
                if len(self._seen_all) > self._capacity:
                    self._seen_all.popitem(last=False)

    def may_be(self, charge_id: str, mark: int) -> bool:
        """Return whether the request with this mark may have created a charge."""
        with self._lock:
            creator = self._created.get(charge_id)
            if creator is not None:
                return creator == mark
            seen = self._seen.get(charge_id)
            return seen is None or seen > mark

    def is_new(self, charge_id: str, parent: ParentKey) -> bool:
        """Return whether a charge is certainly not older than the creation. `may_be` must have returned True for it.

        The charge is new if a request of this client created it, or if the client had seen all charges of the parent
        before it saw this one.
        """
        with self._lock:
            if charge_id in self._created:
                return True
            seen, since = self._seen.get(charge_id), self._seen_all.get(parent)
            return self.complete and since is not None and (seen is None or seen > since)

    def _remember(self, charges: OrderedDict[str, int], charge_id: str, number: int) -> None:
        charges[charge_id] = number
        if len(charges) > self._capacity:
            charges.popitem(last=False)
            self.complete = False
