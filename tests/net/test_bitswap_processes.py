"""Two of our own peers in two processes, over TCP, Noise and Yamux: blocks come from disk and go to disk."""

import hashlib
from pathlib import Path

import pytest

from scripts.bench_bitswap import python_fetch, python_server
from store.cid import cid_text
from store.dag_pb import PBLink, encode_node
from tests.net.bitswap_net import make_blocks


@pytest.mark.slow
def test_a_dag_goes_from_one_process_to_the_next_and_on_from_both(tmp_path: Path) -> None:
    blocks = make_blocks(40, 1 << 20) | make_blocks(200, 4000)
    node = encode_node([PBLink(cid) for cid in blocks], None)
    root = b"\x01\x70\x12\x20" + hashlib.sha256(node).digest()
    blocks[root] = node
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    first.mkdir()
    for cid, block in blocks.items():
        (first / cid.hex()).write_bytes(block)
    with python_server(first) as addr:
        python_fetch(second, [addr], cid_text(root))
        with python_server(second) as other:
            python_fetch(third, [addr, other], cid_text(root))
    for folder in (second, third):
        assert {bytes.fromhex(file.name): file.read_bytes() for file in folder.iterdir()} == blocks
