"""`/images/<ref>/<variant>`: an image by its name, a variant by its own, found in the image's directory."""

from functools import partial

from node.gateway.answers import HttpError
from node.gateway.content import Contents, Target
from node.gateway.questions import Questions
from node.gateway.upstream import Upstream
from store.cid import cid_text

MAX_REF_CHARS = 512


class Names:
    """Asks the daemon what a REF stands for, and reads the rest itself."""

    def __init__(self, contents: Contents, upstream: Upstream, questions: Questions) -> None:
        self._contents = contents
        self._upstream = upstream
        self._questions = questions

    async def target(self, ref: str, variant: str) -> Target:
        """The file that `variant` (`small`, `original`, or a whole file name) names in the image `ref`.

        Raises:
            HttpError: 404 where either name leads nowhere, 300 for a REF that could be several images.
        """
        if not ref or not variant or "/" in variant or len(ref) > MAX_REF_CHARS:
            raise HttpError(404, "expected /images/<ref>/<variant>, such as /images/beach.jpg/small")
        root = await self._questions.put(f"root {ref}", partial(self._upstream.root, ref))
        directory = await self._contents.find(root)
        if not directory.is_directory:
            raise HttpError(404, f"{root} is a file; it is at /ipfs/{root}")
        entries, _ = await self._contents.entries(directory.place)
        names = [entry.name for entry in entries]
        for name in names:
            if variant in (name, name.rpartition(".")[0]):
                return await self._contents.find(f"{cid_text(directory.place.cid)}/{name}")
        raise HttpError(404, f"{ref[:80]}: no variant {variant[:80]!r}; there are {', '.join(names[:40])}")
