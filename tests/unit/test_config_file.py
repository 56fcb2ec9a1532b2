"""One setting in `config.toml` changes, and nothing else in it does."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import load
from node.config_file import set_setting, with_setting
from node.errors import Failed

WRITTEN = (
    '# our first peer\nname = "ada"  # as in Lovelace\nzone = "berlin" # cellar\nlisten = ["/ip4/0.0.0.0/tcp/4801"]\n'
)


def test_only_the_line_changes() -> None:
    assert with_setting(WRITTEN, "zone", "hamburg") == WRITTEN.replace('zone = "berlin" # cellar', 'zone = "hamburg"')


@pytest.mark.parametrize("text", ["", 'name = "ada"', 'name = "ada"\n'])
def test_a_new_one_goes_to_the_end(text: str) -> None:
    assert with_setting(text, "zone", "x").endswith('zone = "x"\n')


@given(
    zone=st.text(max_size=64), text=st.sampled_from(["", WRITTEN, "'zone' = 'a'\n", "\"zone\"='b'", "  zone\t= 'c'"])
)
def test_any_text_can_be_a_zone(zone: str, text: str) -> None:
    changed = msgspec.toml.decode(with_setting(text, "zone", zone))
    assert changed == {**msgspec.toml.decode(text), "zone": zone}


def test_what_no_line_can_replace_is_left_alone(tmp_path: Path) -> None:
    text = 'zone = """\nber\\\nlin"""\n'
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(Failed, match="zone cannot be changed by itself"):
        set_setting(tmp_path, "zone", "x")
    assert (tmp_path / "config.toml").read_text() == text


def test_the_next_start_reads_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(WRITTEN)
    set_setting(tmp_path, "zone", 'a "quoted" \\ zone')
    assert load(tmp_path, {}).settings[1].value == 'a "quoted" \\ zone'


def test_a_new_setting_goes_above_the_tables() -> None:
    text = 'name = "a"\n\n[backends.local]\ndirectory = "/srv"\n'
    assert with_setting(text, "zone", "x") == 'name = "a"\n\nzone = "x"\n[backends.local]\ndirectory = "/srv"\n'
