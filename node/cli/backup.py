"""`backup`: what makes this peer this peer, in one archive."""

import os
import stat
import sys

import click

from node.cli.get import STDOUT, output_file
from node.cli.listing import rows_of
from node.cli.output import emit, say
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.errors import DaemonNotRunning, Usage
from node.quantities import size_text


@click.command(cls=Verb)
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to write it; - for standard output.")
@json_option
@pass_session
def command(session: Session, output: str, as_json: bool) -> None:
    """Write identity, steward's key, settings and records to a tar archive, whether the daemon runs or not.

    Whoever reads it is this peer: encrypt it. The images are not in it, their backup is the other peers. On a new
    machine `pinakothek init --from-backup FILE` brings the peer back.
    """
    from node.backup import write_backup

    if output == STDOUT and sys.stdout.isatty():
        raise Usage("an archive would garble the terminal", hint="name a file with -o, or pipe it on")
    if output == STDOUT and as_json:
        raise Usage("--json and an archive on standard output do not go together")
    contacts = _contacts(session)
    if output == STDOUT:
        write_backup(session.data_dir, contacts, sys.stdout.buffer)
        return
    with output_file(output) as file:
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        if regular:
            os.fchmod(file.fileno(), 0o600)
        records_bytes = write_backup(session.data_dir, contacts, file)
        size_bytes = file.tell() if regular else None
    if as_json:
        emit({"file": output, "size_bytes": size_bytes, "records_bytes": records_bytes, "contacts": len(contacts)})
    else:
        size = "written" if size_bytes is None else size_text(size_bytes)
        say(f"{output}: {size}; it holds this peer's secret keys")


def _contacts(session: Session) -> list[str]:
    """Where the other members are: as the daemon knows, else as it last wrote down."""
    try:
        rows = list(rows_of(session, "/v1/peers"))
    except DaemonNotRunning:
        from node.setup import saved_contacts

        return saved_contacts(session.data_dir)
    return [
        addr if "/p2p/" in addr else f"{addr}/p2p/{row['peer_id']}"
        for row in rows
        if row["last_seen_s"] != 0
        for addr in row["addrs"]
    ]
