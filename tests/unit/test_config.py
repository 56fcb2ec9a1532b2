"""Settings: which source wins, that each is told, and that a wrong one is named with its value and the reason."""

import json
from pathlib import Path

import pytest

from node.config import load
from node.errors import Usage


def write(home: Path, text: str) -> None:
    (home / "config.toml").write_text(text)


def source_of(home: Path, name: str, **given: object) -> str:
    environ = given.get("environ", {})
    flags = given.get("flags", {})
    assert isinstance(environ, dict)
    assert isinstance(flags, dict)
    return next(s.source for s in load(home, environ, flags).settings if s.name == name)


def test_a_peer_needs_no_settings(tmp_path: Path) -> None:
    config = load(tmp_path, {}).config
    assert config.gateway == ("127.0.0.1", 8480)
    assert config.capacity_bytes is None
    assert config.allow_backends is None
    assert (config.suspect_after_s, config.repair_after_s) == (15.0, 300.0)


def test_flags_win_over_variables_and_those_over_the_file(tmp_path: Path) -> None:
    write(tmp_path, 'zone = "file"')
    environ = {"PINAKOTHEK_ZONE": "variable"}
    flags = {"zone": "flag"}
    assert load(tmp_path, {}).config.zone == "file"
    assert load(tmp_path, environ).config.zone == "variable"
    assert load(tmp_path, environ, flags).config.zone == "flag"
    assert source_of(tmp_path, "zone") == "config.toml"
    assert source_of(tmp_path, "zone", environ=environ) == "PINAKOTHEK_ZONE"
    assert source_of(tmp_path, "zone", environ=environ, flags=flags) == "--zone"
    assert source_of(tmp_path, "name") == "default"


def test_lists_come_as_arrays_or_with_commas(tmp_path: Path) -> None:
    write(tmp_path, 'listen = ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/2"]')
    assert load(tmp_path, {}).config.listen == ("/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/2")
    environ = {"PINAKOTHEK_ALLOW_BACKENDS": "ipfs, s3"}
    assert load(tmp_path, environ).config.allow_backends == frozenset({"ipfs", "s3"})


@pytest.mark.parametrize(
    ("text", "gateway"), [("off", None), ("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:80", ("::1", 80))]
)
def test_the_gateway(tmp_path: Path, text: str, gateway: tuple[str, int] | None) -> None:
    assert load(tmp_path, {}, {"gateway": text}).config.gateway == gateway


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 3", "config.toml: name: 3: expected text, got `int`"),
        ('capacity = "10 potatoes"', "config.toml: capacity: 10 potatoes: expected a number and a unit"),
        ('listen = ["nowhere"]', "config.toml: listen: nowhere: expected an address"),
        ('log_level = "loud"', "config.toml: log_level: loud: expected one of debug"),
        ('gateway = "8480"', "config.toml: gateway: 8480: expected HOST:PORT"),
        ("repair_after = 0", "config.toml: repair_after: 0: expected more than 0 s"),
        ('allow_backends = ["tape"]', "config.toml: allow_backends: tape: no backend is called tape"),
        ('fetch_allow_cidrs = ["10.0.0.1/8"]', "config.toml: fetch_allow_cidrs: 10.0.0.1/8: expected a network"),
        ('name = "a\\tb"', "config.toml: name: a\tb: expected at most 64 printable"),
        ("x = = 3", "config.toml: invalid value (at line 1"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_the_reason(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(Usage) as refused:
        load(tmp_path, {})
    assert message in refused.value.message


def test_a_wrong_variable_and_a_wrong_flag_are_named_too(tmp_path: Path) -> None:
    with pytest.raises(Usage, match=r"^PINAKOTHEK_CAPACITY: capacity: lots: expected"):
        load(tmp_path, {"PINAKOTHEK_CAPACITY": "lots"})
    with pytest.raises(Usage, match=r"^--gateway: gateway: here: expected"):
        load(tmp_path, {}, {"gateway": "here"})


def test_an_unknown_setting_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    write(tmp_path, 'zoone = "x"')
    with pytest.raises(Usage, match="zoone: no such setting") as refused:
        load(tmp_path, {})
    assert refused.value.hint == "did you mean zone?"


def test_a_variable_that_is_no_setting_is_told_and_stops_nothing(tmp_path: Path) -> None:
    """`PINAKOTHEK_PORT` is what Kubernetes sets beside a service of our name; `PINAKOTHEK_SEED` is our tests' own."""
    environ = {
        "PINAKOTHEK_DATA_DIR": "/srv", "PINAKOTHEK_DEBUG": "1", "PINAKOTHEK_NAME": "ada", "PINAKOTHEK_EMPTY": "",
        "PINAKOTHEK_PORT": "tcp://10.0.0.1:80", "PINAKOTHEK_SEED": "7", "PINAKOTHEK_ZOEN": "berlin",
        "PINAKOTHEK_REPAIR_BANDWITH": "1MiB", "OTHER": "x",
    }  # fmt: skip
    effective = load(tmp_path, environ)
    assert effective.config.name == "ada"
    assert effective.unread == (
        "PINAKOTHEK_PORT is no setting",
        "PINAKOTHEK_REPAIR_BANDWITH is no setting: did you mean PINAKOTHEK_REPAIR_BANDWIDTH?",
        "PINAKOTHEK_SEED is no setting",
        "PINAKOTHEK_ZOEN is no setting: did you mean PINAKOTHEK_ZONE?",
    )
    assert load(tmp_path, {"PINAKOTHEK_ZONE": "berlin"}).unread == ()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PINAKOTHEK_BACKENDS_S3_URI", "did you mean PINAKOTHEK_BACKENDS_S3_URL?"),
        ("PINAKOTHEK_BACKENDS_LOCAL_DIR", "did you mean PINAKOTHEK_BACKENDS_LOCAL_DIRECTORY?"),
        ("PINAKOTHEK_BACKENDS_TAPE", "there are PINAKOTHEK_BACKENDS_LOCAL_DIRECTORY, PINAKOTHEK_BACKENDS_S3_URL, "),
    ],
)
def test_a_variable_of_a_backend_that_does_not_exist_is_refused(tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(Usage) as refused:
        load(tmp_path, {name: "hush"})
    assert refused.value.message == f"{name}: no such setting"
    assert refused.value.hint is not None
    assert refused.value.hint.startswith(hint)
    assert load(tmp_path, {name: ""}).unread == ()


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"name = \xff")
    with pytest.raises(Usage, match=r"config\.toml"):
        load(tmp_path, {})


def test_values_can_be_shown_as_json(tmp_path: Path) -> None:
    json.dumps([s.value for s in load(tmp_path, {}, {"listen": ("/ip4/127.0.0.1/tcp/0",)}).settings])


def test_backends_have_tables_of_their_own_or_variables(tmp_path: Path) -> None:
    write(tmp_path, '[backends.local]\ndirectory = "/srv/a"\n[backends.s3]\nurl = "s3://pictures/a"\n')
    backends = load(tmp_path, {"PINAKOTHEK_BACKENDS_KUBO_API": "/ip4/127.0.0.1/tcp/5001"}).config.backends
    assert backends.local_directory == Path("/srv/a")
    assert (backends.s3_url, backends.kubo_api) == ("s3://pictures/a", "/ip4/127.0.0.1/tcp/5001")
    assert source_of(tmp_path, "backends.local.directory") == "config.toml"
    assert load(tmp_path, {}).config.backends.kubo_api is None


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    environ = {"PINAKOTHEK_BACKENDS_S3_SECRET_ACCESS_KEY": "hush"}
    write(tmp_path, '[backends.kubo]\nauthorization = "Bearer hush"\n')
    effective = load(tmp_path, environ)
    assert effective.config.backends.s3_secret_access_key == "hush"
    assert "hush" not in json.dumps([(s.name, s.value, s.source) for s in effective.settings])
    assert "hush" not in repr(effective)
    write(tmp_path, "[backends.s3]\nsecret_access_key = 5150\n")
    with pytest.raises(Usage) as refused:
        load(tmp_path, {})
    assert "5150" not in refused.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[backends.local]\ndirectory = "a"', "config.toml: backends.local.directory: a: expected an absolute path"),
        ('[backends.local]\nfolder = "/a"', "config.toml: backends.local.folder: no such setting"),
        ("backends = 5", "config.toml: backends: no such setting"),
        ('[backends.s3]\nurl = "http://a"', "config.toml: backends.s3.url: http://a: expected s3://…"),
        ('users_may_set_backends = "perhaps"', "config.toml: users_may_set_backends: perhaps: expected true or false"),
    ],
)
def test_a_wrong_backend_is_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(Usage) as refused:
        load(tmp_path, {})
    assert refused.value.message == message


def test_who_may_set_backends(tmp_path: Path) -> None:
    assert not load(tmp_path, {}).config.users_may_set_backends
    assert load(tmp_path, {}, {"users_may_set_backends": True}).config.users_may_set_backends
    assert load(tmp_path, {"PINAKOTHEK_USERS_MAY_SET_BACKENDS": "yes"}).config.users_may_set_backends
