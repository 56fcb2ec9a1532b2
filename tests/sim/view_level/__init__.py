"""Years of a large swarm: the real planner in columns over what each side of a split believes, disks and network modelled.

`churn` says what happens when; `world` knows the truth of disks and claims; `side` is what peers that see alike believe,
with the planner on it; `transfers` are copies under way; `story` runs it all and counts.
"""
