"""The daemon: composition, control socket, command line, replication, ingest and gateway. May import the other two."""
