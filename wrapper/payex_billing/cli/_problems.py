"""`payex-billing problems`: what a problem type means, whose it is, what to do, and whether to try again."""

from __future__ import annotations

import attrs
import click

from .._contract import PROBLEMS
from .._evidence import Problem
from .._policy.problems import error_class
from ._common import DONE, USAGE, json_option, say_json
from ._lazy_group import suggestion

_NEVER = "no: the same request gets the same answer"


@attrs.frozen
class Explanation:
    """What a problem type means for a user.

    Attributes:
        means: what has happened.
        do: what to do about it.
        whose: whose fault it is.
        again: whether the same request may be sent again.
    """

    means: str
    do: str
    whose: str = "yours"
    again: str = _NEVER


EXPLANATIONS = {
    "validation": Explanation("A value breaks the contract.", "Fix the parameters that the error names."),
    "unauthorized": Explanation(
        "The token is missing, wrong, expired, or of another ledger.",
        "Get a new token for the ledger that you name; `payex-billing doctor` says which is used.",
        again="with a new token; the client does it once by itself",
    ),
    "forbidden": Explanation(
        "PayEx knows the caller and does not allow this; perhaps the certificate is of another tenant.",
        "Check the client certificate; then ask PayEx with the instance id.",
        whose="yours, or PayEx's",
    ),
    "customer-not-found": Explanation(
        "The customer does not exist, or is inactive.", "Create it first: `ensure()` does."
    ),
    "subscription-not-found": Explanation(
        "The customer has no such subscription.", "Create it first: `ensure()` does."
    ),
    "recurring-product-not-found": Explanation(
        "There is no such charge here.", "List the charges; it may belong to a subscription."
    ),
    "not-found": Explanation("There is no such route.", "Check the base URL and the subdomain."),
    "method-not-allowed": Explanation(
        "The resource does not do that.", "Look whether this package is up to date.", whose="ours"
    ),
    "customer-already-exists": Explanation(
        "The number is taken.", "Use `ensure()`, which reads it then.", whose="nobody's"
    ),
    "subscription-already-exists": Explanation(
        "The number is taken.", "Use `ensure()`, which reads it then.", whose="nobody's"
    ),
    "content-too-large": Explanation("The body is too large.", "Send less in `extra`."),
    "unsupported-media-type": Explanation(
        "The body is not JSON.", "Something between you and PayEx changes requests: look at proxies.", whose="ours"
    ),
    "unprocessable": Explanation("A business rule refuses it, such as an end before the start.", "Read the detail."),
    "too-many-requests": Explanation(
        "Too many requests.",
        "Set PAYEX_MAX_RATE, or --rate.",
        again="yes, after Retry-After; reads wait by themselves, writes with wait_on_writes",
    ),
    "internal-server-error": Explanation(
        "PayEx's server failed.",
        "Give the instance id to PayEx's support.",
        whose="PayEx's",
        again="the client retries reads and changes by itself; repeat a creation only after `look_up` says absent",
    ),
    "not-implemented": Explanation("The ledger is not set up for this.", "Ask PayEx to set it up.", whose="PayEx's"),
    "service-unavailable": Explanation(
        "The service is down for now.",
        "Wait.",
        whose="PayEx's",
        again="yes, after Retry-After; a creation only as for 500",
    ),
}
EXPLAINED = {
    code: {
        "status": status,
        "raises": error_class(Problem(status=status, code=code)).__name__,
        **attrs.asdict(EXPLANATIONS[code]),
    }
    for code, status in PROBLEMS.items()
    if code in EXPLANATIONS
}
"""Each problem type of the contract: its status, the exception that the client raises, and the explanation."""


@click.command(epilog="\b\nExamples:\n  payex-billing problems\n  payex-billing problems customer-not-found")
@click.argument("code", required=False)
@json_option
def problems(code: str | None, as_json: bool) -> int:
    """Explain the problem type CODE, or list all of them. CODE may be a whole type, such as an error shows it."""
    if code is None:
        if as_json:
            say_json({"problems": EXPLAINED})
        else:
            for name, explained in EXPLAINED.items():
                click.echo(f"{explained['status']}  {name:28} {explained['means']}")
        return DONE
    name = code.rstrip("/").rpartition("/")[2].lower()
    found = EXPLAINED.get(name)
    if found is None:
        close = suggestion(name, EXPLAINED)
        click.echo(
            f"Error: {code!r} is not a problem type of this API.{close} payex-billing problems lists them", err=True
        )
        return USAGE
    if as_json:
        say_json({"type": name, **found})
    else:
        click.secho(f"{found['status']} {name}", bold=True)
        for label in ("means", "raises", "whose", "do", "again"):
            click.echo(f"  {label + ':':8} {'payex_billing.' if label == 'raises' else ''}{found[label]}")
    return DONE
