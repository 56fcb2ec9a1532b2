"""Every kind of picture and the editor, end to end: what goes in through a real daemon, and what is stored of it."""

import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from node.control.client import Control
from node.demo.peers import Peer, swarm
from tests.e2e.swarms import assert_doctor_is_content, read_back
from tests.pictures import film, psnr_db, saved, scene

FRAMES = [scene().rotate(15 * number) for number in range(13)]


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    env = {"PINAKOTHEK_FETCH_ALLOW_CIDRS": "127.0.0.0/8"}
    with swarm(tmp_path_factory.mktemp("sources"), ("solo",), env=env) as peers:
        yield peers[0]


def added(peer: Peer, path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(peer.one("add", str(path))["root"])


def opened(peer: Peer, root: str, tmp_path: Path, variant: str) -> Image.Image:
    return Image.open(io.BytesIO(read_back(peer, root, tmp_path, variant)))


def workspace(peer: Peer) -> list[str]:
    """What lies in the workspace, but for the folder of all jobs."""
    return [path.name for path in (peer.data_dir / "workspace").iterdir() if path.name != "jobs"]


@pytest.fixture(scope="module")
def gif(peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> str:
    content = saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:], duration=50)
    return added(peer, tmp_path_factory.mktemp("gif") / "moving.gif", content)


def test_an_animation_has_ten_frames_and_a_preview(peer: Peer, gif: str, tmp_path: Path) -> None:
    names = {row["name"] for row in peer.one("show", gif)["files"]}
    assert {f"frame-{number:02}.webp" for number in range(10)} | {"preview.webp", "original.gif"} <= names
    assert psnr_db(opened(peer, gif, tmp_path, "frame-09").convert("RGB"), FRAMES[9]) > 25
    assert getattr(opened(peer, gif, tmp_path, "preview"), "n_frames", 1) == 13


class _Gif(BaseHTTPRequestHandler):
    """Serves one GIF, twice as fast as the other."""

    CONTENT = saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:], duration=25)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.CONTENT)))
        self.end_headers()
        self.wfile.write(self.CONTENT)

    def log_message(self, *_: object) -> None:
        pass


def test_a_gif_is_fetched_stored_and_recorded(peer: Peer, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Gif) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/moving.gif"
        row = peer.one("add", url)
        server.shutdown()
    shown = peer.one("show", row["root"])
    assert (shown["origin"], shown["media_type"]) == (url, "image/gif")
    assert {"frame-09.webp", "preview.webp", "small.webp"} <= {row["name"] for row in shown["files"]}
    assert read_back(peer, row["root"], tmp_path) == _Gif.CONTENT
    assert workspace(peer) == []


def test_every_frame_of_an_animation_is_composed_in_the_workspace(peer: Peer, gif: str, tmp_path: Path) -> None:
    peer.call("edit", gif, "--frame", "12", "-o", str(tmp_path / "twelve.png"))
    assert psnr_db(Image.open(tmp_path / "twelve.png").convert("RGB"), FRAMES[12]) > 25
    with Control(peer.data_dir) as control:
        session = control.call("POST", "/v1/edits", {"ref": gif})
        content = control.open("GET", f"/v1/edits/{session['edit']}/frames/11").read()
        assert psnr_db(Image.open(io.BytesIO(content)).convert("RGB"), FRAMES[11]) > 25
        assert len(list((peer.data_dir / "workspace").glob("edit-*/frame-*.png"))) == 13
        control.call("DELETE", f"/v1/edits/{session['edit']}")
    assert workspace(peer) == []


def test_a_video_has_frames_a_preview_and_a_poster(peer: Peer, tmp_path: Path) -> None:
    content = film([Image.new("RGB", (320, 200))] * 12 + [scene()] * 28)
    root = added(peer, tmp_path / "film.mp4", content)
    shown = peer.one("show", root)
    names = {row["name"] for row in shown["files"]}
    assert {"original.mp4", "frame-09.webp", "preview.webp", "display.webp"} <= names
    assert (shown["media_type"], shown["width_px"]) == ("video/mp4", 320)
    assert read_back(peer, root, tmp_path) == content
    assert psnr_db(opened(peer, root, tmp_path, "display"), scene()) > 22
    assert json.loads(read_back(peer, root, tmp_path, "image.json"))["frames"] == 40
    assert peer.run("edit", root, "--flip", "h", "--save").returncode == 1


def test_heic_and_drawings(peer: Peer, tmp_path: Path) -> None:
    import pillow_heif

    written = io.BytesIO()
    pillow_heif.from_pillow(scene()).save(written)
    root = added(peer, tmp_path / "photo.heic", written.getvalue())
    assert psnr_db(opened(peer, root, tmp_path, "display"), scene()) > 25
    outside = (
        "<image href='/etc/hostname' width='9' height='9'/><image href='http://127.0.0.1:9/x' width='9' height='9'/>"
    )
    drawing = f"<svg xmlns='http://www.w3.org/2000/svg' width='20' height='10'><rect width='20' height='10' fill='red'/>{outside}</svg>"
    root = added(peer, tmp_path / "drawing.svg", drawing.encode())
    assert opened(peer, root, tmp_path, "display").size == (1600, 800)


def test_a_saved_edit_names_its_parent_and_what_was_done(peer: Peer, tmp_path: Path) -> None:
    root = added(peer, tmp_path / "photo.png", saved(scene(), "PNG"))
    words = ("edit", root, "--rotate", "90", "--crop", "0,0,100,50", "--resize", "50x25")
    saved_row = peer.one(*words, "--save", "--flow", "edited", "--name", "corner.png")
    assert saved_row["new"] is True
    shown = peer.one("show", saved_row["root"])
    assert (shown["parent"], shown["flow"], shown["name"]) == (root, "edited", "corner.png")
    assert shown["operations"] == ["rotate 90", "crop 0,0,100,50", "resize 50x25"]
    wanted = (
        scene().transpose(Image.Transpose.ROTATE_270).crop((0, 0, 100, 50)).resize((50, 25), Image.Resampling.LANCZOS)
    )
    assert psnr_db(opened(peer, saved_row["root"], tmp_path, "original"), wanted) > 100
    assert "rotate 90, crop 0,0,100,50, resize 50x25" in peer.call("show", saved_row["root"])
    assert peer.one("show", root)["parent"] is None
    [again] = peer.rows("edit", root, "--flip", "h", "--save")
    assert peer.one("show", again["root"])["name"] == "photo-edited.png"
    assert workspace(peer) == []


def test_mistakes_leave_nothing_behind(peer: Peer, gif: str, tmp_path: Path) -> None:
    for words, code in (
        (("edit", gif, "--crop", "0,0,9999,9999", "--save"), 2),
        (("edit", gif, "--save"), 2),
        (("edit", gif, "--frame", "13", "--save"), 2),
        (("edit", "nothing", "--flip", "h", "--save"), 3),
        (("edit", gif, "--flip", "h", "--save", "--wait", "9"), 5),
    ):
        done = peer.run(*words)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith("pinakothek: ")
    assert workspace(peer) == []
    assert_doctor_is_content(peer)
