"""The one page the gateway makes: a directory listing, plain enough to need no script."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from store.unixfs import DirEntry

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:44rem;padding:0 1rem}"
    "td{padding:.2rem 1rem .2rem 0;overflow-wrap:anywhere}td+td{color:#666;text-align:right;white-space:nowrap}"
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def directory_page(path: str, entries: Sequence[DirEntry], *, complete: bool) -> bytes:
    """HTML for the directory at `path`, which ends in a slash."""
    rows = "".join(
        f'<tr><td><a href="{quote(path + entry.name)}">{escape(entry.name)}</a></td>'
        f"<td>{entry.tsize_bytes:,} bytes</td></tr>"
        for entry in entries
    )
    title = escape(path)
    more = "" if complete else f"<p>These are the first {len(entries):,} entries; there are more.</p>"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><table>{rows}</table>{more}</html>\n"
    ).encode()
