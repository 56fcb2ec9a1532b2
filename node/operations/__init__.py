"""What the daemon does for its operator: the control socket's `Service`, one file a concern."""

from node.operations.operations import Operations

__all__ = ["Operations"]
