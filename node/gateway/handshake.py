"""What the gateway process says to the daemon on its standard output, one line: where it listens, or why not."""

READY = b"gateway ready "
FAILED = b"gateway failed "
