"""The OpenAPI document: valid, and true to what goes over the wire."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from tests.sites import Site, drawn, report
from tests.web.wire import Reply, Wire, ask, call_bytes, request_bytes
from tocsin import __version__
from tocsin.client.calls import decoy_call, track_call, withdraw_call
from tocsin.formats.wire import REQUEST_BYTES
from tocsin.web.problems import Problem


@pytest.fixture
def document(port: int) -> Any:
    reply = ask(port, request_bytes("GET", "/openapi.json"))
    assert reply.headers["content-type"] == "application/json"
    return json.loads(reply.body)


def schema(document: Any, name: str) -> Draft202012Validator:
    found = document["components"]["schemas"][name]
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def test_it_is_a_valid_document_of_this_version(document: Any) -> None:
    validate(document, cls=OpenAPIV31SpecValidator)
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == __version__
    assert document["servers"] == [{"url": "http://127.0.0.1:8787"}]


def test_it_names_every_route_and_method(document: Any) -> None:
    assert {path: set(item) - {"parameters"} for path, item in document["paths"].items()} == {
        "/v1/reports": {"post"},
        "/v1/head": {"get", "head"},
        "/v1/{region}/gaen/index.txt": {"get", "head"},
        "/v1/{region}/{profile}/{hash}": {"get", "head"},
        "/trust.json": {"get", "head"},
        "/openapi.json": {"get", "head"},
    }


def test_real_calls_and_answers_are_as_the_schemas_say(site: Site, port: int, document: Any) -> None:
    now = site.clock.now()
    for body in [
        report("ada", site.cards[0], 14, now).body,
        report("ada", site.cards[0], 14, now).body,
        report("bob", None, 1, now).body,
        track_call(drawn("ada w")),
        withdraw_call(drawn("ada w")),
        decoy_call(),
        b'{"act":"dance"}'.ljust(REQUEST_BYTES),
    ]:
        schema(document, "Call").validate(json.loads(body))
        reply = ask(port, call_bytes(body))
        schema(document, "Answer").validate(json.loads(reply.body))
        assert_documented(document["paths"]["/v1/reports"]["post"], reply)


def test_every_answer_of_the_wire_is_in_the_document(site: Site, port: int, document: Any) -> None:
    good = {"Content-Type": "application/json", "Content-Length": "4096"}
    for headers in [
        {},
        good | {"Content-Encoding": "gzip"},
        {"Content-Type": "application/json"},
        good | {"Content-Length": "1"},
        good | {"Content-Length": "5000"},
    ]:
        reply = ask(port, request_bytes("POST", "/v1/reports", headers))
        assert_documented(document["paths"]["/v1/reports"]["post"], reply)
    site.deployment.publisher().publish()
    for path in ["/v1/head", "/trust.json", "/openapi.json"]:
        assert_documented(document["paths"][path]["get"], ask(port, request_bytes("GET", path)))
        assert_documented(document["paths"][path]["head"], ask(port, request_bytes("HEAD", path)))
        assert_documented(document["paths"][path]["get"], ask(port, request_bytes("PUT", path)))
    missing = ask(port, request_bytes("GET", f"/v1/utopia/keyset/{'0' * 64}"))
    assert_documented(document["paths"]["/v1/{region}/{profile}/{hash}"]["get"], missing)


def test_malformed_http_is_answered_as_the_document_says(port: int, document: Any) -> None:
    with Wire(port) as wire:
        wire.send(b"POST /v1/reports HTTP/1.1\r\nbad header\r\n\r\n")
        assert_documented(document["paths"]["/v1/reports"]["post"], wire.reply())


def assert_documented(operation: Any, reply: Reply) -> None:
    """Status, content type and headers of `reply` are those of the operation, and a problem is one of its examples."""
    response = operation["responses"][str(reply.status)]
    headers = reply.headers
    for name, header in response["headers"].items():
        value: object = headers[name.lower()] if name != "Allow" or reply.status == 405 else ""
        if header["schema"]["type"] == "integer":
            value = int(str(value))
        Draft202012Validator(header["schema"]).validate(value)
    if reply.body:
        content = response["content"][headers["content-type"]]
        if reply.status >= 400:
            assert json.loads(reply.body) in [example["value"] for example in content["examples"].values()]


def test_examples_are_as_their_schemas_say(document: Any) -> None:
    call = document["paths"]["/v1/reports"]["post"]
    examples = call["requestBody"]["content"]["application/json"]["examples"]
    assert {"report", "track", "withdraw", "decoy"} <= examples.keys()
    for name, example in examples.items():
        schema(document, "Call").validate(example["value"])
        assert example["value"]["act"] == name
    schema(document, "Answer").validate(call["responses"]["200"]["content"]["application/json"]["example"])
    for problem in Problem:
        schema(document, "Problem").validate(json.loads(problem.body))
