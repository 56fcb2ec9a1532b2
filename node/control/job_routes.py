"""The part of the control API's table that jobs are seen and moved by."""

from collections.abc import Awaitable, Callable
from typing import Any

from node.control import queries
from node.control.endpoint import Asked, Endpoint, Form
from node.errors import Usage
from node.ingest.crawl.request import CrawlRequest
from node.job_rows import JobEvent, JobRow, PageShown, UploadPut, UploadRow
from node.job_service import Act, AddUrl, FileJob, JobQuery, NewUpload
from node.service import Service


def _id(asked: Asked) -> int:
    text = asked.path["id"]
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise Usage(f"job {text[:32]!r}: expected a number")
    return int(text)


def _acting(act: Act) -> Callable[[Service, Asked], Awaitable[Any]]:
    return lambda service, asked: service.job_act(_id(asked), act)


def _act(act: Act, summary: str) -> Endpoint:
    return Endpoint(
        method="POST",
        path=f"/v1/jobs/{{id}}/{act}",
        name=f"{act}_job",
        summary=summary,
        call=_acting(act),
        answer=JobRow,
    )


JOB_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/jobs",
        name="jobs",
        summary="Jobs, the oldest first",
        call=lambda service, asked: service.jobs(asked.query),
        answer=JobRow,
        query=JobQuery,
        form=Form.LISTING,
    ),
    Endpoint(
        method="GET",
        path="/v1/jobs/events",
        name="job_events",
        summary="What happens to jobs, as server-sent events",
        call=lambda service, asked: service.job_events(asked.query.after),
        answer=JobEvent,
        query=queries.Events,
        form=Form.EVENTS,
    ),
    Endpoint(
        method="POST",
        path="/v1/jobs/extern",
        name="extern",
        summary="Queue a job that takes in what a URL names",
        call=lambda service, asked: service.extern(asked.body),
        answer=JobRow,
        body=AddUrl,
    ),
    Endpoint(
        method="POST",
        path="/v1/jobs/file",
        name="file_job",
        summary="Queue a job that takes in a file of this machine",
        call=lambda service, asked: service.file_job(asked.body),
        answer=JobRow,
        body=FileJob,
    ),
    Endpoint(
        method="POST",
        path="/v1/jobs/crawl",
        name="crawl",
        summary="Queue a job that takes in the images of web pages",
        call=lambda service, asked: service.crawl(asked.body),
        answer=JobRow,
        body=CrawlRequest,
    ),
    Endpoint(
        method="GET",
        path="/v1/pages/{ref}",
        name="pages",
        summary="The pages that crawls of this peer saw an image on",
        call=lambda service, asked: service.pages(asked.ref, asked.query.flow),
        answer=PageShown,
        query=queries.InFlow,
        form=Form.LISTING,
    ),
    Endpoint(
        method="GET",
        path="/v1/jobs/{id}",
        name="job",
        summary="One job, once it has ended or `wait_s` are over",
        call=lambda service, asked: service.job(_id(asked), asked.query.wait_s),
        answer=JobRow,
        query=queries.JobWait,
    ),
    Endpoint(
        method="POST",
        path="/v1/uploads",
        name="open_upload",
        summary="Ask for a place to upload an image to: presigned, or here and once",
        call=lambda service, asked: service.open_upload(asked.body),
        answer=UploadRow,
        body=NewUpload,
    ),
    Endpoint(
        method="GET",
        path="/v1/uploads/{id}",
        name="expected_upload",
        summary="Whether an upload is expected here, and of what size",
        call=lambda service, asked: service.expected_upload(asked.path["id"], asked.query.token),
        answer=UploadPut,
        query=queries.UploadToken,
    ),
    Endpoint(
        method="PUT",
        path="/v1/uploads/{id}/bytes",
        name="put_upload",
        summary="The bytes of an upload",
        call=lambda service, asked: service.put_upload(asked.path["id"], asked.query.token, asked.upload),
        answer=UploadPut,
        query=queries.UploadToken,
        upload=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/uploads/{id}/complete",
        name="complete_upload",
        summary="Have a job take in what was uploaded",
        call=lambda service, asked: service.complete_upload(asked.path["id"], asked.query.wait_s),
        answer=JobRow,
        query=queries.JobWait,
    ),
    _act("pause", "Have a job wait"),
    _act("resume", "Have a paused job go on"),
    _act("cancel", "Give a job up, or put a failed one away"),
    _act("retry", "Have a failed or cancelled job tried again, or a waiting one now"),
)
