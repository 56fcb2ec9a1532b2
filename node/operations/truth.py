"""`audit`: whether what peers say they hold is there."""

from node.parts import Parts
from node.rows import Audit


class Truth:
    """Has it proven, now."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def audit(self) -> Audit:
        """See `Service.audit`."""
        counts = await self._parts.auditing.audit_all()
        return Audit(challenges=counts.challenges, proven=counts.proven, wrong=counts.wrong, silent=counts.silent)
