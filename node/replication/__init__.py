"""Keeping every root at its replication factor: what is known, where copies belong, what to do next, and doing it."""
