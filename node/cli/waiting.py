"""Hand the daemon a job, and wait for it or not."""

from typing import Any

from node.control.client import Control

POLL_S = 20.0
"""How long one question waits for the job's end."""
ENDED = frozenset({"done", "failed", "cancelled"})


def ended(control: Control, job: dict[str, Any]) -> dict[str, Any]:
    """The job once it has ended, however long that takes. Raises: UserError: the daemon is gone."""
    while job["state"] not in ENDED:
        job = control.call("GET", f"/v1/jobs/{job['id']}?wait_s={POLL_S:g}", timeout_s=POLL_S + 30)
    return job
