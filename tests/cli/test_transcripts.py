"""What every command prints, held against transcripts that a person can read.

A transcript has comments (`#`), commands (`$`), what they print, standard error marked `! `, and the exit code (`=>`)
where it is not 0. `DATA` stands for the data directory. Written anew with PINAKOTHEK_WRITE_TRANSCRIPTS=1; read the diff.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_service import serving

HERE = Path(__file__).parent / "transcripts"
ROOT = Path(__file__).parents[2]


def furnish(folder: Path) -> None:
    """The files that the transcripts talk about."""
    (folder / "photos" / "trip").mkdir(parents=True)
    (folder / "photos" / ".hidden").mkdir()
    for name, content in {
        "a.png": "IMAGE1",
        "text.png": "words",
        "empty": "",
        "photos/b.png": "IMAGE2",
        "photos/note.txt": "words",
        "photos/trip/c.png": "IMAGE3",
        "photos/.hidden/d.png": "IMAGE4",
    }.items():
        (folder / name).write_text(content)
    (folder / "loop").symlink_to("loop")
    (folder / "photos" / "up").symlink_to("..")
    os.mkfifo(folder / "pipe")


def played(command: str, folder: Path, data_dir: Path) -> str:
    """A command and what came of it, as a transcript writes it."""
    words = shlex.split(command)
    if words[0] == "pinakothek":
        words = [sys.executable, "-m", "node", *words[1:]]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PINAKOTHEK_")}
    environ |= {"PINAKOTHEK_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "COLUMNS": "100"}
    done = subprocess.run(
        words, cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    out = done.stdout if done.stdout.endswith("\n") or not done.stdout else done.stdout + "\n"
    errors = "".join(f"! {line}\n" for line in done.stderr.splitlines())
    code = f"=> {done.returncode}\n" if done.returncode else ""
    text = f"$ {command}\n{out}{errors}{code}"
    return text.replace(str(data_dir), "DATA").replace(str(folder), "HERE")


@pytest.mark.parametrize("path", sorted(HERE.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript(path: Path, tmp_path: Path) -> None:
    folder, data_dir = tmp_path / "here", tmp_path / "data"
    folder.mkdir()
    data_dir.mkdir()
    furnish(folder)
    expected = path.read_text()
    with serving(data_dir):
        lines = [line for line in expected.splitlines() if line.startswith(("$ ", "# "))]
        found = "".join(played(line[2:], folder, data_dir) if line.startswith("$ ") else f"{line}\n" for line in lines)
    if os.environ.get("PINAKOTHEK_WRITE_TRANSCRIPTS") == "1":
        path.write_text(found)
    assert found == expected
