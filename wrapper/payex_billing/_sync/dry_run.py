# Made by `make generate` from wrapper/payex_billing/_async/dry_run.py: edit that file.
"""The sender of `Billing(dry_run=True)`."""

from __future__ import annotations

from .._dry_run.dry_run import Recorder
from .._transport import Reply, Request, Transport
from .._transport._sender import Sender
from ..config import Settings


class DryRunSender(Sender):
    """Sends reads, and records writes.

    Args:
        recorder: records the writes.
        settings: the same as for `Sender`.
        owner: the same as for `Sender`.
        transport: the same as for `Sender`.
    """

    def __init__(self, recorder: Recorder, settings: Settings, owner: str, transport: Transport | None) -> None:
        super().__init__(settings, owner, transport)
        self._recorder = recorder

    def send(self, request: Request, timeout: float) -> Reply:
        """Send the read that the recorder asks for, if any, and return the response of the recorder."""
        asked = self._recorder.before(request)
        reply = super().send(asked, timeout) if isinstance(asked, Request) else asked
        return self._recorder.after(request, reply)
