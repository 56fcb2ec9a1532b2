"""Single blocks and archives, for clients that verify what they are given."""

import io

import pytest

from store.car import CarReader
from store.cid import RAW, cid_of, cid_text
from store.dag import links, walk
from tests.gateway.conftest import Album
from tests.gateway.rig import at

CAR = "application/vnd.ipld.car"


@pytest.mark.parametrize("by_header", [True, False])
@pytest.mark.parametrize("what", ["thumb", "big", "folder", "cbor"])
def test_a_block_as_it_is(album: Album, what: str, by_header: bool) -> None:
    cid = getattr(album, what)
    if by_header:
        answer = album.gateway.get(at(cid), accept="application/vnd.ipld.raw")
    else:
        answer = album.gateway.get(at(cid) + "?format=raw")
    assert answer.status_code == 200
    assert answer.content == album.dags.blocks[cid]
    assert answer.headers["content-type"] == "application/vnd.ipld.raw"
    assert answer.headers["etag"] == f'"{cid_text(cid)}.raw"'
    assert answer.headers["content-disposition"] == f'attachment; filename="{cid_text(cid)}.bin"'
    assert answer.headers["cache-control"].endswith("immutable")


def test_a_block_by_path_with_a_head_a_range_and_a_tag(album: Album) -> None:
    path = at(album.folder, "medium.webp") + "?format=raw"
    assert album.gateway.client.head(path).headers["content-length"] == str(len(album.thumb_content))
    assert album.gateway.get(path, range="bytes=5-9").content == album.thumb_content[5:10]
    assert album.gateway.get(path, if_none_match=f'"{cid_text(album.thumb)}.raw"').status_code == 304
    assert album.gateway.get(path, if_none_match=f'"{cid_text(album.thumb)}"').status_code == 200


def test_the_block_of_a_folder_is_no_redirect_and_a_cached_thumbnail_no_block(album: Album) -> None:
    album.gateway.get(at(album.thumb))
    assert album.gateway.get(at(album.thumb) + "?format=raw").headers["content-type"] == "application/vnd.ipld.raw"
    assert album.gateway.get(at(album.folder), accept="application/vnd.ipld.raw").status_code == 200


def archived(album: Album, path: str, **headers: str) -> tuple[list[bytes], list[bytes]]:
    answer = album.gateway.get(path, **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"{CAR}; version=1; order=dfs; dups=n"
    assert answer.headers["etag"].startswith('W/"')
    reader = CarReader(io.BytesIO(answer.content))
    return reader.roots, [frame.cid for frame in reader]


def test_a_whole_dag(album: Album) -> None:
    roots, cids = archived(album, at(album.folder) + "?format=car")
    assert roots == [album.folder]
    blocks = album.dags.blocks
    assert sorted(cids) == sorted(visited.cid for visited in walk(album.folder, blocks.__getitem__))
    deep = links(album.folder, blocks[album.folder])[0]
    assert cids[:3] == [album.folder, deep, album.thumb], "a block comes where it is met first"


def test_the_way_to_a_file_is_in_its_archive(album: Album) -> None:
    deep = album.gateway.get(at(album.folder, "deep", "medium.webp")).headers["x-ipfs-roots"].split(",")
    roots, cids = archived(album, at(album.folder, "deep", "medium.webp"), accept=CAR)
    assert roots == [album.thumb]
    assert [cid_text(cid) for cid in cids] == deep


def test_scopes(album: Album) -> None:
    blocks = album.dags.blocks
    leaves = [visited.cid for visited in walk(album.big, blocks.__getitem__)]
    for query, wanted in (
        ("dag-scope=block", [album.folder, album.big]),
        ("dag-scope=entity", [album.folder, *leaves]),
        ("entity-bytes=0:9", [album.folder, *leaves[:2]]),
        ("dag-scope=entity&entity-bytes=1048570:1048585", [album.folder, leaves[0], *leaves[1:3]]),
    ):
        _, cids = archived(album, at(album.folder, "original.jpg") + f"?format=car&{query}")
        assert cids == wanted, query
    assert archived(album, at(album.folder) + "?format=car&dag-scope=entity")[1] == [album.folder]
    assert archived(album, at(album.cbor) + "?format=car&dag-scope=entity")[1] == [album.cbor]


def test_an_archive_has_a_head_and_a_tag_for_each_question(album: Album) -> None:
    path = at(album.folder) + "?format=car"
    head = album.gateway.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert album.gateway.get(path, if_none_match=head.headers["etag"]).status_code == 304
    assert album.gateway.get(path + "&dag-scope=block", if_none_match=head.headers["etag"]).status_code == 200


def test_an_identity_cid_has_an_archive_without_blocks(album: Album) -> None:
    assert archived(album, "/ipfs/bafkqaaa?format=car")[1] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("format=tar", 406),
        ("format=", 406),
        ("format=car&car-version=2", 406),
        ("format=car&dag-scope=some", 400),
        ("format=car&entity-bytes=9:3", 400),
        ("format=car&entity-bytes=x", 400),
        ("&".join(f"a{n}=1" for n in range(100)), 400),
    ],
)
def test_forms_that_are_not_made(album: Album, query: str, status: int) -> None:
    assert album.gateway.get(at(album.folder) + "?" + query).status_code == status


def test_other_media_types_of_ipld_are_refused_and_those_of_browsers_are_not(album: Album) -> None:
    assert album.gateway.get(at(album.thumb), accept="application/vnd.ipld.dag-json").status_code == 406
    assert album.gateway.get(at(album.thumb), accept="text/html,image/webp,*/*;q=0.8").status_code == 200


def test_a_codec_that_is_no_file_says_how_to_have_it(album: Album) -> None:
    answer = album.gateway.get(at(album.cbor))
    assert answer.status_code == 501
    assert "?format=raw" in answer.text


def test_a_codec_that_we_do_not_follow_is_an_error_from_the_start(album: Album) -> None:
    assert album.gateway.get("/ipfs/bafiqaalc?format=car").status_code == 501


def test_an_archive_of_what_is_not_here_is_an_error_from_the_start(album: Album) -> None:
    assert album.gateway.get(at(cid_of(RAW, b"elsewhere")) + "?format=car").status_code == 503
