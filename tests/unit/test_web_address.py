"""URLs of strangers: one form for each, and nothing that two readers could read differently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ingest.not_fetched import Forbidden
from node.ingest.public_address import parse_address
from node.ingest.web_address import WebAddress
from protocol.pin import safe_name


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("HTTP://Example.COM:80", "http://example.com/"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("http://example.com:8080/a?b=c#d", "http://example.com:8080/a?b=c"),
        ("http://example.com./a", "http://example.com/a"),
        ("  http://example.com/a\n", "http://example.com/a"),
        ("http://example.com/a\n/b", "http://example.com/a/b"),
        ("http://example.com/a/./b/../c/..", "http://example.com/a/"),
        ("http://example.com/../../a", "http://example.com/a"),
        ("http://example.com/%7euser/%2E%2e/%c3%a4", "http://example.com/%C3%A4"),
        ("http://example.com/ä b", "http://example.com/%C3%A4%20b"),
        ("http://example.com/a%2fb", "http://example.com/a%2Fb"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
        ("http://[2606:4700:0::1111]:8080/", "http://[2606:4700::1111]:8080/"),
        ("http://a_b.example/", "http://a_b.example/"),
    ],
)
def test_a_url_has_one_form(written: str, read: str) -> None:
    assert str(WebAddress.parse(written)) == read
    assert str(WebAddress.parse(read)) == read


@pytest.mark.parametrize(
    ("reference", "read"),
    [
        ("c.png", "https://example.com/a/c.png"),
        ("../c.png", "https://example.com/c.png"),
        ("/c.png", "https://example.com/c.png"),
        (".", "https://example.com/a/"),
        ("..", "https://example.com/"),
        ("../d/..?q=3", "https://example.com/?q=3"),
        ("//other.example/c.png", "https://other.example/c.png"),
        ("?q=2", "https://example.com/a/b?q=2"),
        ("", "https://example.com/a/b?q=1"),
        ("#there", "https://example.com/a/b?q=1"),
        ("http://other.example", "http://other.example/"),
    ],
)
def test_a_reference_is_read_on_its_page(reference: str, read: str) -> None:
    assert str(WebAddress.parse("https://example.com/a/b?q=1").join(reference)) == read


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "only http and https"),
        ("example.com/a", "only http and https"),
        ("ftp://example.com/", "not ftp"),
        ("file:///etc/passwd", "not file"),
        ("javascript:alert(1)", "not javascript"),
        ("data:image/png;base64,AAAA", "not data"),
        ("http:///a", "nothing: not a host name"),
        ("http://user@example.com/", "user name or password"),
        ("http://:secret@example.com/", "user name or password"),
        ("http://example.com\\@evil.example/", "not a URL"),
        ("http://evil.example\\.example.com/", "not a URL"),
        ("http://0x7f.1/", "four decimal numbers"),
        ("http://127.1/", "four decimal numbers"),
        ("http://2130706433/", "four decimal numbers"),
        ("http://0177.0.0.1/", "not a URL"),
        ("http://127.0.0.01/", "not a URL"),
        ("http://0x7f000001/", "four decimal numbers"),
        ("http://1.2.3.4.5/", "four decimal numbers"),
        ("http://example.0x/", "four decimal numbers"),
        ("http://%31%32%37.0.0.1/", "not a host name"),
        ("http://127.0.0.1%00.example.com/", "zone"),
        ("http://[fe80::1%25eth0]/", "zone"),
        ("http://[::1/", "not a URL"),
        ("http://１２７.0.0.1/", "not a URL"),
        ("http://ｌｏｃａｌｈｏｓｔ/", "not a URL"),
        ("http://a..b/", "not a host name"),
        ("http://-a.example/", "not a host name"),
        ("http://exam ple.com/", "not a host name"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:22/", "port 22"),
        ("http://example.com:25/", "port 25"),
        ("http://example.com:6667/", "port 6667"),
        ("http://example.com:65536/", "port 65536"),
        ("http://example.com/" + "a" * 2048, "longer than 2048"),
        ("http://example.com/" + "写" * 300, "longer than 2048"),  # nine characters each, as it is sent and kept
        ("http://" + "a" * 64 + ".example/", "not a host name"),
    ],
)
def test_what_is_not_fetched_says_why(written: str, reason: str) -> None:
    with pytest.raises(Forbidden) as refused:
        WebAddress.parse(written)
    assert reason in refused.value.message
    assert "\n" not in refused.value.message
    assert not refused.value.transient


URLS = st.one_of(
    st.text(max_size=60),
    st.builds("http://{}/{}".format, st.text(max_size=30), st.text(max_size=40)),
    st.from_regex(r"\Ahttps?://[a-z0-9.%:@\\\[\]x-]{1,30}(/[ -~]{0,30})?\Z"),
)


@given(URLS)
def test_any_text_is_read_into_a_fixed_point_or_refused(text: str) -> None:
    try:
        address = WebAddress.parse(text)
    except Forbidden:
        return
    assert WebAddress.parse(str(address)) == address
    assert address.host.isascii()
    assert parse_address(address.host) or address.host[-1].isalpha() or not address.host.rpartition(".")[2].isdecimal()
    assert address.target.startswith("/")
    assert not any(c.isspace() or ord(c) < 0x20 for c in address.target)
    assert safe_name(address.name)


@given(URLS)
def test_a_reference_stays_on_its_page_or_says_where_else(reference: str) -> None:
    page = WebAddress.parse("http://example.com/a/b")
    try:
        joined = page.join(reference)
    except Forbidden:
        return
    assert WebAddress.parse(str(joined)) == joined


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://example.com/a/Fotos%20%C3%A4.jpg?size=3", "Fotos ä.jpg"),
        ("http://example.com/", "example.com"),
        ("http://example.com/a%2F..%2F..%2Fetc", "a....etc"),
        ("http://example.com/%2e%2e", "example.com"),
        ("http://example.com/%00%0aa.png", "a.png"),
        ("http://[2606::1]/", "2606--1"),
        ("http://example.com/" + "a" * 300 + ".png", "a" * 196 + ".png"),
    ],
)
def test_a_name_for_the_file(url: str, name: str) -> None:
    assert WebAddress.parse(url).name == name
