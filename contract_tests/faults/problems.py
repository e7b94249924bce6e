"""Faults: problem responses that are wrong, or that show too little or too much."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contract_tests.exchange import CONTRACT

from ._planting import Answer, MockWithFault, Next, Request, answers, behaves, problem_rewritten, read, without

FAMILY = "problems"
PREFIX = "billing/customer/problems/"


def _each(name: str, description: str, change: Any) -> None:
    def fault(_: Request, answer: Answer) -> Answer:
        return problem_rewritten(answer, change)

    fault.__name__ = name
    answers(FAMILY, description)(fault)


_each("status_differs", "a problem's status is 200", lambda each: each | {"status": 200})
_each("status_as_text", "a problem's status is text", lambda each: each | {"status": str(each["status"])})
_each("unknown_type", "the type is not one of the contract's", lambda each: each | {"type": PREFIX + "oops"})
_each("no_type", "a problem has no type", lambda each: without(each, "type"))
_each("no_title", "a problem has no title", lambda each: without(each, "title"))
_each("empty_title", "the title is empty", lambda each: each | {"title": ""})
_each("no_instance", "a problem has no instance", lambda each: without(each, "instance"))
_each("one_instance", "all problems have one instance", lambda each: each | {"instance": "urn:uuid:1"})
_each("no_parameters", "the failed parameter is not named", lambda each: without(each, "problems"))
_each(
    "empty_parameters",
    "the list of failed parameters is empty",
    lambda each: each | ({"problems": []} if "problems" in each else {}),
)
_each(
    "wrong_parameter",
    "another parameter is named",
    lambda each: each | ({"problems": [{"ownerNo": "is wrong"}]} if "problems" in each else {}),
)
_each(
    "only_first_parameter",
    "only the first failed parameter is named",
    lambda each: each | ({"problems": each["problems"][:1]} if "problems" in each else {}),
)
_each(
    "parameters_in_one",
    "all failed parameters are in one object",
    lambda each: (
        each
        | (
            {
                "problems": [
                    {key: value for one in each["problems"] for key, value in one.items()} | {"request": "refused"}
                ]
            }
            if "problems" in each
            else {}
        )
    ),
)
_each("stack_trace", "the detail is a stack trace", lambda each: each | {"detail": "at Billing.Api.Read(Api.cs:77)"})
_each("exception_name", "the detail names an exception", lambda each: each | {"detail": "KeyError: 'customerNo'"})
_each("statement_shown", "the detail is a statement", lambda each: each | {"detail": "SELECT id FROM customer"})
_each(
    "wrong_not_found",
    "every 404 is subscription-not-found",
    lambda each: each | ({"type": PREFIX + CONTRACT.not_found["subscription"]} if each["status"] == 404 else {}),
)
_each(
    "customer_for_charge",
    "a missing charge is called a missing customer",
    lambda each: each | {"type": each["type"].replace(CONTRACT.not_found["charge"], CONTRACT.not_found["customer"])},
)
_each(
    "conflict_of_another",
    "a duplicate subscription is called a duplicate customer",
    lambda each: (
        each | {"type": each["type"].replace(*(CONTRACT.duplicates[kind][1] for kind in ("subscription", "customer")))}
    ),
)


@answers(FAMILY, "the detail repeats the customer number")
def number_repeated(request: Request, answer: Answer) -> Answer:
    number = request.raw_path.rpartition(b"/")[2].decode()
    return (
        problem_rewritten(answer, lambda each: each | {"detail": f"there is no {number}"})
        if answer.status == 404
        else answer
    )


@answers(FAMILY, "a refused number is repeated in its message")
def value_repeated(request: Request, answer: Answer) -> Answer:
    sent = (request.body or b"").decode("utf-8", "replace")
    return (
        problem_rewritten(answer, lambda each: each | {"detail": f"refused: {sent}"})
        if answer.status == 409
        else answer
    )


@behaves(FAMILY, "a value that is refused is called unprocessable")
def validation_is_422(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if answer.status != 400:
        return answer
    changed = problem_rewritten(
        answer, lambda each: each | {"type": PREFIX + "unprocessable", "status": 422, "title": "Unprocessable"}
    )
    return replace(changed, status=422)


@answers(FAMILY, "401 of a wrong token is called forbidden")
def unauthorized_is_forbidden(_: Request, answer: Answer) -> Answer:
    if answer.status != 401 or "detail" not in read(answer):
        return answer
    changed = problem_rewritten(
        answer, lambda each: each | {"type": PREFIX + "forbidden", "status": 403, "title": "Forbidden"}
    )
    return replace(changed, status=403)


@answers(FAMILY, "a business refusal has the title of a validation")
def title_of_another_type(_: Request, answer: Answer) -> Answer:
    title = CONTRACT.problem_types["validation"].title
    return problem_rewritten(answer, lambda each: each | {"title": title}) if answer.status == 422 else answer


@answers(FAMILY, "of several wrong path parameters only the first is named")
def only_first_path_parameter(request: Request, answer: Answer) -> Answer:
    if answer.status != 400 or request.method != "GET":
        return answer
    return problem_rewritten(answer, lambda each: each | {"problems": each.get("problems", [])[:1]})


@answers(FAMILY, "the detail of a 401 repeats the token")
def token_repeated(request: Request, answer: Answer) -> Answer:
    token = request.headers.get("authorization", "").rpartition(" ")[2]
    return problem_rewritten(answer, lambda each: each | {"detail": f"not {token}"}) if answer.status == 401 else answer


@answers(FAMILY, "the problem of a path that does not exist has no instance")
def unknown_route_without_instance(_: Request, answer: Answer) -> Answer:
    return problem_rewritten(answer, lambda each: without(each, "instance") if each["title"] == "Not found" else each)
