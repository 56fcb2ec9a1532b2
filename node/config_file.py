"""Change one setting in `config.toml` and leave everything else in it, comments included, as its owner wrote it."""

import os
import re
from pathlib import Path

import msgspec

from node.config import FILE_NAME
from node.errors import Failed
from node.keys import sync_folder


def quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{escaped}"'


def with_setting(text: str, name: str, value: str) -> str:
    """The file's text with a setting of that value, in the place of the old one or at the end of what is in no table.

    Raises:
        ValueError: it is written in a way that a line cannot replace.
    """
    line = f"{name} = {quoted(value)}"
    pattern = re.compile(rf"^[ \t]*(?:{name}|\"{name}\"|'{name}')[ \t]*=.*$", re.MULTILINE)
    if pattern.search(text):
        changed = pattern.sub(lambda _: line, text, count=1)
    else:
        table = re.search(r"^[ \t]*\[", text, re.MULTILINE)
        above, below = (text, "") if table is None else (text[: table.start()], text[table.start() :])
        changed = above + ("\n" if above and not above.endswith("\n") else "") + line + "\n" + below
    before, after = msgspec.toml.decode(text), msgspec.toml.decode(changed)
    if after != {**before, name: value}:
        raise ValueError(name)
    return changed


def set_setting(folder: Path, name: str, value: str) -> None:
    """Write a setting into the file in `folder`, durably and whole or not at all.

    Raises:
        Failed: the file cannot be read, written, or changed by a line.
    """
    path, partial = folder / FILE_NAME, folder / f".{FILE_NAME}.partial"
    try:
        text = path.read_text() if path.exists() else ""
        changed = with_setting(text, name, value)
        with partial.open("w") as file:
            file.write(changed)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        sync_folder(folder)
    except (ValueError, msgspec.DecodeError) as error:
        raise Failed(f"{path}: {name} cannot be changed by itself", hint=f"write {name} = {quoted(value)}") from error
    except OSError as error:
        raise Failed(f"{path}: {(error.strerror or str(error)).lower()}") from error
