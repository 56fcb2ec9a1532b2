"""Which kinds of jobs this daemon does: each source's handler, a line each; `node.jobs` says what a handler is."""

from functools import partial

from node.ingest.extern import Extern
from node.ingest.local_file import LocalFile
from node.ingest.strangers import Strangers
from node.ingest.taking import Taking
from node.ingest.uploaded import Upload
from node.operations.upload_desk import staging_places
from node.parts import Parts


def register_sources(parts: Parts, taking: Taking) -> None:
    """Have the queue know them all, before it runs."""
    jobs, config = parts.jobs, parts.settings.config
    strangers = Strangers(allowed=config.fetch_allowed)
    jobs.register(LocalFile(taking))
    jobs.register(Upload(jobs.workplace, taking, partial(staging_places, parts)))
    jobs.register(Extern(strangers, jobs.workplace, taking))
