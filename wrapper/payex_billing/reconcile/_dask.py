"""Workers of a Dask cluster that write the plan of a run together with `apply`.

Nothing here keeps a charge from being doubled: that is done by the journal and by `work`, as under any other scheduler.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict

import attrs

from .._async.client import AsyncBilling
from .._text import cut, printable
from .._version import __version__
from ..config import Settings
from ..errors import BillingError, InvalidArgument
from ._address import name_of, without_password
from ._history import reading
from ._journal import Journal
from ._ledger import Refused
from ._planning import Notice
from ._working import work
from ._writing import Helpers

if TYPE_CHECKING:
    from distributed import Client

_PREFIXES: Final = {"dask://": "tcp://", "dask+tls://": "tls://"}
_PATIENCE: Final = 10.0  # seconds to wait for the scheduler
_EVERY: Final = 1.0  # seconds between two looks at the workers
_WAIT: Final = 5.0  # seconds for which a worker waits when the coordinator has withdrawn its plan


class Options(TypedDict):
    """The arguments of `work` that a worker does not take from its own environment."""

    concurrency: int
    settle: float
    lease: float
    patience: float


class Expected(TypedDict):
    """What every worker must have in common with the process that applies a table; the journal has no password."""

    version: str
    ledger: str
    journal: str
    identity: str


@attrs.define(eq=False)
class Cluster:
    """The connection to the scheduler of a Dask cluster."""

    name: str
    _client: Client
    _expected: Expected
    _notice: Notice

    async def check(self) -> None:
        """Ask each worker whether it can take part.

        Raises:
            Refused: a worker cannot.
        """
        found: Mapping[str, Any] = await self._client.run(refusal, self._expected, on_error="return")
        for worker, reason in sorted(found.items()):
            if reason:
                raise Refused(self._sentence(worker, reason) + ". Nothing was written")
        if not found:
            self._notice(f"{self.name}: the cluster has no worker yet. This process writes until there is one.")

    def _sentence(self, worker: str, reason: object) -> str:
        """Return why a worker cannot take part. An error of Python means that the package is not there, or is older."""
        if isinstance(reason, BaseException):
            needed = f"install payex-billing[postgres] {__version__} there"
            reason = f"cannot run this version ({type(reason).__name__}): {needed}"
        return cut(printable(f"{self.name}: worker {worker} {reason}"), 500)

    @asynccontextmanager
    async def helping(self, options: Options, rate: float | None, run: int) -> AsyncIterator[None]:
        """Let every worker of the cluster write customers of a run while a block runs."""
        task = asyncio.create_task(self._keep(self._expected, run, options, rate))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep(self, *arguments: object) -> None:
        """Start `work` once on each worker, also on workers that come later, and say how it failed."""
        tasks: dict[str, Any] = {}
        try:
            while True:
                for worker in set(await self._client.nthreads()) - tasks.keys():
                    tasks[worker] = self._client.submit(
                        write, *arguments, workers=[worker], allow_other_workers=False, pure=False, retries=0
                    )
                for worker, future in tasks.items():
                    if future is not None and future.done():
                        tasks[worker] = None  # it starts no second time
                        await self._ended(worker, future)
                await asyncio.sleep(_EVERY)
        except Exception as error:  # noqa: BLE001 - whatever befalls the cluster, this process goes on
            self._notice(f"{self.name}: the scheduler was lost ({type(error).__name__}). This process writes the rest.")
        finally:
            with suppress(OSError):
                cancelled: Any = self._client.cancel([future for future in tasks.values() if future is not None])
                await cancelled

    async def _ended(self, worker: str, future: Any) -> None:
        failed, finished = future.status == "error", future.status == "finished"  # or cancelled
        reason = await future.exception() if failed else await future if finished else ""
        if reason:
            self._notice(self._sentence(worker, reason))


@asynccontextmanager
async def helpers_on(
    name: str | None, notes: Journal, billing: AsyncBilling, options: Options, notice: Notice | None
) -> AsyncIterator[Helpers | None]:
    """Connect to a cluster, and check its workers; yield what lets them help with a run. None without a name.

    Raises:
        Refused: the scheduler cannot be reached, or a worker cannot take part.
    """
    if name is None:
        yield None
        return
    prefix = next((each for each in _PREFIXES if name.startswith(each)), None)
    if prefix is None:
        raise InvalidArgument("on", "must be the address of a scheduler, such as dask://scheduler.example:8786")
    if not isinstance(notes.place, str):
        raise InvalidArgument("on", "needs a journal in a PostgreSQL database, which all workers can reach")
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise Refused("Dask is needed for workers on a cluster: pip install 'payex-billing[dask]'") from None
    expected = Expected(
        version=__version__, ledger=billing.settings.ledger, journal=without_password(notes.place),
        identity=notes.history.identity,
    )  # fmt: skip
    address = _PREFIXES[prefix] + name.removeprefix(prefix)
    try:
        client: Any = await Client(address, asynchronous=True, set_as_default=False, timeout=_PATIENCE)
    except (OSError, ValueError) as error:  # a time-out is an OSError
        reason = cut(printable(str(error) or type(error).__name__), 200)
        raise Refused(f"{name}: the scheduler cannot be reached: {reason}") from None
    try:
        cluster = Cluster(name, client, expected, notice or (lambda _: None))
        await cluster.check()
        yield partial(cluster.helping, options, billing.settings.max_rate)
    finally:
        with suppress(OSError):
            await client.close()


# on the workers


def refusal(expected: Expected) -> str:
    """Return why this process cannot take part in a run; an empty text if it can."""
    if expected["version"] != __version__:
        return f"has payex-billing {__version__}, not {expected['version']}"
    try:
        ledger = Settings.load().ledger
        if ledger != expected["ledger"]:
            return f"has settings of ledger {ledger}, not {expected['ledger']}"
        with reading(_journal(expected), ledger) as history:
            is_same = history.identity == expected["identity"]
        return "" if is_same else f"has another journal in its environment: {name_of(_journal(expected))}"
    except BillingError as error:
        return f"cannot take part: {type(error).__name__}: {error}"


def write(expected: Expected, run: int, options: Options, rate: float | None) -> str:
    """Write customers of a run. Return why this worker cannot go on; an empty text if nothing is left."""

    async def main() -> None:
        async with AsyncBilling(max_rate=rate) as billing:
            await work(billing, _journal(expected), run=run, wait=_WAIT, **options)

    reason = refusal(expected)
    if not reason:
        try:
            asyncio.run(main())
        except BillingError as error:
            reason = f"stopped: {type(error).__name__}: {error}"
    return reason


def _journal(expected: Expected) -> str:
    return os.environ.get("PAYEX_JOURNAL") or expected["journal"]
