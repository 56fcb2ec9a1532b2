"""The steward's part of `tests.fake_service`: a charter in memory, and one peer to expel."""

from dataclasses import replace

from node import governing, rows
from node.errors import RefusedByPolicy

ADA = "12D3KooWAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAda"
BOB = "12D3KooWBobBobBobBobBobBobBobBobBobBobBobBobBobBobBob"
WHEN = "2026-05-31T12:00:00Z"
FACTOR = rows.Replicas(min=2, max=3)
SOLE = "bafybeis6ndux577nw7wwbbnzmbeiuqomc3chxg2e5jymoiip7t7t7dg7oq"
CHARTER = governing.CharterRow(
    swarm="bafyswarm",
    number=3,
    hash="ab" * 32,
    name="archive",
    replicas=FACTOR,
    bounds=rows.Replicas(min=1, max=150),
    counts=("ipfs", "kubo"),
    backends=(),
    serve="anyone",
    trash_days=30,
    append_only=False,
    stewards=(ADA,),
    recovery="12D3KooWRecoveryRecoveryRecoveryRecoveryRecoveryRec",
    signed_by=ADA,
    signed_at=WHEN,
    steward_here=ADA,
    others=(
        governing.OtherCharter(
            hash="cd" * 32,
            number=3,
            signed_by=BOB,
            signed_at=WHEN,
            says={"name": "hers", "replicas": {"min": 1, "max": 1}},
        ),
    ),
)


class FakeGoverning:
    """Answers as `node.governing.Governing` says."""

    def __init__(self) -> None:
        super().__init__()
        self.constitution = CHARTER

    async def remove_flow(self, name: str) -> rows.FlowRow:
        if name != "old":
            raise RefusedByPolicy(f"flow {name}: has 2 live pins, 1 in the trash", hint="purge what it has, or wait")
        return rows.FlowRow(name=name, backend="ipfs", replicas=None, images=0)

    async def charter(self) -> governing.CharterRow:
        return self.constitution

    async def set_charter(self, request: governing.SetCharter) -> governing.CharterRow:
        asked = {name: getattr(request, name) for name in ("name", "replicas", "bounds", "serve", "trash_days")}
        changes = {name: value for name, value in asked.items() if value is not None}
        if request.backends is not None:
            changes["backends"] = request.backends
        self.constitution = replace(self.constitution, number=self.constitution.number + 1, others=(), **changes)
        return self.constitution

    async def add_steward(self, request: governing.AddSteward) -> governing.CharterRow:
        if request.recovery_key not in (None, "00ff"):
            raise RefusedByPolicy("not the recovery key of this swarm: its id is " + BOB)
        self.constitution = replace(self.constitution, stewards=(*self.constitution.stewards, request.key or BOB))
        return self.constitution

    async def remove_steward(self, request: governing.RemoveSteward) -> governing.CharterRow:
        if request.recovery_key != "00ff":
            raise RefusedByPolicy("not the recovery key of this swarm: its id is " + BOB)
        left = tuple(key for key in self.constitution.stewards if key != request.key)
        self.constitution = replace(self.constitution, stewards=left)
        return self.constitution

    async def expel(self, request: governing.Expel) -> governing.Expelled:
        if not request.force:
            raise RefusedByPolicy(
                f"{request.peer}: roots without another live copy: 1", hint="use --force", candidates=[SOLE]
            )
        return governing.Expelled(peer_id=BOB, name="bob", resigned=1204, dropped=0, sole_copies=1)
