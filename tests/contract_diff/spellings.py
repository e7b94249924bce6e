"""Our contract written in other ways: Swagger 2.0, OpenAPI 3.0, without references. Each means the same API."""

from __future__ import annotations

import copy
from typing import Any
from urllib.parse import urlsplit

from tests.support import ROOT, from_yaml

OURS: Any = from_yaml((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
VERBS = ("get", "post", "put", "patch", "delete")


def operations(document: Any) -> list[Any]:
    return [item[verb] for item in document["paths"].values() for verb in VERBS if verb in item]


def inside(node: Any) -> list[Any]:
    """Every mapping in a document, from the leaves up."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    found = [mapping for child in children for mapping in inside(child)]
    return [*found, node] if isinstance(node, dict) else found


def inlined(document: Any, node: Any) -> Any:
    """A node without references."""
    if isinstance(node, list):
        return [inlined(document, child) for child in node]
    if not isinstance(node, dict):
        return node
    beside = {key: inlined(document, child) for key, child in node.items() if key != "$ref"}
    if not isinstance(node.get("$ref"), str):
        return beside
    target = document
    for step in node["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return {**inlined(document, target), **beside}


def without_null_types(document: Any, keyword: str) -> Any:
    """`anyOf: [X, null]` written as X with a keyword, as versions before 3.1 do."""
    for node in inside(document):
        if {"type": "null"} in node.get("anyOf", []):
            node["allOf"] = [branch for branch in node.pop("anyOf") if branch != {"type": "null"}]
            node[keyword] = True
    return document


def openapi_30() -> Any:
    document = without_null_types(copy.deepcopy(OURS), "nullable")
    document["openapi"] = "3.0.3"
    del document["components"]["securitySchemes"]["clientCertificate"]  # 3.0 has no word for it
    for operation in operations(document):
        operation["security"] = [{"bearerToken": []}]
    return document


def swagger_20() -> Any:
    """Host and base path, `definitions`, body parameters; a token is an API key in the header Authorization."""
    ours = without_null_types(copy.deepcopy(OURS), "x-nullable")
    server = urlsplit(ours["servers"][0]["url"])
    document: Any = {
        "swagger": "2.0",
        "info": {"title": "Billing", "version": "1"},
        "host": server.hostname,
        "basePath": server.path.replace("{subdomain}", "customer"),
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json", "application/problem+json"],
        "securityDefinitions": {"Bearer": {"type": "apiKey", "name": "Authorization", "in": "header"}},
        "security": [{"Bearer": []}],
        "definitions": ours["components"]["schemas"],
        "paths": {},
    }
    for path, item in ours["paths"].items():
        document["paths"][path] = {verb: _swagger_operation(ours, item, item[verb]) for verb in VERBS if verb in item}
    for node in inside(document):
        if str(node.get("$ref", "")).startswith("#/components/schemas/"):
            node["$ref"] = node["$ref"].replace("#/components/schemas/", "#/definitions/")
        node.pop("not", None)  # Swagger 2.0 has no word for it
    return document


def _swagger_operation(ours: Any, item: Any, operation: Any) -> Any:
    components = ours["components"]
    parameters = []
    for reference in item["parameters"]:
        parameter = components["parameters"][reference["$ref"].rsplit("/", 1)[1]]
        schema = inlined(ours, parameter["schema"])
        parameters.append({"name": parameter["name"], "in": "path", "required": True, **schema})
    if "requestBody" in operation:
        body = components["requestBodies"][operation["requestBody"]["$ref"].rsplit("/", 1)[1]]
        schema = body["content"]["application/json"]["schema"]
        parameters.append({"name": "body", "in": "body", "required": True, "schema": copy.deepcopy(schema)})
    responses = {}
    for status, reference in operation["responses"].items():
        response = components["responses"][reference["$ref"].rsplit("/", 1)[1]]
        responses[status] = {"description": response["description"]}
        for name, media in response.get("content", {}).items():
            if name != "text/html":  # Swagger 2.0 has one schema for a response
                responses[status]["schema"] = copy.deepcopy(media["schema"])
    return {"operationId": operation["operationId"], "parameters": parameters, "responses": responses}
