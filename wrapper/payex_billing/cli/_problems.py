"""`payex-billing problems`: what a problem type means, whose it is, what to do, and whether to try again."""

from __future__ import annotations

import attrs
import click

from ._common import DONE, USAGE, json_option, say_json


@attrs.frozen
class Explanation:
    """What a problem type comes to for a user."""

    status: int
    raises: str
    means: str
    whose: str
    do: str
    again: str


_NEVER = "no: the same request gets the same answer"
EXPLANATIONS = {
    "validation": Explanation(
        400,
        "ValidationFailed",
        "A value breaks the contract.",
        "yours",
        "Mend the parameters that the error names.",
        _NEVER,
    ),
    "unauthorized": Explanation(
        401,
        "Unauthorized",
        "The token is missing, wrong, expired, or of another ledger.",
        "yours",
        "Get a new token for the ledger that you name; `payex-billing doctor` says which is used.",
        "with a new token; the client does it once by itself",
    ),
    "forbidden": Explanation(
        403,
        "Forbidden",
        "Known, but not allowed; perhaps the certificate of another tenant.",
        "yours, or PayEx's",
        "Check the client certificate; then ask PayEx with the instance id.",
        _NEVER,
    ),
    "customer-not-found": Explanation(
        404,
        "CustomerNotFound",
        "The customer does not exist, or is inactive.",
        "yours",
        "Create it first: `ensure()` does.",
        _NEVER,
    ),
    "subscription-not-found": Explanation(
        404,
        "SubscriptionNotFound",
        "The customer has no such subscription.",
        "yours",
        "Create it first: `ensure()` does.",
        _NEVER,
    ),
    "recurring-product-not-found": Explanation(
        404,
        "RecurringProductNotFound",
        "There is no such charge here.",
        "yours",
        "List the charges; it may hang on a subscription.",
        _NEVER,
    ),
    "not-found": Explanation(
        404,
        "NotFound",
        "There is no such route.",
        "yours",
        "Check the base URL and the subdomain.",
        _NEVER,
    ),
    "method-not-allowed": Explanation(
        405,
        "RequestRefused",
        "The resource does not do that.",
        "ours",
        "Look whether this package is up to date.",
        _NEVER,
    ),
    "customer-already-exists": Explanation(
        409,
        "CustomerAlreadyExists",
        "The number is taken.",
        "nobody's",
        "Use `ensure()`, which reads it then.",
        _NEVER,
    ),
    "subscription-already-exists": Explanation(
        409,
        "SubscriptionAlreadyExists",
        "The number is taken.",
        "nobody's",
        "Use `ensure()`, which reads it then.",
        _NEVER,
    ),
    "content-too-large": Explanation(
        413,
        "RequestRefused",
        "The body is too large.",
        "yours",
        "Send less in `extra`.",
        _NEVER,
    ),
    "unsupported-media-type": Explanation(
        415,
        "RequestRefused",
        "The body is not JSON.",
        "ours",
        "Something between you and PayEx changes requests: look at proxies.",
        _NEVER,
    ),
    "unprocessable": Explanation(
        422,
        "Unprocessable",
        "A business rule refuses it, such as an end before the start.",
        "yours",
        "Read the detail.",
        _NEVER,
    ),
    "too-many-requests": Explanation(
        429,
        "RateLimited",
        "Too many requests.",
        "yours",
        "Set PAYEX_MAX_RATE, or --rate.",
        "yes, after Retry-After; reads wait by themselves, writes with wait_on_writes",
    ),
    "internal-server-error": Explanation(
        500,
        "ServerFailed",
        "PayEx's server failed.",
        "PayEx's",
        "Give the instance id to PayEx's support.",
        "the client retries reads and changes by itself; repeat a creation only after `look_up` says absent",
    ),
    "not-implemented": Explanation(
        501,
        "LedgerNotConfigured",
        "The ledger is not set up for this.",
        "PayEx's",
        "Ask PayEx to set it up.",
        _NEVER,
    ),
    "service-unavailable": Explanation(
        503,
        "ServiceUnavailable",
        "The service is down for now.",
        "PayEx's",
        "Wait.",
        "yes, after Retry-After; a creation only as for 500",
    ),
}


@click.command(epilog="\b\nExamples:\n  payex-billing problems\n  payex-billing problems customer-not-found")
@click.argument("code", required=False)
@json_option
def problems(code: str | None, as_json: bool) -> int:
    """Explain the problem type CODE, or list all of them. CODE may be a whole type, such as an error shows it."""
    if code is None:
        if as_json:
            say_json({name: attrs.asdict(each) for name, each in EXPLANATIONS.items()})
            return DONE
        for name, each in EXPLANATIONS.items():
            click.echo(f"{each.status}  {name:28} {each.means}")
        return DONE
    name = code.rstrip("/").rpartition("/")[2].lower()
    found = EXPLANATIONS.get(name)
    if found is None:
        click.echo(f"Error: {code!r} is not a problem type of this API; payex-billing problems lists them", err=True)
        return USAGE
    if as_json:
        say_json({"type": name, **attrs.asdict(found)})
        return DONE
    click.secho(f"{found.status} {name}", bold=True)
    for label, text in (
        ("means", found.means),
        ("raises", f"payex_billing.{found.raises}"),
        ("whose", found.whose),
        ("do", found.do),
        ("again", found.again),
    ):
        click.echo(f"  {label + ':':8} {text}")
    return DONE
