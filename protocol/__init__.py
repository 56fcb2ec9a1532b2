"""What crosses the wire: pure state machines here, libp2p only in `protocol.net`. Imports neither other package."""
