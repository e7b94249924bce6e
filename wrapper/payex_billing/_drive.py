"""Runs the steps of the policy: blocking, and on an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar

from ._steps import CloseIdle, GetToken, Send, Step
from ._tokens import AsyncTokenSource, TokenSource
from ._transport._sender import AsyncSender, Sender

T = TypeVar("T")
# Named, so that a test can hold time still.
_pause, _sleep = time.sleep, asyncio.sleep


def drive(policy: Generator[Step, object, T], sender: Sender, tokens: TokenSource) -> T:
    """Run the policy, blocking."""
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
            _pause(step.seconds)


async def drive_async(policy: Generator[Step, object, T], sender: AsyncSender, tokens: AsyncTokenSource) -> T:
    """Run the policy on the event loop."""
    reply: object = None
    while True:
        try:
            step = policy.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result
        reply = None
        if isinstance(step, Send):
            reply = await sender.send(step.request, step.timeout)
        elif isinstance(step, GetToken):
            reply = await tokens.get(step.refused)
        elif isinstance(step, CloseIdle):
            await sender.close_idle()
        else:
            await _sleep(step.seconds)
