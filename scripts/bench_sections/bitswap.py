"""Bitswap with a real Kubo, both ways, blocks on disk, against Kubo with Kubo."""

from scripts.bench_bitswap import measure
from scripts.bench_sections.figures import Figure

BAR = 0.6


def bitswap() -> list[Figure]:
    """MB/s of one large file in 1 MiB blocks."""
    rates = measure()
    theirs = rates["kubo_kubo_mb_s"]
    return [
        Figure("bitswap", name, rates[key], "MB/s", theirs, "Kubo ↔ Kubo", rates[key] / theirs, BAR)
        for name, key in (
            ("we fetch from Kubo", "fetch_from_kubo_mb_s"),
            ("Kubo fetches from us", "serve_to_kubo_mb_s"),
        )
    ] + [Figure("bitswap", "peer to peer", rates["python_python_mb_s"], "MB/s", theirs, "Kubo ↔ Kubo")]
