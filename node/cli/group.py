"""The program: its commands by name, each imported when it is used."""

from importlib import import_module

import click

from node.cli.verb import VerbGroup
from node.version import VERSION

COMMANDS = {
    "init": "make a peer, and join a swarm with --join",
    "run": "run the daemon, in the foreground",
    "demo": "three peers on this machine lose one and repair",
    "status": "this peer and the swarm, on one screen",
    "peers": "the swarm's peers, as seen from here",
    "members": "who was admitted, and as what",
    "doctor": "check every promise; exit 0 where all hold",
    "scrub": "hash every block stored here, heal what is bad",
    "verify": "hash the blocks of an image, or of a flow's",
    "audit": "have other holders prove what is held here",
    "invite": "print a line that lets a peer join",
    "charter": "who governs the swarm, and what holds in it",
    "expel": "a peer belongs no more",
    "backup": "write this peer's keys, settings and records to a file",
    "add": "add images",
    "upload": "send images' bytes to the daemon, or to its bucket",
    "crawl": "take in the images of web pages",
    "get": "write an image out",
    "ls": "list images",
    "show": "one image in full",
    "similar": "images that look like one",
    "edit": "crop, turn, mirror or resize an image into a new one",
    "rm": "move an image to the trash",
    "trash": "what is in the trash",
    "undelete": "take an image out of the trash",
    "pin": "pin any IPFS DAG by its CID",
    "flow": "flows and their policies",
    "repair": "what lacks copies, and why; try it all now",
    "rebalance": "copies that are to move, and why",
    "zone": "this peer's failure domain",
    "drain": "empty this peer, then leave the swarm",
    "maintenance": "be away for a while without being replaced",
    "export": "write images to a CAR file",
    "import": "take in a CAR file and pin its roots",
    "jobs": "what the daemon was given to do, and how far it is",
    "events": "events as they happen",
    "config": "the daemon's settings",
}
"""Command → its line in `--help`. Its module is `node.cli.<command>`, its click command the module's `command`."""


class Program(VerbGroup):
    """Imports a command's module only when that command is called."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = import_module(f"node.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"pinakothek {VERSION}")
        context.exit()


program = Program(
    name="pinakothek",
    help="A peer-to-peer image store that keeps the replication factors its operators configure.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 daemon not running, 5 refused by policy, 6 timed out.",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version and exit.",
        )
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
