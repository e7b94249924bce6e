"""`plan`, `apply`, `work` and others for scripts: the same functions with a blocking client."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from .._async.client import AsyncBilling
from .._async.runner import AsyncRunner
from .._sync.client import Billing
from ..errors import ConfigurationError, InvalidArgument
from ._drift import drift
from ._export import export
from ._run import apply, plan
from ._undoing import plan_undo
from ._working import work

P = ParamSpec("P")
T = TypeVar("T")
_Asynchronous = Callable[Concatenate[AsyncBilling, P], Coroutine[Any, Any, T]]


_DOCUMENTATION = """Do what `{name}` does, with a `Billing`, and wait for the end. The other arguments are the same.

It uses connections of its own, and closes them. Settings, limits, hooks and recorded writes are those of the client.

Raises:
    ConfigurationError: an event loop is running, or the client has a transport of its own.
"""


def _blocking(function: _Asynchronous[P, T]) -> Callable[Concatenate[Billing, P], T]:
    """The same function with a blocking client."""

    def run(billing: Billing, /, *arguments: P.args, **options: P.kwargs) -> T:
        async def work() -> T:
            async with _asynchronous(billing) as client:
                return await function(client, *arguments, **options)

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(work())
        raise ConfigurationError(
            f"{run.__name__} cannot block inside an event loop: await reconcile.{function.__name__} there"
        )

    run.__name__ = run.__qualname__ = f"{function.__name__}_sync"
    run.__doc__ = _DOCUMENTATION.format(name=function.__name__)
    first, *others = inspect.signature(function).parameters.values()
    shown = inspect.signature(function).replace(
        parameters=[first.replace(annotation="Billing", kind=first.POSITIONAL_ONLY), *others]
    )
    run.__signature__ = shown  # type: ignore[attr-defined] # for `help` and the documentation
    return run


def _asynchronous(billing: Billing) -> AsyncBilling:
    """The same client for `asyncio`."""
    if not isinstance(billing, Billing):
        raise InvalidArgument("billing", f"must be a Billing, not {type(billing).__name__}")
    if billing._runner.own_transport:
        raise ConfigurationError("the client has its own transport, which blocks: use an AsyncBilling and await")
    twin = object.__new__(AsyncBilling)
    twin.settings = billing.settings
    runner = AsyncRunner(billing._runner.session, repr(twin), None)
    twin._runner = runner.with_options(billing._runner.options)
    return twin


plan_sync = _blocking(plan)
apply_sync = _blocking(apply)
drift_sync = _blocking(drift)
export_sync = _blocking(export)
plan_undo_sync = _blocking(plan_undo)
work_sync = _blocking(work)
