"""Servers that break no promise: the variants of the mock, and a second server. The suite must not blame them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .api import Api
from .exchange import CONTRACT
from .peer.app import build
from .peer.storage import Storage
from .probes import PROBES, Probe
from .suite import LEDGERS, Finding, first_failed_probe, model_failure, open_api
from .transports import InProcess, InThread
from .variants import serve


def blamed(variant: str, probes: Sequence[Probe] = PROBES) -> Finding | None:
    """Run probes against a variant of the mock. Return the first false alarm, if any."""
    api = open_api(InProcess(serve(variant)))
    for ledger in filter(None, (api, api.other)):
        ledger.sleep = lambda _: None
    return first_failed_probe(api, probes)


@contextmanager
def peer(*, samples: bool) -> Iterator[Api]:
    """Open the second server, with two ledgers. With `samples`, the server gets as few values as a real endpoint."""
    transport = InThread(
        build({token: ledger for ledger, token in LEDGERS.items()}, Storage(None), frozenset(), InThread.origin)
    )
    first, second = (
        Api(transport, CONTRACT.base_path, ledger, token, real=samples, prefix="CT-" if samples else "")
        for ledger, token in LEDGERS.items()
    )
    first.other = second
    try:
        yield first
    finally:
        transport.close()


def blamed_peer(seed: int) -> Finding | None:
    """Run all probes and the model against the second server. Return the first false alarm, if any.

    The seed is for the model. The values of the probes do not depend on a seed, so only one seed in ten sends all.
    """
    with peer(samples=seed % 10 != 0) as api:
        return first_failed_probe(api) or model_failure(api, seed)
