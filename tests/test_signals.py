"""What a signal does in the command line, before, during and after the work."""

from __future__ import annotations

import asyncio
import signal

import pytest
from payex_billing.cli._applying import run
from payex_billing.cli._signals import Signals


def receive(signals: Signals) -> None:
    signals._received(signal.SIGTERM, None)


def test_a_signal_interrupts() -> None:
    with pytest.raises(KeyboardInterrupt):
        receive(Signals())


def test_during_the_work_the_handler_is_called() -> None:
    signals, received = Signals(), []
    with signals.handled_by(lambda: received.append(1), then_ignored=True):
        receive(signals)
        receive(signals)
    assert received == [1, 1]


def test_after_the_work_one_signal_is_ignored() -> None:
    signals = Signals()
    with signals.handled_by(lambda: None, then_ignored=True):
        pass
    receive(signals)
    with pytest.raises(KeyboardInterrupt):
        receive(signals)


def test_a_work_that_was_told_to_end_at_once_lets_the_next_signal_interrupt() -> None:
    signals = Signals()
    with signals.handled_by(lambda: None, then_ignored=True):
        signals.interrupt_at_the_next()
    with pytest.raises(KeyboardInterrupt):
        receive(signals)


@pytest.mark.parametrize("can_stop", [True, False])
def test_an_interrupted_run_says_how_it_goes_on(*, can_stop: bool) -> None:
    async def interrupted(_: object, __: object) -> None:
        raise asyncio.CancelledError

    with pytest.raises(KeyboardInterrupt) as stopped:
        run(interrupted, can_stop=can_stop)
    assert str(stopped.value) == "Interrupted." + " The same command goes on where it stopped." * can_stop
