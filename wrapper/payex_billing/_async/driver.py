"""Runs the steps of the retry policy for `AsyncBilling`."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

from .._credentials.tokens import AsyncTokenSource
from .._policy.steps import CloseIdle, GetToken, Send, Step
from .._transport._sender import AsyncSender

T = TypeVar("T")
sleep = asyncio.sleep  # named, so that a test can replace it


async def drive(policy: Generator[Step, object, T], sender: AsyncSender, tokens: AsyncTokenSource) -> T:
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
            reply = await sender.send(step.request, step.timeout)
        elif isinstance(step, GetToken):
            reply = await tokens.get(step.refused)
        elif isinstance(step, CloseIdle):
            await sender.close_idle()
        else:
            await sleep(step.seconds)
