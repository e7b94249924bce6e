# Made by `make generate` from wrapper/payex_billing/_async/driver.py: edit that file.
"""Runs the steps of the retry policy for `Billing`."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TypeVar

from .._credentials.tokens import TokenSource
from .._policy.steps import CloseIdle, GetToken, Send, Step
from .._transport._sender import Sender

T = TypeVar("T")
sleep = time.sleep  # named, so that a test can replace it


def drive(policy: Generator[Step, object, T], sender: Sender, tokens: TokenSource) -> T:
    """Run the retry policy: execute each step, and send the reply back to the policy."""
    reply: object = None
    while True:
        try:
            step = policy.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result
        reply = None
        if isinstance(step, Send):
            reply = sender.send(step.request, step.timeout)
        elif isinstance(step, GetToken):
            reply = tokens.get(step.refused)
        elif isinstance(step, CloseIdle):
            sender.close_idle()
        else:
            sleep(step.seconds)
