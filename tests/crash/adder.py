"""A process that adds, removes and collects images until it is killed: `python -m tests.crash.adder DIR FIRST`.

Prints `added N` and `removing N` as it goes, each line before the next step.
"""

import sys
import threading
from pathlib import Path

from store import intake
from store.store import Owner, Store
from tests.crash.scenarios import LARGE_BYTES, Images

THREADS = 3
REMOVED_EVERY = 3


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def add_images(store: Store, first: int) -> None:
    number = first
    while True:
        job = Owner("job", b"%d" % number)
        store.put(Images.blocks(number), owner=job)
        cids = [cid for cid, _ in Images.blocks(number)]
        store.commit_image(Images.root(number), "ipfs", cids, 6600, job, [Images.record(number)])
        say(f"added {number}")
        store.drop(job)
        if number % REMOVED_EVERY == 0:
            say(f"removing {number}")
            store.forget_records([Images.record(number).key])
            store.release(Images.root(number), "ipfs")
        number += THREADS


def main() -> None:
    intake.SMALL_BLOCK_BYTES = LARGE_BYTES
    store = Store.open(Path(sys.argv[1]))
    store._compactor.min_dead_bytes = 5000
    for thread in range(THREADS):
        threading.Thread(target=add_images, args=(store, int(sys.argv[2]) + thread), daemon=True).start()
    while True:
        store.collect(store._clock_ms() + 2 * 3600 * 1000)


if __name__ == "__main__":
    main()
