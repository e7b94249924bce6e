"""The sender of `AsyncBilling(dry_run=True)`."""

from __future__ import annotations

from .._dry_run.dry_run import Recorder
from .._transport import AsyncTransport, Reply, Request
from .._transport._sender import AsyncSender
from ..config import Settings


class AsyncDryRunSender(AsyncSender):
    """Sends reads, and records writes.

    Args:
        recorder: records the writes.
        settings: the same as for `AsyncSender`.
        owner: the same as for `AsyncSender`.
        transport: the same as for `AsyncSender`.
    """

    def __init__(self, recorder: Recorder, settings: Settings, owner: str, transport: AsyncTransport | None) -> None:
        super().__init__(settings, owner, transport)
        self._recorder = recorder

    async def send(self, request: Request, timeout: float) -> Reply:
        """Send the read that the recorder asks for, if any, and return the response of the recorder."""
        asked = self._recorder.before(request)
        reply = await super().send(asked, timeout) if isinstance(asked, Request) else asked
        return self._recorder.after(request, reply)
