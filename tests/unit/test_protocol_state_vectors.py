"""The scenarios in `tests/vectors/state`: read from their files, merged in any order, and what came of them."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.charter import swarm_hash
from protocol.records import parse_record
from protocol.recordset import RecordSet
from tests.scenario_vectors import FOLDER, SCENARIOS, outcome, vector

FILES = sorted(FOLDER.glob("*.json"))


def test_the_files_are_what_the_scenarios_say() -> None:
    assert len(FILES) == len(SCENARIOS)
    for scenario in SCENARIOS:
        path = FOLDER / f"{scenario.__name__.replace('_', '-')}.json"
        assert json.loads(path.read_text()) == json.loads(json.dumps(vector(scenario))), path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_whatever_the_order_the_outcome_is_that_of_the_file(path: Path, data: st.DataObject) -> None:
    told = json.loads(path.read_text())
    raws = [bytes.fromhex(raw) for raw in told["records"]]
    records = RecordSet(swarm_hash(told["swarm"]))
    for raw in data.draw(st.permutations(raws)) + data.draw(st.lists(st.sampled_from(raws), max_size=4)):
        signed = parse_record(raw)
        assert signed is not None
        records.merge(signed, told["now_ms"])
    records.due(told["now_ms"])
    assert json.loads(json.dumps(outcome(records))) == told["outcome"]
