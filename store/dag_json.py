"""Find the links of a DAG-JSON block.

The standard library's parser recurses, so the depth is bounded by counting brackets before it runs.

Source: https://ipld.io/specs/codecs/dag-json/spec/
"""

import json
import re

from store.cid import parse_cid
from store.errors import DagMalformed, DagTooLarge

MAX_DEPTH = 128
"""Levels of lists and maps. A guess far above any real document."""

_TOKEN = re.compile(r'\\.|["\[\]{}]', re.DOTALL)


def json_links(block: bytes) -> list[bytes]:
    """Return the CIDs linked from a DAG-JSON block, in their order, repeats included.

    Raises:
        DagMalformed: not DAG-JSON.
        DagTooLarge: nested deeper than `MAX_DEPTH`.
        BadCid: a link that is no CID.
    """
    try:
        text = block.decode()
        _check_depth(text)
        document = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise DagMalformed(f"dag-json: {error}") from error
    except RecursionError as error:
        raise DagTooLarge("depth of dag-json", MAX_DEPTH + 1, MAX_DEPTH) from error
    links: list[bytes] = []
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += reversed(value)
        elif isinstance(value, dict):
            if value.keys() == {"/"}:
                links += _reserved(value["/"])
            else:
                waiting += reversed(value.values())
    return links


def _reserved(value: object) -> list[bytes]:
    """What stands under a map's only key `/`: a link, or bytes, which hold none."""
    if isinstance(value, str):
        return [parse_cid(value)]
    if isinstance(value, dict) and value.keys() == {"bytes"} and isinstance(value["bytes"], str):
        return []
    raise DagMalformed('dag-json: the key "/" is kept for links and bytes')


def _check_depth(text: str) -> None:
    depth, in_string = 0, False
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == '"':
            in_string = not in_string
        elif in_string or len(mark) > 1:
            continue
        elif mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise DagTooLarge("depth of dag-json", depth, MAX_DEPTH)
        else:
            depth -= 1


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")
