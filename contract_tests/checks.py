"""Make Schemathesis checks of the rules. The import of this module registers the checks.

pytest imports the module, and so does the command line of Schemathesis:

    SCHEMATHESIS_HOOKS=contract_tests.checks schemathesis run openapi.yaml --url …
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from schemathesis import Case, CheckContext, Response

from . import rules
from .coverage import COVERAGE
from .exchange import Exchange

Check = Callable[[CheckContext, Response, Case[Any]], None]
# The last responses by `id()`. Each response is kept here, so that Python cannot give its `id()` to another object.
_last: OrderedDict[int, tuple[Response, Exchange]] = OrderedDict()


def exchange_of(response: Response) -> Exchange:
    """Return the exchange of a response. Two calls with the same response return the same object."""
    _, found = _last.get(id(response), (None, None))
    if found is None or (found.status, found.body) != (response.status_code, response.content):
        request = response.request
        url = urlsplit(request.url or "")
        body: Any = request.body or b""
        found = Exchange(
            method=request.method or "",
            path=url.path,
            query=url.query,
            url=f"{url.scheme}://{url.netloc}",
            sent_headers={name: str(value) for name, value in request.headers.items()},
            sent=body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b"",
            status=response.status_code,
            headers={name.lower(): ", ".join(values) for name, values in response.headers.items()},
            body=response.content,
            seconds=response.elapsed,
        )
        _last[id(response)] = (response, found)
        COVERAGE.saw(found)
        if len(_last) > 256:
            _last.popitem(last=False)
    return found


def _check(rule: Callable[[Exchange], None]) -> Check:
    def check(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
        exchange = exchange_of(response)
        try:
            rule(exchange)
        except AssertionError:
            COVERAGE.judged(exchange, rule.__name__, passed=False)
            raise
        COVERAGE.judged(exchange, rule.__name__, passed=True)

    check.__name__ = rule.__name__
    check.__doc__ = rule.__doc__
    return schemathesis.check(check)


ALL = tuple(_check(rule) for rule in rules.RULES)
(
    strict_json,
    problem_tells_the_truth,
    headers_mean_what_they_say,
    nothing_internal_is_shown,
    links_are_the_resources_own,
    what_was_sent_is_what_is_held,
) = ALL
