"""This peer's part in the swarm: the shared records, who is there, who holds what, and keeping all of that up to date."""
