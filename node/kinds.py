"""The kinds of backend that there are, by the names that records, holdings and people use for them (DESIGN §8)."""

EMBEDDED = "ipfs"
"""The block store of every peer: always there, whatever else it is told to use."""

KINDS = (EMBEDDED, "kubo", "s3", "local")
