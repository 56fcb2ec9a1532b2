"""What requests ask for, read from scopes as strangers write them."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.gateway.answers import HttpError
from node.gateway.asked import CarAsked, Form, Scope, read_request, wanted_archive, wanted_form


def scope(path: bytes = b"/", query: bytes = b"", **headers: str) -> dict[str, Any]:
    fields = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"method": "GET", "raw_path": path, "query_string": query, "headers": fields}


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/ipfs/a%20b", "/ipfs/a b"),
        (b"/ipfs/%C3%BC", "/ipfs/ü"),
        (b"/ipfs/%FF", "/ipfs/\\xff"),
        (b"/ipfs/%2e%2e%2Fx", "/ipfs/../x"),
        (b"/ipfs/100%", "/ipfs/100%"),
        (b"/a?b", "/a"),
    ],
)
def test_paths(raw: bytes, path: str) -> None:
    assert read_request(scope(raw)).path == path


def test_the_first_value_of_a_field_counts() -> None:
    assert read_request(scope(query=b"format=raw&format=car&download")).query == {"format": "raw", "download": ""}


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_are_read(path: bytes, query: bytes) -> None:
    asked = read_request(scope(path, query))
    for look in (wanted_form, wanted_archive):
        with contextlib.suppress(HttpError):
            look(asked)


@pytest.mark.parametrize(
    ("query", "accept", "form"),
    [
        (b"", "*/*", Form.FILE),
        (b"format=raw", "*/*", Form.RAW),
        (b"format=car", "application/vnd.ipld.raw", Form.CAR),
        (b"", "application/vnd.ipld.raw", Form.RAW),
        (b"", "application/vnd.ipld.car; version=1; order=dfs; dups=y", Form.CAR),
    ],
)
def test_forms(query: bytes, accept: str, form: Form) -> None:
    assert wanted_form(read_request(scope(query=query, accept=accept))) is form


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (b"", CarAsked(Scope.ALL, 0, None)),
        (b"dag-scope=block", CarAsked(Scope.BLOCK, 0, None)),
        (b"entity-bytes=5:9", CarAsked(Scope.ENTITY, 5, 5)),
        (b"dag-scope=entity&entity-bytes=7:*", CarAsked(Scope.ENTITY, 7, None)),
    ],
)
def test_archives(query: bytes, wanted: CarAsked) -> None:
    assert wanted_archive(read_request(scope(query=query))) == wanted


def test_another_version_of_archives_is_refused() -> None:
    with pytest.raises(HttpError, match="expected 1"):
        wanted_archive(read_request(scope(accept="application/vnd.ipld.car; version=2")))
