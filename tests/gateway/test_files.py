"""Files and directories by path, over real HTTP."""

import pytest

from store.cid import RAW, cid_of, cid_text
from tests.gateway.conftest import BIG_BYTES, Album
from tests.gateway.rig import at, read_all


@pytest.mark.parametrize("times", [1, 2])
def test_a_thumbnail_and_its_headers_the_same_from_disk_and_from_memory(album: Album, times: int) -> None:
    path = at(album.folder, "medium.webp")
    answer = [album.gateway.get(path) for _ in range(times)][-1]
    assert answer.status_code == 200
    assert answer.content == album.thumb_content
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "public, max-age=29030400, immutable"
    assert answer.headers["etag"] == f'"{cid_text(album.thumb)}"'
    assert answer.headers["x-ipfs-path"] == path
    assert answer.headers["x-ipfs-roots"] == f"{cid_text(album.folder)},{cid_text(album.thumb)}"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in answer.headers


def test_a_large_file_is_streamed_with_its_length(album: Album) -> None:
    answer = album.gateway.get(at(album.big))
    assert answer.content == album.big_content
    assert answer.headers["content-length"] == str(BIG_BYTES)


@pytest.mark.parametrize("name", ["medium.webp", "original.jpg", "empty"])
def test_head_is_get_without_the_body(album: Album, name: str) -> None:
    path = at(album.folder, name)
    head, get = album.gateway.client.head(path), album.gateway.get(path)
    assert head.content == b""
    wanted = {name: value for name, value in get.headers.items() if name != "date"}
    assert {name: value for name, value in head.headers.items() if name != "date"} == wanted


@pytest.mark.parametrize("tag", ['"{}"', 'W/"{}"', '"x", "{}"', "*"])
@pytest.mark.parametrize("name", ["medium.webp", "original.jpg"])
def test_who_has_it_is_told_so(album: Album, name: str, tag: str) -> None:
    cid = album.thumb if name == "medium.webp" else album.big
    answer = album.gateway.get(at(album.folder, name), if_none_match=tag.format(cid_text(cid)))
    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["etag"] == f'"{cid_text(cid)}"'
    assert "content-length" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "first", "last"), [("0-9", 0, 9), ("-5", -5, -1), ("1048570-1048585", 1048570, 1048585)]
)
def test_a_range(album: Album, asked: str, first: int, last: int) -> None:
    answer = album.gateway.get(at(album.big), range=f"bytes={asked}")
    first, last = first % BIG_BYTES, last % BIG_BYTES
    assert answer.status_code == 206
    assert answer.content == album.big_content[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{BIG_BYTES}"


def test_a_range_of_a_cached_thumbnail(album: Album) -> None:
    album.gateway.get(at(album.thumb))
    answer = album.gateway.get(at(album.thumb), range="bytes=100-199")
    assert (answer.status_code, answer.content) == (206, album.thumb_content[100:200])


def test_a_range_outside_the_file(album: Album) -> None:
    answer = album.gateway.get(at(album.big), range="bytes=99999999-")
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{BIG_BYTES}"
    assert answer.headers["cache-control"] == "no-store"


def test_a_range_of_another_version_gets_the_whole(album: Album) -> None:
    tag = f'"{cid_text(album.thumb)}"'
    assert album.gateway.get(at(album.thumb), range="bytes=0-9", if_range=tag).status_code == 206
    for other in ('"other"', f"W/{tag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        answer = album.gateway.get(at(album.thumb), range="bytes=0-9", if_range=other)
        assert (answer.status_code, answer.content) == (200, album.thumb_content)


def test_an_identity_cid_is_a_file(album: Album) -> None:
    answer = album.gateway.get("/ipfs/bafkqaaa")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert album.gateway.get("/ipfs/bafkqabtimvwgy3yk").content == b"hello\n"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ipfs/", 400),
        ("/ipfs/nonsense", 400),
        ("/ipfs/Qm%00", 400),
        ("/ipfs/" + "b" * 5000, 400),
        ("/elsewhere", 404),
        ("/", 404),
        ("/ipfs", 404),
        ("/images/x", 404),
    ],
)
def test_what_is_no_content_path(album: Album, path: str, status: int) -> None:
    answer = album.gateway.get(path)
    assert answer.status_code == status
    assert answer.text.count("\n") == 1
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "names", [("absent",), ("medium.webp", "below"), ("deep", "absent"), ("deep", "..", "medium.webp")]
)
def test_names_that_lead_nowhere(album: Album, names: tuple[str, ...]) -> None:
    assert album.gateway.status(at(album.folder, *names)) == 404


@pytest.mark.parametrize("name", ["%2e%2e", "..", "%ff", "%5Cxff"])
def test_dots_and_odd_bytes_in_a_path_are_names_and_nothing_else(album: Album, name: str) -> None:
    request = f"GET {at(album.odd, name)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with album.gateway.raw(request.encode()) as channel:
        head, _, body = read_all(channel).partition(b"\r\n\r\n")
    assert (head[:12], body) == (b"HTTP/1.1 200", b"dots")


def test_more_segments_than_anyone_nests(album: Album) -> None:
    assert album.gateway.get(at(album.folder, *["a"] * 500)).status_code == 400


def test_a_name_of_any_characters_is_listed_and_found(album: Album) -> None:
    page = album.gateway.get(at(album.folder) + "/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "ünï 100%?#&amp;&lt;b&gt;.png" in page.text
    link = at(album.folder, "%C3%BCn%C3%AF%20100%25%3F%23%26%3Cb%3E.png")
    assert f'href="{link}"' in page.text
    answer = album.gateway.get(link)
    assert (answer.content, answer.headers["content-type"]) == (b"odd name", "image/png")
    assert answer.headers["x-ipfs-path"] == link


def test_a_directory_without_its_slash_is_redirected(album: Album) -> None:
    answer = album.gateway.get(at(album.folder, "deep") + "?x=1")
    assert answer.status_code == 301
    assert answer.headers["location"] == at(album.folder, "deep") + "/?x=1"


def test_a_listing_has_a_weak_tag_and_no_scripts(album: Album) -> None:
    page = album.gateway.get(at(album.folder) + "/")
    assert page.headers["etag"].startswith('W/"DirIndex')
    assert "immutable" not in page.headers["cache-control"]
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert album.gateway.get(at(album.folder) + "/", if_none_match=page.headers["etag"]).status_code == 304


def test_an_index_stands_for_its_directory_but_runs_no_scripts(album: Album) -> None:
    answer = album.gateway.get(at(album.site) + "/")
    assert answer.text == "<h1>index</h1>"
    assert answer.headers["etag"] == f'"{cid_text(album.site)}"'
    assert answer.headers["x-ipfs-path"] == at(album.site) + "/"
    assert answer.headers["x-ipfs-roots"] == cid_text(album.site)
    assert album.gateway.get(at(album.site) + "/", if_none_match=answer.headers["etag"]).status_code == 304
    assert answer.headers["content-security-policy"].startswith("sandbox;")


@pytest.mark.parametrize(("name", "active"), [("page.html", True), ("drawing.svg", True), ("notes", False)])
def test_what_browsers_run_is_sandboxed(album: Album, name: str, active: bool) -> None:
    answer = album.gateway.get(at(album.folder, name))
    assert ("content-security-policy" in answer.headers) is active


def test_the_type_of_a_nameless_file_is_that_of_its_bytes(album: Album) -> None:
    assert album.gateway.get(at(album.thumb)).headers["content-type"] == "application/octet-stream"
    notes = cid_of(RAW, b"plain words\n")
    assert album.gateway.get(at(notes)).headers["content-type"] == "text/plain; charset=utf-8"


def test_a_download_is_named(album: Album) -> None:
    answer = album.gateway.get(at(album.thumb) + "?download=true&filename=Z%C3%BCrich%22%0d%0a.webp")
    wanted = "attachment; filename=\"Z_rich___.webp\"; filename*=UTF-8''Z%C3%BCrich%22%0D%0A.webp"
    assert answer.headers["content-disposition"] == wanted


def test_nothing_can_be_written(album: Album) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = album.gateway.client.request(method, at(album.thumb))
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    answer = album.gateway.client.options(at(album.thumb), headers={"origin": "https://example.org"})
    assert answer.status_code == 204
    assert "GET" in answer.headers["access-control-allow-methods"]


def test_only_if_cached(album: Album) -> None:
    asked = {"cache_control": "only-if-cached"}
    assert album.gateway.get(at(album.folder, "medium.webp"), **asked).status_code == 200
    assert album.gateway.get(at(cid_of(RAW, b"nobody has it")), **asked).status_code == 412
    assert album.gateway.get(at(album.folder, "absent"), **asked).status_code == 412
    assert album.gateway.get("/ipfs/nonsense", **asked).status_code == 400


def test_a_block_that_no_daemon_can_be_asked_for(album: Album) -> None:
    answer = album.gateway.get(at(cid_of(RAW, b"elsewhere")))
    assert (answer.status_code, answer.text) == (503, "the daemon does not answer\n")


def test_it_is_alive_but_not_ready_without_a_daemon(album: Album) -> None:
    assert album.gateway.get("/healthz").text == "ok\n"
    assert album.gateway.get("/readyz").status_code == 503
    assert "pinakothek_gateway_answers_total" in album.gateway.get("/metrics").text
