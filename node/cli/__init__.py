"""The command line: a client of the control socket, one file a verb.

It starts in a moment because a verb is imported when it is called, and because nothing here imports trio, libp2p or an
HTTP library. Standard output is for what was asked; everything else goes to standard error.
"""

import os
import sys
from typing import TYPE_CHECKING

from node.errors import FAILED, INTERRUPTED

if TYPE_CHECKING:
    from node.cli.session import Session

BROKEN_PIPE = 141
"""What a shell reports for a program ended by a closed pipe: 128 + SIGPIPE."""


def main() -> None:
    """Run the command line and end the program with its exit code."""
    code = dispatch()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    if code == BROKEN_PIPE:
        # Python would flush once more on the way out, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def dispatch() -> int:
    """Do what `sys.argv` says; every failure becomes a line on standard error and an exit code."""
    import click

    from node.cli.group import program
    from node.cli.output import complain
    from node.cli.session import Session
    from node.errors import UserError

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    name = "pina" if os.path.basename(sys.argv[0]) == "pina" else "pinakothek"
    if f"_{name.upper()}_COMPLETE" in os.environ:
        program.main(prog_name=name)
    session = Session()
    try:
        # Not `program.main`: it turns a closed pipe and Ctrl-C into its own words and exit codes.
        with program.make_context(name, sys.argv[1:], obj=session) as context:
            return int(program.invoke(context) or 0)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except UserError as error:
        complain(error.message, session.usable(error.hint), error.candidates)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "pinakothek"
        complain(_lowered(error.format_message()), f"try '{command} --help'")
        return error.exit_code
    except click.ClickException as error:
        complain(_lowered(error.format_message()))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the rim: a person gets a line, not a traceback
        return _unexpected(error, session)


def _lowered(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _unexpected(error: Exception, session: "Session") -> int:
    """Errors of the packages below that reached the rim are told as they are; anything else is a bug."""
    from node.cli.output import complain
    from node.control.failures import as_user_error

    known = as_user_error(error)
    if known is not None:
        complain(known.message, session.usable(known.hint))
        return known.exit_code
    if isinstance(error, OSError) and error.strerror:
        complain(f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower())
        return FAILED
    if os.environ.get("PINAKOTHEK_DEBUG") == "1":
        raise error
    what = " ".join(f"{type(error).__name__}: {error}".split())
    complain(f"internal error: {what}", "please report this; PINAKOTHEK_DEBUG=1 shows where it happened")
    return FAILED
