"""The key files of a data directory: this peer's identity, and a steward's key where one lies here."""

import os
import secrets
from pathlib import Path

from node.errors import Failed
from protocol.identity import SEED_BYTES, KeyPair

IDENTITY = "identity.key"
STEWARD = "steward.key"


def new_key() -> KeyPair:
    """A key pair from the system's randomness."""
    return KeyPair(secrets.token_bytes(SEED_BYTES))


def write_key(folder: Path, name: str, key: KeyPair) -> None:
    """Write a key's seed in hexadecimal, readable by its owner alone, durably and whole or not at all."""
    path, partial = folder / name, folder / f".{name}.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.seed.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    sync_folder(folder)


def set_key_aside(folder: Path, name: str, key: KeyPair) -> None:
    """Rename a key that another is to replace; its id's end tells it apart."""
    (folder / name).rename(folder / f"{name}.{key.peer_id[-8:]}")
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make what was created or renamed in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_key(folder: Path, name: str) -> KeyPair | None:
    """The key in `folder`, or None where there is none.

    Raises:
        Failed: the file is damaged or cannot be read.
    """
    path = folder / name
    try:
        return KeyPair(bytes.fromhex(path.read_text().strip()))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Failed(f"{path}: damaged: expected {2 * SEED_BYTES} hexadecimal digits", hint="restore it") from error
    except OSError as error:
        raise Failed(f"{path}: {(error.strerror or str(error)).lower()}") from error
