"""A crawl has no more room than the workspace leaves it."""

from pathlib import Path

import pytest

from node.jobs.errors import Trouble
from tests.crawled import img, page, png, site_at
from tests.scripted_web import answer


async def test_a_full_workspace_ends_the_run_and_an_image_that_never_fits_is_refused(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        site.answers |= {"/": page(img("1.png")), "/1.png": answer(png(1) * 100)}
        other = site.workplace.make_job(1) / "of another job"
        site.workplace.quota_bytes = 1200
        other.write_bytes(bytes(1000))
        with pytest.RaisesGroup(Trouble):
            await site.crawl()
        other.unlink()
        site.workplace.quota_bytes = 500
        counts = await site.crawl()
        assert (counts["stored"], counts["refused"]) == (0, 1)
