"""The simulations of `scripts/simulate.py`, by name: each module has `add_arguments(parser)` and `run(args) -> exit code`."""
