"""A pytest plugin that leaves out one patch of libp2p, named in the environment; for `test_patches_matter` only."""

import os

from protocol.net import patches

patches.NAMES.remove(os.environ["PINAKOTHEK_TEST_WITHOUT_PATCH"])
