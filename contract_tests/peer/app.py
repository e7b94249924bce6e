"""The routes of the contract, on FastAPI."""

import hmac
import secrets
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request, Response
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from contract_tests.peer import rules
from contract_tests.peer.storage import Charge, Customer, Storage, Subscription
from contract_tests.peer.variants import Front

PREFIX = "/billing/customer/v1"
CUSTOMER = PREFIX + "/{ownerNo}/customers/{customerNo}"
SUBSCRIPTION = CUSTOMER + "/subscriptions/{subscriptionNo}"
STATUS = {
    "validation": 400, "unauthorized": 401, "customer-not-found": 404, "subscription-not-found": 404,
    "recurring-product-not-found": 404, "not-found": 404, "method-not-allowed": 405, "customer-already-exists": 409,
    "subscription-already-exists": 409, "content-too-large": 413, "unsupported-media-type": 415, "unprocessable": 422,
    "too-many-requests": 429, "internal-server-error": 500, "not-implemented": 501,
}  # fmt: skip
Body = dict[str, Any]
Problems = Sequence[dict[str, str]]


class Rejection(Exception):
    def __init__(self, code: str, detail: str = "", *, problems: Problems = (), **headers: str) -> None:
        super().__init__(code)
        self.code, self.detail, self.problems = code, detail, list(problems)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Peer:
    """The state and the variants of the server, and the tasks that several routes share."""

    def __init__(self, ledgers: dict[str, str], storage: Storage, variants: frozenset[str], origin: str) -> None:
        self.ledgers, self.storage, self.variants, self.origin = ledgers, storage, variants, origin

    def authorize(self, request: Request) -> None:
        """Check the token, and that its ledger is the ledger in the URL."""
        scheme, _, sent = ", ".join(request.headers.getlist("authorization")).partition(" ")
        for token, ledger in self.ledgers.items():
            is_token = hmac.compare_digest(token.encode(), sent.strip(" ").encode()) and scheme.lower() == "bearer"
            if is_token and rules.decode_segment(request.path_params["ownerNo"]) == ledger:
                return
        raise Rejection("unauthorized", WWW_Authenticate='Bearer realm="payex-billing"')

    def place(self, request: Request) -> Body:
        """Authorize, and return the decoded parameters of the path."""
        if request.scope["throttled"]:
            raise Rejection("too-many-requests", Retry_After="1")
        self.authorize(request)
        decoded = {name: rules.decode_segment(segment) for name, segment in request.path_params.items()}
        if problems := rules.judge(decoded, rules.PATH, set()):
            raise Rejection("validation", problems=problems)
        return decoded

    async def body(self, request: Request) -> Body:
        """Authorize, read the JSON body and check it against the contract."""
        self.place(request)
        limit = 4096 if "small-bodies" in self.variants else 1_048_576
        raw = bytearray()
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > limit:
                raise Rejection("content-too-large", f"The body has more than {limit} bytes")
        if not raw:
            raise Rejection("validation", problems=[{"body": "is required"}])
        media_type, *parameters = request.headers.get("content-type", "").lower().split(";")
        charset = dict(each.strip().partition("=")[::2] for each in parameters).get("charset", "utf-8").strip('"')
        encoding = request.headers.get("content-encoding", "identity").lower()
        if (media_type.strip(), charset, encoding) != ("application/json", "utf-8", "identity"):
            raise Rejection("unsupported-media-type", "The body must be application/json in UTF-8, not compressed")
        try:
            body = rules.parse_json(bytes(raw), strict="lax-json" not in self.variants)
        except ValueError:
            problem = {"body": "is not JSON in UTF-8, or exceeds the limits of this server"}
            raise Rejection("validation", problems=[problem] * ("bare-json-error" not in self.variants)) from None
        if not isinstance(body, dict):
            raise Rejection("validation", problems=[{"body": "must be an object"}])
        is_change = request.method == "PATCH"
        checks = rules.CHARGE if is_change else rules.NEW[request.url.path.rpartition("/")[2]]
        problems = rules.judge(body, checks, rules.CHARGE.keys() - {"productCode"} if is_change else {"endDate"})
        if not is_change and next(iter(checks)) not in body:
            problems.append({next(iter(checks)): "is required"})
        if "long-paths" in self.variants:
            problems = [{f"body.{name}": message for name, message in problem.items()} for problem in problems]
        if problems:
            raise Rejection("validation", problems=problems)
        return {name: value for name, value in body.items() if name not in rules.READ_ONLY}

    def find(self, session: Session, place: Body) -> tuple[Customer, Subscription | None]:
        """Return the customer and, if the path has one, the subscription."""
        query = select(Customer).filter_by(ledger=place["ownerNo"], number=place["customerNo"])
        if (customer := session.scalar(query)) is None:
            raise Rejection("customer-not-found")
        if "subscriptionNo" not in place:
            return customer, None
        of_customer = select(Subscription).filter_by(customer_key=customer.key, number=place["subscriptionNo"])
        if (subscription := session.scalar(of_customer)) is None:
            raise Rejection("subscription-not-found")
        return customer, subscription

    def find_charge(self, session: Session, place: Body) -> Charge:
        query = select(Charge).filter_by(**level(*self.find(session, place)), id=place["recurringProductId"])
        if (charge := session.scalar(query)) is None:
            raise Rejection("recurring-product-not-found")
        return charge

    def check_deletion(self) -> None:
        if "delete-501" in self.variants:
            raise Rejection("not-implemented", "The ledger is not configured for DELETE")

    def uri(self, place: Body, *more: str) -> str:
        """Return the link to a customer, or to a subscription if `place` has one, or to something below."""
        parts = [place["ownerNo"], "customers", place["customerNo"]]
        if "subscriptionNo" in place:
            parts += ["subscriptions", place["subscriptionNo"]]
        safe = "!$&'()*+,;=:@" if "odd-ids" in self.variants else ""
        return PREFIX + "".join("/" + quote(part, safe) for part in [*parts, *more])

    def show(self, place: Body, body: str) -> Body:
        """Return the document of a customer or of a subscription."""
        uri, is_customer = self.uri(place), "subscriptionNo" not in place
        name = "customerNo" if is_customer else "subscriptionNo"
        links = ({"subscriptions": "subscription"} if is_customer else {}) | {"recurringProducts": "recurring-product"}
        document = {"@id": uri, name: place[name]} | {link: f"{uri}/{segment}s" for link, segment in links.items()}
        operations = [{"rel": f"add-{each}", "method": "POST", "href": f"{uri}/{each}s"} for each in links.values()]
        if "more-operations" in self.variants:
            operations += [{"rel": "audit", "method": "QUERY", "href": uri}, {"rel": "", "method": "get", "href": uri}]
        document["operations"] = operations
        if is_customer and "bare-customer" in self.variants:
            del document["@id"], document["operations"]
        return dict(rules.parse_json(body.encode()) | document)

    def show_charge(self, place: Body, charge: Charge) -> Body:
        stored = rules.parse_json(charge.body.encode())
        if "nulls" in self.variants:
            stored = dict.fromkeys([*rules.CHARGE, "billedUntil"]) | stored
        uri = self.uri(place, "recurring-products", charge.id)
        return {"@id": uri, "recurringProductId": charge.id, **stored, "operations": None}

    def list(self, request: Request, uri: str, items: list[Body]) -> Response:
        navigation = {"@id": uri}
        if "newest-first" in self.variants:
            items.reverse()
        if "paging" in self.variants:
            start = int(request.query_params.get("offset", "0"))
            navigation["@id"] += f"?offset={start}" if start else ""
            if len(items) > start + 2:
                navigation["next"] = f"{uri}?offset={start + 2}"
            items = items[start : start + 2]
        return self.respond(200, {"items": items, "navigation": navigation})

    def respond(self, status: int, document: Body, location: str = "", subtype: str = "json") -> Response:
        if "more-properties" in self.variants:
            for each in [document, *document.get("items", []), document.get("navigation", {})]:
                each["x-peer"] = {"since": None, "tags": ["a"]}
        response = Response(rules.write_json(document), status, media_type=f"application/{subtype}")
        if location:
            response.headers["Location"] = (self.origin if "absolute-location" in self.variants else "") + location
        return response

    def problem(self, rejection: Rejection) -> Response:
        status, code = STATUS[rejection.code], rejection.code
        title = "Validation failed" if code == "validation" else code.replace("-", " ").capitalize()
        document: Body = {"type": f"billing/customer/problems/{code}", "title": title, "status": status}
        document |= {"detail": rejection.detail, "instance": f"urn:uuid:{uuid.uuid4()}", "problems": rejection.problems}
        document = {name: value for name, value in document.items() if value}
        if "pascal-problems" in self.variants:
            document = {name.title(): value for name, value in document.items()}
        response = self.respond(status, document, subtype="problem+json")
        response.headers.update(rejection.headers)
        return response


def level(customer: Customer, subscription: Subscription | None) -> dict[str, int | None]:
    """Return the parent of a charge: a customer, or one of its subscriptions."""
    return {"customer_key": customer.key, "subscription_key": subscription.key if subscription else None}


def charge_text(charge: Body) -> str:
    """Check the dates of a charge, and return its JSON text without cleared values."""
    if charge.get("startDate") and charge.get("endDate") and charge["endDate"] < charge["startDate"]:
        raise Rejection("unprocessable", problems=[{"endDate": "must not be before startDate"}])
    if charge.get("quantity") is not None:
        charge["quantity"] = Decimal(int(charge["quantity"]))  # 1.0 is an integer in JSON Schema
    return rules.write_json({name: value for name, value in charge.items() if value is not None})


def build(ledgers: dict[str, str], storage: Storage, variants: frozenset[str], origin: str) -> ASGIApp:
    """Return the application. `ledgers` maps a token to its ledger."""
    peer = Peer(ledgers, storage, variants, origin)
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    place_of, body_of = Depends(peer.place), Depends(peer.body)

    @app.post(CUSTOMER.rpartition("/")[0])
    def create_customer(place: Body = place_of, body: Body = body_of) -> Response:
        place["customerNo"] = number = body.pop("customerNo")
        try:
            with storage.transaction() as session:
                session.add(row := Customer(ledger=place["ownerNo"], number=number, body=rules.write_json(body)))
        except IntegrityError:
            raise Rejection("customer-already-exists") from None
        return peer.respond(201, peer.show(place, row.body), peer.uri(place))

    @app.get(CUSTOMER)
    @app.get(SUBSCRIPTION)
    def get_parent(place: Body = place_of) -> Response:
        with storage.transaction() as session:
            customer, subscription = peer.find(session, place)
            return peer.respond(200, peer.show(place, (subscription or customer).body))

    @app.get(CUSTOMER + "/subscriptions")
    def list_subscriptions(request: Request, place: Body = place_of) -> Response:
        with storage.transaction() as session:
            customer, _ = peer.find(session, place)
            query = select(Subscription).filter_by(customer_key=customer.key).order_by(Subscription.key)
            items = [peer.show(place | {"subscriptionNo": row.number}, row.body) for row in session.scalars(query)]
        return peer.list(request, peer.uri(place, "subscriptions"), items)

    @app.post(CUSTOMER + "/subscriptions")
    def create_subscription(place: Body = place_of, body: Body = body_of) -> Response:
        number = body.pop("subscriptionNo")
        try:
            with storage.transaction() as session:
                key = peer.find(session, place)[0].key
                session.add(row := Subscription(customer_key=key, number=number, body=rules.write_json(body)))
        except IntegrityError:
            raise Rejection("subscription-already-exists") from None
        place["subscriptionNo"] = number
        return peer.respond(201, peer.show(place, row.body), peer.uri(place))

    @app.delete(SUBSCRIPTION)
    def delete_subscription(place: Body = place_of) -> Response:
        with storage.transaction() as session:
            customer, subscription = peer.find(session, place)
            peer.check_deletion()
            session.execute(delete(Charge).filter_by(**level(customer, subscription)))
            session.delete(subscription)
        return Response(status_code=204)

    @app.get(CUSTOMER + "/recurring-products")
    @app.get(SUBSCRIPTION + "/recurring-products")
    def list_charges(request: Request, place: Body = place_of) -> Response:
        with storage.transaction() as session:
            query = select(Charge).filter_by(**level(*peer.find(session, place))).order_by(Charge.key)
            items = [peer.show_charge(place, charge) for charge in session.scalars(query)]
        return peer.list(request, peer.uri(place, "recurring-products"), items)

    @app.post(CUSTOMER + "/recurring-products")
    @app.post(SUBSCRIPTION + "/recurring-products")
    def create_charge(place: Body = place_of, body: Body = body_of) -> Response:
        if "defaults" in variants:
            body = {"quantity": Decimal(1)} | body
        identifier = secrets.token_hex(8) + ("å/?a=b&c #%41:+~'" if "odd-ids" in variants else "")
        with storage.transaction() as session:
            session.add(charge := Charge(**level(*peer.find(session, place)), id=identifier, body=charge_text(body)))
        document = peer.show_charge(place, charge)
        return peer.respond(201, document, document["@id"])

    @app.get(CUSTOMER + "/recurring-products/{recurringProductId}")
    @app.get(SUBSCRIPTION + "/recurring-products/{recurringProductId}")
    def get_charge(place: Body = place_of) -> Response:
        with storage.transaction() as session:
            return peer.respond(200, peer.show_charge(place, peer.find_charge(session, place)))

    @app.patch(CUSTOMER + "/recurring-products/{recurringProductId}")
    @app.patch(SUBSCRIPTION + "/recurring-products/{recurringProductId}")
    def update_charge(place: Body = place_of, body: Body = body_of) -> Response:
        with storage.transaction() as session:
            charge = peer.find_charge(session, place)
            charge.body = charge_text(rules.parse_json(charge.body.encode()) | body)
        return peer.respond(200, peer.show_charge(place, charge))

    @app.delete(CUSTOMER + "/recurring-products/{recurringProductId}")
    @app.delete(SUBSCRIPTION + "/recurring-products/{recurringProductId}")
    def delete_charge(place: Body = place_of) -> Response:
        with storage.transaction() as session:
            charge = peer.find_charge(session, place)
            peer.check_deletion()
            session.delete(charge)
        return Response(status_code=204)

    app.exception_handler(Rejection)(lambda _, rejection: peer.problem(rejection))

    @app.exception_handler(HTTPException)
    async def reject_route(request: Request, error: HTTPException) -> Response:
        if error.status_code != STATUS["method-not-allowed"]:
            return peer.problem(Rejection("not-found"))
        # Starlette puts only the methods of the first route with this path into Allow.
        routes: list[Any] = [route for route in app.routes if route.path_regex.match(request.scope["path"])]  # type: ignore[attr-defined]
        methods = {method for route in routes for method in route.methods}
        methods |= {"HEAD"} if "head" in variants and "GET" in methods else set()
        if "options" in variants and request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": ", ".join(sorted(methods | {"OPTIONS"}))})
        return peer.problem(Rejection("method-not-allowed", Allow=", ".join(sorted(methods))))

    app.exception_handler(Exception)(lambda *_: peer.problem(Rejection("internal-server-error")))

    return Front(app, variants)
