"""`pinakothek demo`: three real daemons on this machine, real photos, one peer lost and replaced."""

from node.demo.story import run

__all__ = ["run"]
