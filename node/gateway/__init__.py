"""HTTP for people and other software: read-only, in a process of its own, started and watched by the daemon.

It reads block files and the catalogue read-only and asks the daemon, over the control socket, only for what is not
here. Whatever strangers do to it, pins and repairs go on.
"""
