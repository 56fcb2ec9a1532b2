"""Leases: what an owner promises, what an asker needs, and that no interleaving lets too much go."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.leases import (
    LEASE_MS,
    MAX_LEASES_PER_ROOT,
    MAX_OVER,
    ROUND_MS,
    Cancel,
    Granted,
    Lease,
    Leases,
    Proceed,
    Refused,
    ReleaseRound,
)

ROOT = b"root" * 9


def ask(
    owner: Leases, asker: str, nonce: bytes = b"n", *, now_ms: int = 0, known_max: int = 2, wanted_max: int = 2
) -> Granted | Refused:
    return owner.ask(ROOT, "ipfs", asker, wanted_max, nonce=nonce, now_ms=now_ms, complete=True, known_max=known_max)


def begun(leases: Leases, needed: str, nonce: bytes = b"n", *, now_ms: int = 0) -> None:
    started = leases.begin(ROOT, "ipfs", needed, len(needed), nonce=nonce, now_ms=now_ms)
    assert not isinstance(started, Refused)


def lease(owner: str, to: str, nonce: bytes = b"n") -> Lease:
    return Lease(root=ROOT, kind="ipfs", owner=owner, to=to, nonce=nonce, max=2, until_ms=LEASE_MS)


def test_a_grant_binds_its_owner_until_it_ends() -> None:
    owner = Leases("b")
    granted = ask(owner, "a", now_ms=5)
    assert isinstance(granted, Granted)
    assert granted.lease.until_ms == 5 + LEASE_MS
    assert owner.bound(ROOT, "ipfs", 4 + LEASE_MS)
    refused = owner.begin(ROOT, "ipfs", "cd", 2, nonce=b"x", now_ms=6)
    assert isinstance(refused, Refused)
    assert refused.reason == "leased"
    assert not owner.bound(ROOT, "s3", 6)
    assert not owner.bound(ROOT, "ipfs", 5 + LEASE_MS)
    assert owner.expire(5 + LEASE_MS) == (granted.lease,)
    assert owner.leases() == ()


def test_leases_of_an_asker_that_started_anew_are_over_and_no_others() -> None:
    owner = Leases("b")
    for asker in ("a", "c"):
        ask(owner, asker, asker.encode())
    assert [lease.to for lease in owner.over("a")] == ["a"]
    assert [lease.to for lease in owner.leases()] == ["c"]
    assert owner.over("a") == ()


def test_leases_survive_a_restart() -> None:
    owner = Leases("b")
    ask(owner, "a")
    again = Leases("b", [Lease.from_bytes(one.to_bytes()) for one in owner.leases()])
    assert again.leases() == owner.leases()
    assert again.bound(ROOT, "ipfs", LEASE_MS - 1)


@pytest.mark.parametrize("raw", [b"", b"\xff", b"\x80", b"\x87\x01\x02\x03\x04\x05\x06\x07", b"\xa0"])
def test_what_is_no_lease_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a lease"):
        Lease.from_bytes(raw)


def test_an_owner_refuses_what_it_cannot_promise() -> None:
    owner = Leases("b")
    incomplete = owner.ask(ROOT, "ipfs", "a", 2, nonce=b"n", now_ms=0, complete=False, known_max=2)
    blocked = owner.ask(ROOT, "ipfs", "a", 2, nonce=b"n", now_ms=0, complete=True, known_max=2, blocked="recovering")
    higher = ask(owner, "a", known_max=3)
    begun(owner, "cd")
    releasing = ask(owner, "a")
    refusals = [incomplete, blocked, higher, releasing]
    assert [r.reason for r in refusals if isinstance(r, Refused)] == [
        "incomplete",
        "blocked",
        "higher_max",
        "releasing",
    ]
    assert owner.leases() == ()


def test_of_two_that_ask_each_other_the_lower_is_granted() -> None:
    lower, higher = Leases("a"), Leases("b")
    begun(lower, "bc", b"1")
    begun(higher, "ac", b"2")
    refused = ask(lower, "b", b"2")
    granted = ask(higher, "a", b"1")
    assert isinstance(refused, Refused)
    assert isinstance(granted, Granted)
    assert granted.cancelled is not None
    assert granted.cancelled.give_back == {"a", "c"}
    late = higher.granted(lease("c", "b", b"2"), proven=True, now_ms=1)
    assert isinstance(late, Cancel), "its own round is over"
    assert not higher.may_release_now(b"2", 1)


def test_a_round_that_is_decided_yields_to_nobody() -> None:
    asker = Leases("b")
    begun(asker, "ac")
    assert asker.granted(lease("a", "b"), proven=True, now_ms=1) is None
    assert asker.granted(lease("c", "b"), proven=True, now_ms=1) == Proceed(nonce=b"n")
    assert isinstance(ask(asker, "a", b"other"), Refused)
    assert asker.may_release_now(b"n", 2)
    assert not asker.may_release_now(b"n", ROUND_MS), "frozen between the answer and the release"
    over = asker.finish(b"n")
    assert over is not None
    assert over.give_back == {"a", "c"}
    assert not asker.may_release_now(b"n", 2)


def test_refusal_silence_and_a_wrong_proof_cancel() -> None:
    asker = Leases("b")
    begun(asker, "ac", b"1")
    assert isinstance(asker.refused(b"1", "c", "incomplete"), Cancel)
    begun(asker, "ac", b"2")
    assert isinstance(asker.granted(lease("a", "b", b"2"), proven=False, now_ms=1), Cancel)
    begun(asker, "ac", b"3")
    assert asker.granted(lease("a", "b", b"3"), proven=True, now_ms=1) is None
    assert asker.tick(ROUND_MS - 1) == ()
    (late,) = asker.tick(ROUND_MS)
    assert late.reason == "no answer from c"


def test_answers_that_were_not_asked_for_change_nothing() -> None:
    asker = Leases("b")
    begun(asker, "ac")
    assert asker.granted(lease("z", "b"), proven=True, now_ms=1) is None
    assert asker.granted(lease("a", "z"), proven=True, now_ms=1) is None
    assert asker.granted(lease("a", "b"), proven=True, now_ms=1) is None
    assert asker.granted(lease("a", "b"), proven=True, now_ms=1) is None
    assert asker.refused(b"n", "z", "no") is None
    assert not asker.may_release_now(b"n", 1)


def test_giving_back_ends_that_round_s_lease_only() -> None:
    owner = Leases("b")
    ask(owner, "a", b"1")
    ask(owner, "a", b"2")
    assert owner.given_back(ROOT, "ipfs", "c", b"2") is None
    assert owner.given_back(ROOT, "ipfs", "a", b"1") is not None
    assert owner.bound(ROOT, "ipfs", 1)
    assert owner.given_back(ROOT, "ipfs", "a", b"2") is not None
    assert not owner.bound(ROOT, "ipfs", 1)
    assert owner.expire(LEASE_MS) == ()


def test_an_ask_that_comes_after_its_round_was_given_up_binds_nobody() -> None:
    owner = Leases("b")
    assert owner.given_back(ROOT, "ipfs", "a", b"1") is None
    assert isinstance(ask(owner, "a", b"1"), Refused)
    assert not owner.bound(ROOT, "ipfs", 1)
    assert isinstance(ask(owner, "a", b"2"), Granted)
    for number in range(MAX_OVER + 1):
        owner.given_back(ROOT, "ipfs", "c", b"%d" % number)
    assert isinstance(ask(owner, "a", b"1"), Granted)


def test_too_few_to_ask_is_a_bug() -> None:
    with pytest.raises(ValueError, match="1 peers to ask where 2"):
        Leases("b").begin(ROOT, "ipfs", "bc", 2, nonce=b"n", now_ms=0)


def test_one_root_binds_an_owner_to_so_many() -> None:
    owner = Leases("b")
    for number in range(MAX_LEASES_PER_ROOT):
        assert isinstance(ask(owner, f"p{number}"), Granted)
    last = ask(owner, "one more")
    assert isinstance(last, Refused)
    assert last.reason == "too_many"


PEERS = "abcd"
VERBS = ["begin"] * 4 + ["deliver"] * 12 + ["release"] * 2 + ["carry out"] + ["crash", "drop", "wait"]


@settings(max_examples=300, deadline=None)
@given(copies=st.integers(1, 2), seed=st.integers(0, 1 << 32))
def test_no_interleaving_releases_below_max(copies: int, seed: int) -> None:
    """Any peer may ask any others at any time, whatever it believes: invariant 1."""
    random = Random(seed)
    swarm = Interleaving(copies, set(PEERS))
    for _ in range(100):
        swarm.step(random.choice(VERBS), random.randrange(1000), random.randrange(1000))
    assert len(swarm.holders) >= copies


class Interleaving:
    """Peers, letters under way and a clock, driven by a script."""

    def __init__(self, copies: int, holders: set[str]) -> None:
        self.copies, self.holders, self.now_ms, self.rounds = copies, set(holders), 0, 0
        self.machines = {name: Leases(name) for name in PEERS}
        self.ready: dict[bytes, str] = {}
        self.under_way: list[tuple[bytes, str]] = []
        self.letters: list[tuple[str, str, bytes, Granted | Refused | Cancel | None]] = []

    def step(self, verb: str, pick: int, detail: int) -> None:
        name = PEERS[pick % len(PEERS)]
        if verb == "begin" and name in self.holders:
            self.begin(name, detail)
        elif verb == "deliver" and self.letters:
            self.deliver(*self.letters.pop(pick % len(self.letters)))
        elif verb == "drop" and self.letters:
            self.letters.pop(pick % len(self.letters))
        elif verb == "crash":
            self.machines[name] = Leases(name, self.machines[name].leases())
            self.under_way = [one for one in self.under_way if one[1] != name]
        elif verb == "release" and self.ready:
            self.release(*self.ready.popitem())
        elif verb == "carry out" and self.under_way:
            self.carry_out(*self.under_way.pop(0))
        elif verb == "wait":
            while self.under_way:  # a transaction takes no hour
                self.carry_out(*self.under_way.pop(0))
            self.now_ms += detail * 60 if pick % 2 else detail * 4000
            for who, machine in self.machines.items():
                for late in machine.tick(self.now_ms):
                    self.give_back(who, late)
                machine.expire(self.now_ms)

    def begin(self, name: str, detail: int) -> None:
        others = [p for p in PEERS if p != name]
        needed = [others[(detail + n) % len(others)] for n in range(self.copies)]
        self.rounds += 1
        nonce = self.rounds.to_bytes(4, "big")
        machine = self.machines[name]
        if not isinstance(machine.begin(ROOT, "ipfs", needed, self.copies, nonce=nonce, now_ms=self.now_ms), Refused):
            self.letters += [(name, owner, nonce, None) for owner in needed]

    def deliver(self, frm: str, to: str, nonce: bytes, letter: Granted | Refused | Cancel | None) -> None:
        machine = self.machines[to]
        if letter is None:
            answer = machine.ask(
                ROOT,
                "ipfs",
                frm,
                self.copies,
                nonce=nonce,
                now_ms=self.now_ms,
                complete=to in self.holders,
                known_max=self.copies,
            )
            self.letters.append((to, frm, nonce, answer))
            if isinstance(answer, Granted) and answer.cancelled:
                self.give_back(to, answer.cancelled)
        elif isinstance(letter, Cancel):
            machine.given_back(ROOT, "ipfs", frm, nonce)
        elif isinstance(letter, Refused):
            if over := machine.refused(nonce, frm, letter.detail):
                self.give_back(to, over)
        else:
            outcome = machine.granted(letter.lease, proven=True, now_ms=self.now_ms)
            if isinstance(outcome, Proceed):
                self.ready[nonce] = to
            elif outcome is not None:
                self.give_back(to, outcome)

    def give_back(self, frm: str, over: Cancel) -> None:
        self.letters += [(frm, owner, over.nonce, over) for owner in over.give_back]

    def release(self, nonce: bytes, name: str) -> None:
        """Ask once more, then hand the copy to the store's transaction: letters may arrive before that ends."""
        if self.machines[name].may_release_now(nonce, self.now_ms):
            self.under_way.append((nonce, name))
        else:
            self.finish(nonce, name)

    def carry_out(self, nonce: bytes, name: str) -> None:
        self.holders.discard(name)
        bound = [o for o in self.holders if self.machines[o].bound(ROOT, "ipfs", self.now_ms)]
        assert len(bound) >= self.copies
        self.finish(nonce, name)

    def finish(self, nonce: bytes, name: str) -> None:
        if over := self.machines[name].finish(nonce):
            self.give_back(name, over)


@settings(max_examples=300, deadline=None)
@given(copies=st.integers(1, 3), seed=st.integers(0, 1 << 32))
def test_no_interleaving_leaves_a_kind_below_max_on_the_new_one(copies: int, seed: int) -> None:
    """Peers let copies go on the old kind, counting their own on the new one, while surplus ones go there: invariant 1."""
    random = Random(seed)
    swarm = Moving(copies, set(PEERS))
    for _ in range(100):
        swarm.step(random.choice([*VERBS, "leave", "leave"]), random.randrange(1000), random.randrange(1000))
    assert len(swarm.holders) >= copies


class Moving(Interleaving):
    """All peers hold the root on two kinds; `holders` are those of the new one, named ipfs as ever."""

    def __init__(self, copies: int, holders: set[str]) -> None:
        super().__init__(copies, holders)
        self.old = set(holders)
        self.leaving: set[bytes] = set()

    def begin(self, name: str, detail: int) -> None:
        if self.copies < len(PEERS):
            super().begin(name, detail)

    def step(self, verb: str, pick: int, detail: int) -> None:
        if verb != "leave":
            super().step(verb, pick, detail)
            return
        name = PEERS[pick % len(PEERS)]
        if name not in self.old:
            return
        needed = [PEERS[(detail + n) % len(PEERS)] for n in range(self.copies)]
        if name in needed and name not in self.holders:
            return
        self.rounds += 1
        nonce = self.rounds.to_bytes(4, "big")
        machine = self.machines[name]
        begun = machine.begin(ROOT, "old", needed, self.copies, nonce=nonce, now_ms=self.now_ms, kept_on="ipfs")
        if isinstance(begun, Refused):
            return
        self.leaving.add(nonce)
        if begun.needed:
            self.letters += [(name, owner, nonce, None) for owner in begun.needed]
        else:
            self.ready[nonce] = name

    def carry_out(self, nonce: bytes, name: str) -> None:
        if nonce not in self.leaving:
            super().carry_out(nonce, name)
            return
        self.old.discard(name)
        bound = [o for o in self.holders - {name} if self.machines[o].bound(ROOT, "ipfs", self.now_ms)]
        assert len(bound) + (name in self.holders) >= self.copies
        self.finish(nonce, name)


def test_a_move_counts_its_own_copy_on_the_new_kind_only() -> None:
    machine = Leases("a")
    with pytest.raises(ValueError, match="1 peers to ask where 2 leases"):
        machine.begin(ROOT, "ipfs", "ab", 2, nonce=b"n", now_ms=0)
    begun = machine.begin(ROOT, "ipfs", "ab", 2, nonce=b"n", now_ms=0, kept_on="local")
    assert isinstance(begun, ReleaseRound)
    assert begun.needed == {"b"}
    again = machine.begin(ROOT, "local", "bc", 2, nonce=b"m", now_ms=0)
    assert isinstance(again, Refused), "its copy on the new kind stays while the round runs"


def test_no_lease_that_was_kept_binds_for_more_than_an_hour_from_a_start() -> None:
    """It was given while the clock was a year ahead."""
    year_ms = 365 * 24 * LEASE_MS
    given = ask(Leases("b"), "a", now_ms=year_ms)
    assert isinstance(given, Granted)
    again = Leases("b", [given.lease], now_ms=5)
    assert again.bound(ROOT, "ipfs", 4 + LEASE_MS)
    assert not again.bound(ROOT, "ipfs", 5 + LEASE_MS)
