"""The manual that `scripts/get-pages` unpacks, served on loopback as a web site with a robots.txt."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def pages_folder() -> Path:
    """Where the pages are: PINAKOTHEK_PAGES, or the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("PINAKOTHEK_PAGES", cache / "pinakothek/pages"))


def pages_available() -> bool:
    """Whether `scripts/get-pages` has run."""
    return (pages_folder() / "complete").exists()


class WebSite(ThreadingHTTPServer):
    """A folder on loopback. `asked` are the paths of all requests; the server forgets none."""

    daemon_threads = True

    def __init__(self, folder: Path, robots: str) -> None:
        self.asked: list[str] = []
        self.robots = robots.encode()
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(SimpleHTTPRequestHandler):
    server: WebSite
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/robots.txt":
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.robots)))
            self.end_headers()
            self.wfile.write(self.server.robots)
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path, robots: str) -> Iterator[WebSite]:
    with WebSite(folder, robots) as site:
        thread = threading.Thread(target=partial(site.serve_forever, poll_interval=0.05), daemon=True)
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()
