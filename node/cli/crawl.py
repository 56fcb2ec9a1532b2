"""`crawl`: take in the images of web pages."""

from typing import Any

import click

from node.cli.output import complain, emit, plural, printable, say
from node.cli.session import Session
from node.cli.verb import PAUSE, Verb, json_option, pass_session
from node.cli.waiting import ended
from node.errors import DONE, FAILED

COUNTS = (
    ("known", "known already"), ("small", "too small"), ("refused", "refused"), ("failed", "not to be had"),
)  # fmt: skip
PROBLEMS = 10
"""Told one by one; `--json` has more."""


@click.command(cls=Verb)
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option("--flow", metavar="F", default="default", show_default=True, help="The flow that wants the images.")
@click.option(
    "--depth",
    metavar="N",
    type=click.IntRange(0, 100),
    default=2,
    show_default=True,
    help="Links to follow from a URL.",
)
@click.option("--hosts", metavar="H,…", multiple=True, help="Hosts whose pages are read, besides those of the URLs.")
@click.option("--same-host", is_flag=True, help="Take images, too, from these hosts only.")
@click.option(
    "--max-pages",
    metavar="N",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="Pages to ask for.",
)
@click.option(
    "--min-px", metavar="PX", type=click.IntRange(0), default=64, show_default=True, help="Of an image's shorter side."
)
@click.option("--delay", metavar="T", type=PAUSE, help="The least pause between two requests to a host.")
@click.option("--dry-run", is_flag=True, help="Read pages, list their images, fetch none.")
@click.option("--no-wait", is_flag=True, help="Leave it to the daemon, and print the number of the job.")
@json_option
@pass_session
def command(
    session: Session,
    urls: tuple[str, ...],
    flow: str,
    depth: int,
    hosts: tuple[str, ...],
    same_host: bool,
    max_pages: int,
    min_px: int,
    delay: float | None,
    dry_run: bool,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Take in the images of web pages: those at the URLs, and those that they link to on the same hosts.

    robots.txt is obeyed, and each host is asked for one thing at a time. It is a job: it goes on without this command,
    after a restart too (`pinakothek jobs`). Which pages show an image: `pinakothek show REF --pages`.
    """
    asked = {
        "urls": urls,
        "flow": flow,
        "hosts": [host.strip() for part in hosts for host in part.split(",") if host.strip()],
        "depth": depth,
        "max_pages": max_pages,
        "same_host": same_host,
        "min_px": min_px,
        "delay_s": delay or 0.0,
        "dry_run": dry_run,
    }
    job = session.control.call("POST", "/v1/jobs/crawl", asked)
    if no_wait:
        emit({"job": job["id"]}) if as_json else say(f"queued  job {job['id']}  {printable(job['name'])}")
        return DONE
    job = ended(session.control, job)
    if job["state"] != "done":
        complain(job["error"] or f"job {job['id']} is {job['state']}")
        return job["error_code"] or FAILED
    result = {"job": job["id"], **job["result"]}
    if as_json:
        emit(result)
        return DONE
    for url in result.get("found", ()):
        say(printable(url))
    for problem in result["problems"][:PROBLEMS]:
        complain(f"{problem['url']}: {problem['reason']}")
    for line in screen(result, dry_run=dry_run):
        click.echo(line, err=dry_run)
    return DONE


def screen(result: dict[str, Any], *, dry_run: bool) -> list[str]:
    """The lines that a person sees."""
    pages = plural(result["pages"], "page")
    if dry_run:
        return [f"{pages}, {plural(result['images'], 'image')}: nothing fetched"]
    others = [f"{result[name]:,} {word}" for name, word in COUNTS if result[name]]
    lines = [", ".join([f"{pages}: {plural(result['stored'], 'image')} stored", *others])]
    if result["disallowed"]:
        lines.append(f"{result['disallowed']:,} left alone, as robots.txt asks")
    if result["pages_left"]:
        lines.append(f"{plural(result['pages_left'], 'page')} more were found: see --max-pages")
    return lines
