"""`similar`: pinned images that look like a given one, wherever in the swarm they are."""

import os
from pathlib import Path

from node.errors import Failed, NotFound, Usage
from node.operations.looking import Looking
from node.parts import Parts
from node.quantities import unescape_path
from node.rows import SimilarRow
from node.service import SimilarTo
from node.similarity import MAX_BITS, NEAR_BITS
from store.cid import cid_text
from store.errors import ImageRejected


class Alike:
    """Answers what looks alike."""

    def __init__(self, parts: Parts, looking: Looking) -> None:
        self._parts = parts
        self._looking = looking

    async def similar(self, request: SimilarTo) -> tuple[SimilarRow, ...]:
        """See `Service.similar`."""
        if (request.ref is None) == (request.path is None):
            raise Usage("expected either a ref or a path")
        within_bits = NEAR_BITS if request.within is None else request.within
        if within_bits > MAX_BITS:
            raise Usage(f"within {within_bits}: expected at most {MAX_BITS} bits; unrelated pictures begin at 21")
        if request.ref is not None:
            phash, itself = self._of_ref(request.ref, request.flow)
        else:
            phash, itself = await self._of_file(request.path or ""), None
        rows = []
        for near in self._parts.similarity.near(phash, within_bits=within_bits):
            if near.root != itself:
                rows += [
                    SimilarRow(
                        root=cid_text(near.root), name=pin.name or "", flow=pin.flow, distance_bits=near.distance_bits
                    )
                    for pin in self._parts.lookup.pins(near.root)
                ]
        return tuple(rows)

    def _of_ref(self, ref: str, flow: str | None) -> tuple[str, bytes]:
        root = self._looking.first_pin(ref, flow).root
        phash = self._parts.similarity.phash_of(root)
        if phash is None:
            raise NotFound(f"{ref}: no perceptual hash is known of it: it is no image")
        return phash, root

    async def _of_file(self, text: str) -> str:
        path = Path(os.fsdecode(unescape_path(text)))
        if not path.is_absolute():
            raise Usage(f"path {text!r}: expected an absolute one")
        try:
            return await self._parts.intake.phash_of(path)
        except ImageRejected as error:
            raise Failed(str(error)) from error
