"""Run the probes and the model in one call against a mock in the same process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import hypothesis
from payex_billing_mock import MockApp

from .api import Api, NotTried
from .exchange import CONTRACT, Broken
from .faults import LEDGERS
from .model import run_model
from .probes import PROBES, Probe
from .transports import InProcess, Transport

__all__ = ["LEDGERS", "Finding", "first_failure", "open_api", "run_model"]


@dataclass(frozen=True)
class Finding:
    """A broken promise: the probe, the promise, and what is wrong."""

    where: str
    promise: str
    how: str
    seconds: float


def open_api(transport: Transport, base_path: str = CONTRACT.base_path) -> Api:
    """Return the first ledger of a mock, with the second ledger as `other`."""
    (ledger, token), (other, other_token) = LEDGERS.items()
    api = Api(transport, base_path, ledger, token)
    api.other = Api(transport, base_path, other, other_token)
    return api


def first_failure(app: MockApp, *, seed: int, first: Sequence[str] = ()) -> Finding | None:
    """Run every probe and the model until one fails. Return None if none fails.

    Args:
        first: the names of the probes to run before all others, in this order.
    """
    started = time.perf_counter()
    api = open_api(InProcess(app))
    ranks = {name: rank for rank, name in enumerate(first)}
    finding = first_failed_probe(api, sorted(PROBES, key=lambda probe: ranks.get(probe.name, len(ranks))))
    finding = finding or model_failure(api, seed)
    return finding and replace(finding, seconds=time.perf_counter() - started)


def model_failure(api: Api, seed: int) -> Finding | None:
    """Run the model. Return None if it does not fail."""
    started = time.perf_counter()
    try:
        run_model(api, seed)
    except (Broken, hypothesis.errors.Flaky, BaseExceptionGroup) as error:
        found = api.broken or (api.other.broken if api.other else None)
        promise, how = (found.promise, found.how) if found else (type(error).__name__, str(error))
        return Finding("model", promise, how, time.perf_counter() - started)
    return None


def first_failed_probe(api: Api, probes: Sequence[Probe] = PROBES) -> Finding | None:
    """Run the probes until one fails. Return None if none fails."""
    started = time.perf_counter()
    for probe in probes:
        try:
            probe(api)
        except NotTried:
            continue
        except Broken as broken:
            return Finding(probe.name, broken.promise, broken.how, time.perf_counter() - started)
        except (AssertionError, KeyError, TypeError, AttributeError, IndexError) as error:
            # Every rule held, but the response did not have a value that the probe needs.
            return Finding(probe.name, probe.name, repr(error), time.perf_counter() - started)
    return None
