"""What to add to an error of Billing: which customer and which ledger it is about, and what to do next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from .. import errors
from .._text import printable
from ..config import Settings
from ..errors import BillingError, MalformedResponse, ProblemError, TransportError
from ..reconcile import Stopped
from ._profiles import CLIENT_OPTIONS, with_profile

if TYPE_CHECKING:
    from ..reconcile._history import Run

_DOCTOR = "payex-billing doctor shows the settings and tries them"


def with_advice(error: BillingError) -> str:
    """Return an error in words, with the place and the next step if the error is about a request or a run."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, Stopped):
        text = str(error)
    elif not isinstance(error, ProblemError | TransportError | MalformedResponse):
        return text
    context = click.get_current_context(silent=True)
    options = {} if context is None else context.params
    return ". ".join(filter(None, (text.rstrip("."), _place(options), _step(error, options))))


def next_step(run: Run, later: int | None) -> str | None:
    """Return how to continue or repeat a run; None if a program made the run, not a command.

    Args:
        run: the run.
        later: the number of a later run. The table of an unfinished earlier run is then out of date.
    """
    if run.undoes is not None:
        return f"payex-billing undo {run.undoes}"
    if run.has_every_result:
        return f"payex-billing retry {run.id}"
    if later is not None:
        return f"apply the current table, because run {later} is later"
    if run.options.get("retry") is not None:
        return f"payex-billing retry {run.options['retry']}"
    return f"payex-billing apply {shlex.quote(run.file)}, with the same options" if run.file else None


def _place(options: dict[str, Any]) -> str:
    names = (("customer", "customer_no"), ("subscription", "subscription"), ("charge", "charge_id"))
    parts = [f"{noun} {options[name]}" for noun, name in names if isinstance(options.get(name), str)]
    try:
        client = with_profile(options.get("profile"), {name: options.get(name) for name in CLIENT_OPTIONS})
        settings = Settings.load(**{"token": "unused", **client})
    except (BillingError, click.ClickException):
        return ""
    parts += [f"ledger {settings.owner_no}", settings.base_url]
    text = printable(", ".join(parts))
    return text[0].upper() + text[1:]


_STEPS: tuple[tuple[type[BillingError], str], ...] = (
    (
        errors.CustomerNotFound,
        "Check the number and the ledger. To create the customer: payex-billing customer create {number}",
    ),
    (errors.SubscriptionNotFound, "To see the subscriptions: payex-billing customer get {number}"),
    (errors.RecurringProductNotFound, "To see the ids of all charges: payex-billing charges list {number}"),
    (errors.Unauthorized, f"Check that the token is of this ledger: {_DOCTOR}"),
    (errors.CertificateRejected, f"Check the client certificate: {_DOCTOR}"),
    (errors.Forbidden, f"Check the client certificate: {_DOCTOR}"),
    (errors.RateLimited, "Wait, or set PAYEX_MAX_RATE"),
    (errors.ServerFailed, "Try again later. PayEx can find the request by its instance id"),
    (errors.AnswerLost, "The request may have taken effect: read the resource before you try again"),
    (Stopped, "To see what is wrong: payex-billing doctor"),
    (TransportError, f"Check the address, the network and the proxy: {_DOCTOR}"),
)
"""The next step after an error; {number} is the customer's number. The first class that fits counts."""


def _step(error: BillingError, options: dict[str, Any]) -> str:
    customer = options.get("customer_no")
    number = shlex.quote(printable(customer)) if isinstance(customer, str) else "CUSTOMER"
    step = next((text for kind, text in _STEPS if isinstance(error, kind)), "")
    return step.replace("{number}", number)
