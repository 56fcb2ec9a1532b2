"""The control socket: how an operator's tools talk to their daemon.

HTTP/1.1 and JSON over a Unix socket in the data directory. `routes` is the one table from which both the server and its
OpenAPI document are made; `client` is the standard-library client that the command line uses.
"""
