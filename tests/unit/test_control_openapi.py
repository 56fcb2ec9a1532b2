"""`/v1/openapi.json` is served and true: every operation is called, and every answer fits what the document says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.control.client import Control
from node.errors import UserError
from tests.fake_service import serving
from tests.json_schema import violations

ROOT = "bafybeidrmy6vl7vxlcwbxbs4osqoj464a6zmdqzt4fdumgtbvif3bkm2ga"

CALLS: list[tuple[str, str, str, Any]] = [
    ("status", "GET", "/v1/status", None),
    ("peers", "GET", "/v1/peers", None),
    ("members", "GET", "/v1/members", None),
    ("doctor", "POST", "/v1/doctor", None),
    ("audit", "POST", "/v1/audit", None),
    ("scrub", "POST", "/v1/scrub", None),
    ("verify", "POST", "/v1/verify?flow=default&deep=true", None),
    ("add", "POST", "/v1/add", {"path": "{image}", "options": {"replicas": {"min": 1, "max": 2}}}),
    ("upload", "POST", "/v1/upload?name=up.png&replicas=1:2", b"IMAGE2"),
    ("images", "GET", "/v1/images?limit=1", None),
    ("show", "GET", f"/v1/images/{ROOT}", None),
    ("resolve", "GET", f"/v1/resolve/{ROOT}", None),
    ("content", "GET", f"/v1/content/{ROOT}/original", None),
    ("block", "GET", f"/v1/block/{ROOT}?fetch=true", None),
    ("similar", "POST", "/v1/similar", {"ref": ROOT}),
    ("export", "POST", "/v1/export", {"refs": [ROOT]}),
    ("import", "POST", "/v1/import?flow=inherited", b"CAR of " + ROOT.encode()),
    ("open_edit", "POST", "/v1/edits", {"ref": ROOT}),
    ("change_edit", "POST", "/v1/edits/00c0ffee00c0ffee", {"operations": ["crop 0,0,9,9", "flip h"]}),
    ("edited", "GET", "/v1/edits/00c0ffee00c0ffee/picture", None),
    ("edit_frame", "GET", "/v1/edits/00c0ffee00c0ffee/frames/0", None),
    ("save_edit", "POST", "/v1/edits/00c0ffee00c0ffee/save", {"name": "new.png"}),
    ("close_edit", "DELETE", "/v1/edits/00c0ffee00c0ffee", None),
    ("remove", "DELETE", f"/v1/images/{ROOT}", None),
    ("trash", "GET", "/v1/trash", None),
    ("undelete", "POST", f"/v1/trash/{ROOT}/undelete", None),
    ("pin_add", "POST", "/v1/pins", {"cid": "bafyx", "sources": ["/ip4/127.0.0.1/tcp/1"]}),
    ("pins", "GET", "/v1/pins", None),
    ("pin_remove", "DELETE", f"/v1/pins/{ROOT}", None),
    ("invite", "POST", "/v1/invites", {"roles": ["keeper"], "uses": 2, "expires_s": 60}),
    ("flows", "GET", "/v1/flows", None),
    ("set_flow", "POST", "/v1/flows", {"name": "feed"}),
    ("remove_flow", "DELETE", "/v1/flows/old", None),
    ("charter", "GET", "/v1/charter", None),
    ("set_charter", "POST", "/v1/charter", {"replicas": {"min": 1, "max": 2}, "backends": []}),
    ("add_steward", "POST", "/v1/stewards", {"key": "12D3KooWx"}),
    ("remove_steward", "POST", "/v1/stewards/remove", {"key": "12D3KooWx", "recovery_key": "00ff"}),
    ("expel", "POST", "/v1/expulsions", {"peer": "bob", "force": True}),
    ("events", "GET", "/v1/events", None),
    ("jobs", "GET", "/v1/jobs?state=done", None),
    ("job_events", "GET", "/v1/jobs/events?after=0", None),
    ("crawl", "POST", "/v1/jobs/crawl", {"urls": ["https://example.org/"], "depth": 1, "hosts": ["example.net"]}),
    ("extern", "POST", "/v1/jobs/extern", {"url": "https://example.org/a.png", "options": {"flow": "feed"}}),
    ("file_job", "POST", "/v1/jobs/file", {"path": "/a.png"}),
    ("open_upload", "POST", "/v1/uploads", {"size_bytes": 6, "media_type": "image/png"}),
    ("expected_upload", "GET", "/v1/uploads/up0?token=secret", None),
    ("put_upload", "PUT", "/v1/uploads/up0/bytes?token=secret", b"IMAGE3"),
    ("complete_upload", "POST", "/v1/uploads/up0/complete?wait_s=1", None),
    ("pages", "GET", f"/v1/pages/{ROOT}", None),
    ("job", "GET", "/v1/jobs/1?wait_s=0.1", None),
    ("pause_job", "POST", "/v1/jobs/3/pause", None),
    ("resume_job", "POST", "/v1/jobs/3/resume", None),
    ("cancel_job", "POST", "/v1/jobs/3/cancel", None),
    ("retry_job", "POST", "/v1/jobs/3/retry", None),
    ("config", "GET", "/v1/config", None),
    ("metrics", "GET", "/v1/metrics", None),
    ("maintenance", "GET", "/v1/maintenance", None),
    ("set_maintenance", "POST", "/v1/maintenance", {"for_s": 7200.0}),
    ("set_zone", "POST", "/v1/zone", {"zone": "hamburg"}),
    ("cancel_drain", "DELETE", "/v1/drain", None),
    ("drain_plan", "GET", "/v1/drain/plan?to_min=true", None),
    ("start_drain", "POST", "/v1/drain", {"to_min": True}),
    ("drain", "GET", "/v1/drain", None),
    ("migration_plan", "GET", "/v1/flows/feed/migration/plan?limit=1", None),
    ("migrate", "POST", "/v1/flows/feed/migration", None),
    ("migration", "GET", "/v1/flows/feed/migration", None),
    ("repair", "POST", "/v1/repair", {"now": True}),
    ("repair_plan", "GET", "/v1/repair/plan?limit=1", None),
    ("rebalance_plan", "GET", "/v1/rebalance/plan", None),
]
"""In an order in which each finds what it needs."""


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    (tmp_path / "a.png").write_bytes(b"IMAGE1")
    with serving(tmp_path), Control(tmp_path) as control:
        yield control


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {op["operationId"]: op for path in document["paths"].values() for op in path.values()}


def test_every_answer_fits_the_document(control: Control, tmp_path: Path) -> None:
    document = control.call("GET", "/v1/openapi.json")
    known = operations(document)
    components = document["components"]["schemas"]
    assert {name for name, *_ in CALLS} == set(known)
    for name, method, path, body in CALLS:
        if isinstance(body, dict) and "path" in body:
            body = {**body, "path": str(tmp_path / "a.png")}
        upload = [body] if isinstance(body, bytes) else None
        answer = control.open(method, path, None if upload else body, upload=upload)
        form = answer.headers["content-type"].partition(";")[0]
        described = known[name]["responses"]["200"]["content"]
        if form == "text/event-stream":
            line = next(line for line in answer.lines() if line.startswith(b"data: "))
            found = violations(json.loads(line[6:]), described[form]["schema"], components)
            control.close()
        elif form == "application/json":
            found = violations(json.loads(answer.read()), described[form]["schema"], components)
        elif form == "text/plain":
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            found = violations(answer.read().decode(), described[form]["schema"], components)
        else:
            assert form in described or "*/*" in described
            assert answer.read() in (b"IMAGE1", b"crop 0,0,9,9 then flip h", b"CAR of " + ROOT.encode() + b"\n")
            found = []
        assert found == [], name


def test_a_listing_can_be_streamed_across_pages(control: Control) -> None:
    document = control.call("GET", "/v1/openapi.json")
    for number in range(5):
        control.open("POST", f"/v1/upload?name={number}", upload=[b"IMAGE%d" % number]).read()
    rows = [
        json.loads(line) for line in control.open("GET", "/v1/images?limit=2", accept="application/x-ndjson").lines()
    ]
    assert [row["name"] for row in rows] == list("01234")
    assert violations(rows[0], {"$ref": "/ImageRow"}, document["components"]["schemas"]) == []
    page = control.call("GET", "/v1/images?limit=2")
    assert [row["name"] for row in page["rows"]] == ["0", "1"]
    assert [row["name"] for row in control.call("GET", f"/v1/images?limit=2&after={page['next']}")["rows"]] == [
        "2",
        "3",
    ]


def test_errors_fit_the_document_too(control: Control) -> None:
    document = control.call("GET", "/v1/openapi.json")
    schema = operations(document)["show"]["responses"]["default"]["content"]["application/json"]["schema"]
    seen: dict[str, Any] = {}

    def note(raw: Any) -> UserError:
        seen.update(json.loads(raw.read()))
        return UserError("noted")

    import node.control.client as client

    original, client.error_from = client.error_from, note  # type: ignore[assignment]
    try:
        with pytest.raises(UserError, match="noted"):
            control.call("GET", "/v1/images/nothing")
    finally:
        client.error_from = original
    assert violations(seen, schema, document["components"]["schemas"]) == []
    assert seen == {
        "error": "nothing: no such image",
        "hint": None,
        "exit_code": 3,
        "candidates": [],
        "partial": None,
    }
