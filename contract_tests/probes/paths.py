"""Probes of paths: a route and a number have one spelling, apart from percent-encoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

from ..api import CHARGE_ID, Api, charge_path, charges_path, customer_path, subscription_path
from ..coverage import COVERAGE
from ..exchange import CONTRACT, Exchange, link_of
from ..refusals import missing_statuses
from ..routes import plain
from ..scene import Scene
from ..schemas import parameter_schema, takes_parameter
from ..states import few
from ._registry import probe

NOTHING = "a_refused_request_does_nothing"
# Query parameters by which many APIs shorten, filter or sort a list.
OF_LISTS = (
    "limit=1", "size=1", "pageSize=1", "top=1", "count=1", "fields=x", "sort=x", "filter=x", "q=x", "search=x",
)  # fmt: skip
VALIDATION = CONTRACT.problem_types["validation"].status


def near(number: str) -> Iterator[str]:
    """Yield numbers that are other texts than a number, but that some servers take for it."""
    yield from (
        number + each
        for each in (" ", "\t", "\n", "\x00", ".", ",", ";", ";v=1", "/", "?", "#", "*", "%", "~", "+", "'")
    )
    yield from (
        each + number for each in (" ", "\t", "\n", "\x00", ".", "0", "+", "-", "/", "*", "%", "'", '"', "\ufeff")
    )
    yield from (
        number + each for each in (".json", ".0", "0", "\u200b", "\xa0", "\u0301", "&x=1", "?x", "%20", "%00", "-", "_")
    )
    yield from (f'"{number}"', f"'{number}'", f"({number})", f"{{{number}}}", f"{number},{number}", number * 2)
    yield from (number[:-1], number[1:], number[:-1] + "*", number[:-1] + "%", number[:-1] + "_", number[:-1] + "?")
    yield from (number.swapcase(), number.upper(), number.lower(), number.title(), number[::-1])
    yield from (f"{number}/../{number}", f"./{number}", f"../{number}", f"{number}/.", f"%2e/{number}")
    yield "".join(f"%{ord(each):02x}" for each in number)  # as a text; the path has it percent-encoded once more
    if number.isascii() and number.isdigit():
        yield from (hex(int(number)), f"{int(number):,}", "".join(chr(ord(each) + 0xFEE0) for each in number))
        yield from (str(int(number) + 2**32), str(int(number) + 2**64), f"{number}e0")


def _others(kind: str, number: str) -> list[str]:
    """Return the texts near a number that name another resource, or are not valid."""
    schema = parameter_schema(kind)
    found = [each for each in dict.fromkeys(near(number)) if each not in {number, "", ".", ".."}]
    if schema.get("type") != "string":  # texts such as `07` and `7` may be one integer
        found = [each for each in found if not each.strip().lstrip("+0").partition(".")[0].startswith(number)]
    if schema.get("format") == "uuid":  # RFC 9562, section 4: a UUID is not case sensitive
        found = [each for each in found if plain(each) != plain(number)]
    return found


@probe("input accepted")
def a_number_near_another_is_another(api: Api) -> None:
    """Every operation looks a number or id up exactly as it is: no text near it finds the resource."""
    scene = Scene(api)
    letters = api.number()[:9] + "aB"
    named = Scene(api, letters) if not api.real else scene
    for held in (scene, named):
        asks = [ask for ask in held.asks() if not api.real or ask.operation.method == "GET"]
        places = Counter(ask.kind_at(index) for ask in asks for index in range(len(ask.numbers)))
        turns: Counter[str] = Counter()
        for ask in asks:
            for index in range(len(ask.numbers)):
                kind = ask.kind_at(index)
                # On a real endpoint, about two operations try each text.
                step = max(1, places[kind] // 2) if api.real else 1
                turns[kind] += 1
                for other in _others(kind, ask.numbers[index])[turns[kind] % step :: step]:
                    numbers = (*ask.numbers[:index], other, *ask.numbers[index + 1 :])
                    exchange = replace(ask, numbers=numbers).send(api)
                    if takes_parameter(kind, other):
                        api.missing(exchange, kind)
                    else:
                        api.refused(exchange, "validation", ask.parameters[index])
        held.is_untouched(NOTHING)


@probe("input accepted")
def a_wrong_percent_sign_names_nothing(api: Api) -> None:
    """A percent sign without two digits, and bytes that are not UTF-8, find no resource in any operation."""
    scene = Scene(api)
    for ask in scene.asks():
        if api.real and ask.operation.method != "GET":
            continue
        for index, number in enumerate(ask.numbers):
            own = quote(number, safe="")
            wrong = ("%", "%4", "%zz", f"{own}%", f"{own}%4", f"%{own}", f"{own}%FF")
            for raw in few(api, (*wrong, "%C3", "%ED%A0%80", "%C0%AF"), 4):
                exchange = replace(ask, raw={index: raw}).send(api)
                api.expect(exchange, (VALIDATION, *missing_statuses()))
    scene.is_untouched(NOTHING)


@probe("input accepted")
def percent_encoding_does_not_change_a_number(api: Api) -> None:
    """Percent-encoded letters and digits are the same letters and digits (RFC 3986, section 6.2.2.2)."""
    scene = Scene(api)
    for ask in scene.asks():
        if ask.operation.method != "GET":
            continue
        expected = api.succeeds(ask.send(api)).object
        for form in ("%{:02X}", "%{:02x}"):
            raw = {index: "".join(map(form.format, number.encode())) for index, number in enumerate(ask.numbers)}
            exchange = api.succeeds(replace(ask, raw=raw).send(api))
            api.same("the_same_resource", exchange.object, expected, exchange)


def _wrong_paths(path: str, base: str) -> Iterator[str]:
    """Yield paths near a path that are no path of the contract, also after RFC 3986 normalisation."""
    below = path.removeprefix(base)
    yield from (
        path + "/",
        path + "//",
        "/" + path,
        path + "/x",
        path + "%20",
        path + "%2F",
        path + "/%20",
        path + "%00x/",
    )
    yield from (base.upper() + below, base + below.replace("/", "//", 2), base + "/x" + below, base + below[1:])
    yield from (base + "x" + below, base[:-1] + below, base[1:] + below if not base.startswith("//") else path)
    head, _, version = base.rpartition("/")
    yield from (
        f"{head}/{other}{below}"
        for other in ("v0", "v2", "v11", "1", version.upper(), f"{version}.0", f"{version} ".strip() + "%20")
    )
    yield from (head + below, below, f"/api{path}", f"{head}{head}/{version}{below}")
    for place in CONTRACT.places.values():
        before, found, after = below.partition(f"/{place.segment}")
        if found and (not after or after.startswith("/")):
            yield from (base + before + wrong + after for wrong in _near_segments(place.segment))


def _near_segments(segment: str) -> tuple[str, ...]:
    """Return texts that are not the segment `/segment`, but near it."""
    right = f"/{segment}"
    return (
        right.upper(), right.title(), right[:-1], right + "s", right + "%20", right + ";v=1", right + ".json",
        right + "%2F", right.replace("-", "_"), right.replace("-", ""), right.replace("-", "%20"), right + ",",
        right + "~", "/" + right, right + "/", "/." + right[1:], right + "%00", "/%20" + right[1:], right + "%23",
    )  # fmt: skip


@probe("input accepted")
def every_route_is_exact(api: Api) -> None:
    """No path near a path of the contract reads, changes or creates anything, with any method."""
    scene = Scene(api)
    for ask in scene.asks():
        if api.real and ask.operation.method != "GET":
            continue
        path = ask.path(api)
        for wrong in few(api, list(dict.fromkeys(_wrong_paths(path, api.base_path))), 16):
            if not wrong.startswith("/") or wrong == path:
                continue
            if CONTRACT.match(wrong) is None:
                exchange = api.send(ask.operation.method, raw_path=wrong, body=ask.body)
                api.expect(exchange, (404, VALIDATION))
    scene.is_untouched(NOTHING)


@probe("input accepted")
def an_encoded_slash_is_no_border(api: Api) -> None:
    """`%2F` between two segments does not separate them."""
    scene = Scene(api)
    for ask in scene.asks():
        if api.real and ask.operation.method != "GET":
            continue
        head, *parts = ask.path(api).removeprefix(api.base_path + "/").split("/")
        for index in range(1, len(parts) + 1):
            whole = [head, *parts]
            joined = [*whole[: index - 1], whole[index - 1] + "%2F" + whole[index], *whole[index + 1 :]]
            exchange = api.send(ask.operation.method, raw_path="/".join([api.base_path, *joined]), body=ask.body)
            api.same("a_number_is_one_segment", exchange.status < 300, False, exchange)
    scene.is_untouched(NOTHING)


@probe("input accepted")
def dot_segments_lead_nowhere_else(api: Api) -> None:
    """A path with dot segments is the path without them, or no path (RFC 3986, section 6.2.2.3)."""
    scene = Scene(api)
    route = {"GET": customer_path(scene.customer)}
    expected = api.succeeds(api.get(*route["GET"])).object
    path = api.path(*route["GET"])
    head, _, last = path.rpartition("/")
    for dots in ("/./", "/x/../", "/%2e/", "/x/%2e%2e/", "/x/.%2E/"):
        exchange = api.send("GET", raw_path=f"{head}{dots}{last}", judged=False)
        _same_or_nothing(api, exchange, expected)
    for up in ("..", "%2e%2e", "..%2F..", "%2e%2e%2f"):
        for segments in (charges_path(scene.customer), subscription_path(scene.customer, scene.subscription)):
            exchange = api.send("GET", raw_path=f"{api.path(*segments)}/{up}/../../../../../etc/passwd", judged=False)
            _same_or_nothing(api, exchange, expected)


def _same_or_nothing(api: Api, exchange: Exchange, expected: dict[str, object]) -> None:
    if exchange.status < 300:
        api.same("the_same_resource", exchange.object, expected, exchange)
    elif exchange.status >= 500 and exchange.status not in {501, 503}:
        api.broke("status", f"a path with dot segments is answered {exchange.status}", exchange)


@probe("input accepted")
def a_query_means_nothing(api: Api) -> None:
    """A query parameter that the contract does not have changes no read and no write, or is refused."""
    scene = Scene(api)
    queries = ("x=1", "", "x", "&&", "=", "x=1&x=2", "%00=%FF", "x[]=1", "x=%", "?", "_=1", "x=../..", "a" * 500)
    for ask in scene.asks():
        if ask.operation.takes_query or ask.operation.method != "GET":
            continue
        expected = api.succeeds(ask.send(api)).object
        for query in (*queries, *OF_LISTS):
            exchange = api.send("GET", raw_path=f"{ask.path(api)}?{query}")
            if query in OF_LISTS and exchange.succeeded and link_of(exchange, "next"):
                continue  # a server with pages may use this parameter in its own links
            if exchange.succeeded:
                api.same("a_query_means_nothing", exchange.object, expected, exchange)
            else:
                COVERAGE.observe("a query parameter that the contract does not have is refused", exchange)
                api.refused(exchange, "validation")
    nothing = charge_path(scene.parents[0], {CHARGE_ID: scene.ids[1]})  # the id of another parent
    for name in ("id", CHARGE_ID, CONTRACT.place("customer").parameter, CONTRACT.place("charge").parameter):
        exchange = api.send("GET", raw_path=f"{api.path(*nothing)}?{name}={quote(scene.ids[0], safe='')}")
        if exchange.code != "validation":
            api.missing(exchange, "charge")
