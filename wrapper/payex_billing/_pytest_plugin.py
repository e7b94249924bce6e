"""The pytest plugin, found by its entry point: every pytest loads it, so it imports nothing until it is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import PayexMock, PayexServer


@pytest.fixture
def payex_mock(monkeypatch: pytest.MonkeyPatch) -> Iterator[PayexMock]:
    """PayEx Billing in process; `Billing.from_env()` and `AsyncBilling.from_env()` lead to it."""
    from .testing import PayexMock  # noqa: PLC0415

    with PayexMock() as mock:
        _lead(monkeypatch, mock)
        yield mock


@pytest.fixture
def payex_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PayexServer]:
    """PayEx Billing on a real socket; this process's environment, and so that of its children, leads to it."""
    from .testing import PayexServer  # noqa: PLC0415

    with PayexServer() as server:
        _lead(monkeypatch, server)
        yield server


def _lead(monkeypatch: pytest.MonkeyPatch, double: PayexMock) -> None:
    for name in [name for name in os.environ if name.startswith("PAYEX_")]:
        monkeypatch.delenv(name)  # nothing of the developer's own must reach a test
    for name, value in double.environment.items():
        monkeypatch.setenv(name, value)
