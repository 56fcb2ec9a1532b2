"""What a durable add costs the store, in wall and CPU time, beside writing and fsyncing the same bytes by hand.

Each image is two chunks of 500 kB, two variants of 120 and 70 kB and eight small blocks: what a photo of 1 MB makes.
Usage: scripts/bench_store.py [FOLDER [THREADS [IMAGES]]]
"""

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from store.cid import RAW, cid_of
from store.store import Owner, RecordEntry, Store

SIZES_BYTES = [500_000, 500_000, 120_000, 70_000] + [9_000] * 8
LARGE = 4
Image = list[tuple[bytes, bytes]]


def make_image() -> Image:
    blocks = [os.urandom(size_bytes) for size_bytes in SIZES_BYTES]
    return [(cid_of(RAW, block), block) for block in blocks]


def add(store: Store, number: int, image: Image) -> None:
    job = Owner("job", b"%d" % number)
    pin = RecordEntry(key=b"%d" % number, kind="pin", raw=bytes(400), readable={"name": "x" * 100})
    store.put(image, owner=job, verified=True)
    store.commit_image(image[0][0], "ipfs", [cid for cid, _ in image], sum(SIZES_BYTES), job, [pin])
    store.drop(job)


def write_by_hand(folder: Path, number: int, image: Image) -> None:
    """Five files, fsynced: no names made durable, nothing listed."""
    contents = [block for _, block in image[:LARGE]] + [b"".join(block for _, block in image[LARGE:])]
    for index, content in enumerate(contents):
        with (folder / f"{number}-{index}").open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def measure(name: str, one: Callable[[int, Image], None], images: list[Image], threads: int) -> None:
    waiting = list(enumerate(images))

    def work() -> None:
        while waiting:
            try:
                number, image = waiting.pop()
            except IndexError:
                return
            one(number, image)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    began_s, cpu_began_s = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wall_ms = (time.perf_counter() - began_s) / len(images) * 1000
    cpu_ms = (time.process_time() - cpu_began_s) / len(images) * 1000
    print(f"{name:22} {threads} threads  {wall_ms:6.2f} ms wall  {cpu_ms:6.2f} ms CPU an image")


def main() -> None:
    parent = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    folder = Path(tempfile.mkdtemp(dir=parent))
    images = [make_image() for _ in range(count)]
    store = Store.open(folder / "store")
    try:
        measure("store, durable", lambda number, image: add(store, number, image), images, threads)
        store.settle()
        measure("by hand, file fsyncs", lambda number, image: write_by_hand(folder, number, image), images, threads)
    finally:
        store.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
