"""What of a URL goes into a pin, which every member keeps: nothing that lets anybody in."""

import string
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ingest.shared_url import shared_url

PRESIGNED = (
    "https://b.s3.amazonaws.com/a.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260101%2Feu%2Fs3%2Faws4_request"
    "&X-Amz-Date=20260101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=deadbeef"
)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.jpg",
        "https://example.org/a.jpg?width=640&height=480",
        "https://example.org/index.php?title=File:Old_library_of_the_town_in_1893.jpg&page=2",
        "http://[2001:db8::1]:8080/a%20b.png?v=3",
        "https://proxy.example/?url=https%3A%2F%2Fexample.org%2Fa.jpg%3Fw%3D640&h=480",
    ],
)
def test_a_url_without_secrets_is_told_as_it_is(url: str) -> None:
    assert shared_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        PRESIGNED,
        "https://x.blob.core.windows.net/c/a.png?sv=2022-11-02&sr=b&sig=abc%3D&se=2026-01-01T00%3A00%3A00Z",
        "https://storage.googleapis.com/b/a.png?GoogleAccessId=me@x.iam&Expires=1&Signature=abc",
        "https://storage.googleapis.com/b/a.png?X-Goog-Signature=00",
        "https://cdn.discordapp.com/attachments/1/2/a.png?ex=6630aa01&is=65ddd001&hm=aa01",
        "https://example.org/a.jpg?w=1&access_token=x",
        "https://example.org/a.jpg?API-Key=x",
        "https://example.org/a.jpg?auth=x;w=2",
        "https://example.org/a.jpg?s=0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "https://example.org/a.jpg?0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "https://example.org/a.jpg?t=eyJhbGciOiJub25lIn0.e30.",
        "https://example.org/a.jpg?" + "&".join(f"a{n}=1" for n in range(200)),
        "https://proxy.example/?url=https%3A%2F%2Fme%3Aword%40example.org%2Fa.jpg",
        "https://proxy.example/?url=https%3A%2F%2Fexample.org%2Fa.jpg%3Fw%3D1%26access_token%3Dx",
        "https://proxy.example/?u=a%3Db%253Dc%25253Dd%2525253De%252525253Df",
        "https://example.org/a.jpg?" + "a=" * 4000,
    ],
)
def test_a_query_that_may_hold_a_secret_is_left_out(url: str) -> None:
    assert shared_url(url) == url.partition("?")[0]


def test_a_secret_in_a_path_is_left_out() -> None:
    assert shared_url("http://a.example/x;jsessionid=0F/b;v=1.jpg?w=1") == "http://a.example/x/b;v=1.jpg?w=1"


def test_user_and_fragment_are_left_out() -> None:
    assert (
        shared_url("https://me:word@example.org:8443/a.jpg?w=1#access_token=x") == "https://example.org:8443/a.jpg?w=1"
    )


def test_what_is_no_url_stays() -> None:
    assert shared_url("a page in an album") == "a page in an album"


names = st.sampled_from(["token", "X-Amz-Signature", "sig", "key", "Access_Token", "api_key", "session-id", "PASSWORD"])
words = st.text(string.ascii_lowercase, min_size=1, max_size=5)


@given(
    secret=st.text(min_size=6, max_size=40),
    name=names,
    others=st.dictionaries(words, words, max_size=3),
    last=st.booleans(),
)
def test_no_secret_under_a_known_name_is_ever_told(secret: str, name: str, others: dict[str, str], last: bool) -> None:
    fields = [*others.items(), (name, secret)] if last else [(name, secret), *others.items()]
    assert (
        shared_url(f"https://example.org/a.jpg?{urlencode(fields, errors='surrogatepass')}")
        == "https://example.org/a.jpg"
    )
