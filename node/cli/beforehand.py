"""What can be said of an input of `add` without adding it, and without a daemon: its CID, and whether it would do."""

import os

from node.cli.inputs import STDIN, Input, unreadable
from node.cli.outcome import Outcome, failed
from node.errors import DONE, FAILED, Usage
from node.quantities import escape_path


def cid_of_input(given: Input) -> Outcome:
    """The CID that the file's bytes have, alone."""
    from store.cid_text import cid_text
    from store.unixfs import import_file

    shown = escape_path(os.fsencode(given.path))
    if given.is_url:
        return failed(shown, Usage.exit_code, "--cid-only: reads files, fetches nothing")
    problem = given.problem or (None if given.path == STDIN else unreadable(given.path))
    if problem:
        return failed(shown, problem.exit_code, problem.reason)
    try:
        with open(0 if given.path == STDIN else given.path, "rb") as stream:
            imported = import_file(stream)
            for _ in imported:
                pass
    except OSError as error:
        return failed(shown, FAILED, (error.strerror or "unreadable").lower())
    row = {**failed(shown, DONE, "").row, "error": None}
    return Outcome({**row, "original": cid_text(imported.root), "size_bytes": imported.size_bytes}, DONE)


def foretold(given: Input) -> Outcome:
    """What `add` would do with it, as far as its first bytes tell."""
    from store.errors import ImageRejected
    from store.images.sniff import HEAD_BYTES, sniff

    shown = escape_path(os.fsencode(given.path))
    row = {**failed(shown, DONE, "").row, "error": None, "dry_run": True}
    if given.is_url or given.path == STDIN:
        return Outcome(row, DONE)
    problem = given.problem or unreadable(given.path)
    if problem:
        return failed(shown, problem.exit_code, problem.reason)
    try:
        with open(given.path, "rb") as stream:
            size_bytes = os.fstat(stream.fileno()).st_size
            sniff(stream.read(HEAD_BYTES))
    except OSError as error:
        return failed(shown, FAILED, (error.strerror or "unreadable").lower())
    except ImageRejected as error:
        return failed(shown, FAILED, str(error))
    return Outcome({**row, "size_bytes": size_bytes}, DONE)
