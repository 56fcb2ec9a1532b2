"""Each patch of libp2p is needed: without it the regression test of its defect fails.

A test that passes with and without its patch guards nothing. Each is run in a process of its own, with one patch left out
by the plugin `tests.net.without_patch`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from protocol.net.patches import NAMES

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 3

GUARDS = {
    "noise_only": [
        "test_impersonation.py::test_nobody_is_accepted_as_a_friend_over_plaintext",
        "test_impersonation.py::test_nobody_is_reached_as_a_friend_over_plaintext",
    ],
    "inbound_slots": [
        "test_connections.py::test_an_inbound_connection_leaves_no_task_behind",
        "test_connections.py::test_260_inbound_connections_in_sequence_leave_nothing_behind",
        "test_gate.py::test_silent_sockets_keep_no_member_out",
    ],
    "containment": [
        "test_containment.py::test_an_exception_in_a_handler_costs_the_peer_its_connection",
        "test_containment.py::test_garbage_on_gossip_costs_the_sender_its_connection[no-protobuf]",
        "test_containment.py::test_garbage_on_gossip_costs_the_sender_its_connection[bad-key]",
        "test_containment.py::test_random_bytes_on_every_protocol_and_on_the_bare_socket",
    ],
    "atomic_frames": ["test_muxer.py::test_a_write_cut_by_a_deadline_costs_no_connection"],
    "stream_slots": ["test_muxer.py::test_an_abandoned_opening_gives_its_place_back"],
    "half_open": [
        "test_watchdog.py::test_a_frozen_peer_is_noticed",
        "test_watchdog.py::test_a_frozen_peer_is_noticed_while_writes_to_it_are_stuck",
    ],
    "strict_frames": [
        "test_muxer.py::test_sending_beyond_the_granted_window_costs_the_connection",
        "test_hostile_streams.py::test_a_frame_that_makes_no_sense_costs_the_connection[type]",
    ],
    "gossip_constants": [
        "test_gossip_patches.py::test_a_burst_arrives_whole",
        "test_gossip_patches.py::test_the_router_beats_every_second_and_keeps_nothing_for_ever",
        "test_hostile_gossip.py::test_what_a_deaf_peer_asks_for_is_bounded_by_its_bytes",
    ],
    "window_updates": ["test_muxer.py::test_reading_bytes_one_by_one_sends_no_window_update_for_each"],
    "pubsub_frames": ["test_gossip_patches.py::test_messages_are_read_from_a_buffer"],
    "peer_records": ["test_gossip_patches.py::test_the_senders_address_record_is_made_once"],
    "standing": [
        "test_gate.py::test_a_stranger_sees_only_what_is_open_to_strangers",
        "test_gate.py::test_a_change_of_standing_closes_the_connection_and_counts_on_the_next",
        "test_gate.py::test_one_stranger_has_few_connections_and_few_streams",
    ],
    "sequence_numbers": ["test_gossip_patches.py::test_messages_right_after_a_restart_are_new"],
    "double_delivery": [
        "test_gossip_patches.py::test_a_message_from_two_neighbours_is_delivered_once_while_a_validator_waits"
    ],
    "forged_gossip": ["test_hostile_gossip.py::test_gossip_that_no_honest_peer_sends_costs_the_connection[forged]"],
    "short_negotiations": [
        "test_hostile_streams.py::test_a_negotiation_that_is_none_costs_the_connection[overlong]",
        "test_hostile_streams.py::test_a_negotiation_that_is_none_costs_the_connection[no-text]",
    ],
    "ping_memory": ["test_connections.py::test_nobody_who_pinged_is_remembered"],
    "listen_ports": ["test_connections.py::test_a_port_in_use_is_refused_by_name"],
    "raw_reads": ["test_connection_costs.py::test_the_length_of_a_message_is_not_read_on_its_own"],
    "whole_frames": ["test_connection_costs.py::test_a_frame_does_not_spill_into_a_second_message"],
}


def test_every_patch_has_a_guard() -> None:
    assert sorted(GUARDS) == sorted(NAMES)


Outcome = Future["subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[dict[tuple[str, str], Outcome]]:
    """The runs of all the guards that were chosen, a few at a time: most of a run is waiting for what does not come."""
    chosen = [item.callspec.params for item in request.session.items if "guard" in getattr(item, "fixturenames", ())]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {(one["patch"], one["guard"]): pool.submit(run_without, one["patch"], one["guard"]) for one in chosen}
        pool.shutdown(cancel_futures=True)


def run_without(patch: str, guard: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.net.without_patch", "--timeout=180", f"tests/net/{guard}"],
        cwd=ROOT,
        env={**os.environ, "PINAKOTHEK_TEST_WITHOUT_PATCH": patch},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("patch", "guard"), [(patch, guard) for patch, guards in GUARDS.items() for guard in guards])
def test_the_guard_fails_without_its_patch(outcomes: dict[tuple[str, str], Outcome], patch: str, guard: str) -> None:
    done = outcomes[patch, guard].result()
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    assert "1 failed" in done.stdout
