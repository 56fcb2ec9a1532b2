"""What `status` says of images that lack copies: why, what is done about it, and when that will be over.

Look-ups all of them: the outlook has the counts, and a single root of each standing is weighed for the reason.
"""

from node.operator_rows import ReasonRow, RepairStatus
from node.parts import Parts
from node.replication.weighing import Standing
from store.cid import cid_text

ASKED: tuple[Standing, ...] = ("lost", "sought", "below_min", "below_target", "above_target")


def reasons(parts: Parts, *, settled: bool) -> tuple[ReasonRow, ...]:
    """Why roots are not at target, the worst standing first.

    Args:
        settled: whether others' holdings are known; until then nothing is called lost, as in the counts.
    """
    outlook = parts.controller.outlook
    rows = []
    for standing in ASKED:
        if outlook.counts[standing]:
            for key in outlook.some_of(standing, 1):
                why = parts.controller.assess(key).why
                attempt = parts.executor.work.failed.get(key)
                if attempt is not None:
                    why = f"{why}; last try: {attempt.reason}"
                word: Standing = "sought" if standing == "lost" and not settled else standing
                rows.append(ReasonRow(state=word, roots=outlook.counts[standing], why=why, root=cid_text(key.root)))
    return tuple(rows)


def repair_status(parts: Parts) -> RepairStatus:
    """What is to be copied here, and when that will be done."""
    outlook, work = parts.controller.outlook, parts.executor.work
    if not outlook.fetch_count:
        return RepairStatus()
    left = max(0, outlook.fetch_bytes - work.under_way_bytes)
    speed, eta_s = parts.pace.bytes_per_s, parts.pace.eta_s(left)
    return RepairStatus(
        roots=outlook.fetch_count,
        bytes=left,
        bytes_per_s=None if speed is None else round(speed, 1),
        eta_s=None if eta_s is None else round(eta_s, 1),
    )
