"""One example of every record, signed statement and message that crosses the wire, each from fixed keys and values.

`python -m tests.wire_examples` writes the vectors in `tests/vectors/wire`; the tests check them both ways. A vector that
changes is a wire format that changes: peers in the field would no longer understand one another.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protocol import messages as m
from protocol.admission import CURATOR, KEEPER
from protocol.certificate import Certificate, open_certificate, sign_certificate, sign_redemption
from protocol.errors import Reason
from protocol.identity import KeyPair
from protocol.leases import Lease
from protocol.places import END
from protocol.ranges import Part, pack
from protocol.records import (
    Admission,
    Charter,
    Departure,
    Expulsion,
    Flow,
    Pin,
    Replicas,
    parse_record,
    pin_id,
    sign_record,
)
from protocol.signed import open_kind
from protocol.stamp import Stamp

FOLDER = Path(__file__).parent / "vectors" / "wire"
PEER, OTHER, STEWARD, RECOVERY, INVITE = (KeyPair(bytes([n]) * 32) for n in range(1, 6))
ROOT = b"\x01\x70\x12\x20" + bytes(range(32))
OTHER_ROOT = b"\x01\x55\x12\x20" + bytes(range(32, 64))
DIGEST = bytes(range(100, 132))
STAMP = Stamp(1_800_000_000_000, 7)
SUMMARY = m.HoldingsSummary(epoch=3, seq=41, count=2, digest=DIGEST)

RECORDS = {
    "pin": Pin(
        id=pin_id("default", ROOT, "holiday/beach.jpg"),
        flow="default",
        root=ROOT,
        original=OTHER_ROOT,
        name="holiday/beach.jpg",
        media_type="image/jpeg",
        width_px=3840,
        height_px=2160,
        phash="ff00aa5500112233",
        size_bytes=1_234_567,
        replicas=Replicas(2, 3),
        added_at_ms=1_800_000_000_000,
        taken_at_ms=1_700_000_000_000,
        origin="https://example.org/beach",
        parent=ROOT,
        operations=("crop 0,0,100,100", "rotate 90"),
        sources=("/ip4/127.0.0.1/tcp/4001",),
        expires_ms=1_900_000_000_000,
        trashed_ms=1_850_000_000_000,
        deleted=True,
        stamp=STAMP,
    ),
    "pin-small": Pin(id=bytes(16), flow="default", root=ROOT, content="dag", backend="s3", stamp=STAMP),
    "flow": Flow(
        name="holiday",
        backend="ipfs",
        replicas=Replicas(1, 2),
        max_root_bytes=10**9,
        adders=(PEER.peer_id,),
        deleted=True,
        stamp=STAMP,
    ),
    "flow-limited": Flow(name="photos", max_px=10**7, media_types=("image/jpeg", "image/png"), strip=True, stamp=STAMP),
    "admission": Admission(peer=PEER.peer_id, roles=(CURATOR, KEEPER), stamp=STAMP),
    "expulsion": Expulsion(peer=OTHER.peer_id, reason="key lost", stamp=STAMP),
    "departure": Departure(stamp=STAMP),
    "charter": Charter(
        number=2,
        previous=(DIGEST,),
        name="archive",
        stewards=(STEWARD.peer_id,),
        recovery=RECOVERY.peer_id,
        backends=("ipfs",),
        serve="members",
        append_only=True,
        stamp=STAMP,
    ),
}
CERTIFICATE = Certificate(
    swarm=DIGEST,
    roles=(CURATOR, KEEPER),
    uses=1,
    expires_ms=1_800_600_000_000,
    invite_key=INVITE.peer_id,
    stamp=STAMP,
)
BEAT = m.Beat(
    incarnation=4,
    seq=9,
    clock_ms=1_800_000_000_000,
    state="away",
    away_until_ms=1_800_000_060_000,
    name="berlin-1",
    zone="berlin",
    capacity_bytes=10**12,
    used_bytes=10**9,
    backends=(m.BackendReport(kind="ipfs", store_id="0badcafe", full=True),),
    addrs=("/ip4/127.0.0.1/tcp/4001",),
    links=(m.link_name(OTHER.peer_id),),
    records_digest=DIGEST,
    holdings=SUMMARY,
    version="0.1.0",
    repair_now_ms=1_799_999_000_000,
    unsynced_since_ms=1_797_000_000_000,
)
DELTA = m.HoldingsDelta(after=SUMMARY, changes=(m.Change(ROOT, "ipfs", True), m.Change(OTHER_ROOT, "s3", False)))
LEASE = Lease(
    root=ROOT, kind="ipfs", owner=PEER.peer_id, to=OTHER.peer_id, nonce=DIGEST, max=3, until_ms=1_800_003_600_000
)
RECEIPT = m.Receipt(root=ROOT, kind="ipfs", keeper=PEER.peer_id, store_id="0badcafe", pin_id=bytes(16), stamp=STAMP)
DOUBT = m.Doubt(root=ROOT, kind="ipfs", holder=OTHER.peer_id, challenger=PEER.peer_id, at_ms=1_800_000_000_000)

_CERTIFICATE_RAW = sign_certificate(CERTIFICATE, STEWARD)
STATEMENTS: dict[str, tuple[bytes, Callable[[bytes], Any], Any]] = {
    "certificate": (_CERTIFICATE_RAW, open_certificate, (CERTIFICATE, STEWARD.peer_id)),
    "redemption": (
        sign_redemption(_CERTIFICATE_RAW, OTHER.peer_id, INVITE),
        lambda raw: open_kind(raw, "redemption")[0]["peer"],
        OTHER.peer_id,
    ),
    "beat": (m.sign_beat(BEAT, PEER), lambda raw: m.open_beat(raw).beat, BEAT),
    "holdings": (m.sign_delta(DELTA, PEER), m.open_delta, (DELTA, PEER.peer_id)),
    "lease": (m.sign_lease(LEASE, PEER), m.open_lease, LEASE),
    "receipt": (m.sign_receipt(RECEIPT, PEER), m.open_receipt, RECEIPT),
    "doubt": (m.sign_doubt(DOUBT, PEER), m.open_doubt, DOUBT),
}
RAW = b"signed bytes"
MESSAGES: tuple[m.Message, ...] = (
    m.RecordBatch(records=(RAW, RAW)),
    m.JoinAsk(swarm=DIGEST, certificate=RAW, redemption=RAW),
    m.JoinAnswer(admitted=True, records=(RAW,), members=(m.MemberAddrs(PEER.peer_id, ("/ip4/127.0.0.1/tcp/4001",)),)),
    m.LeaseAsk(nonce=DIGEST, root=ROOT, kind="ipfs", to=OTHER.peer_id, max=3, pins=(RAW,), until_ms=1_800_003_600_000),
    m.LeaseAnswer(granted=True, lease=RAW, proof=b"proof"),
    m.LeaseReturn(nonce=DIGEST, root=ROOT, kind="ipfs"),
    m.LeasesOver(),
    m.ReceiptAsk(pin=RAW),
    m.ReceiptAnswer(receipt=RAW),
    m.DoubtNotice(doubt=RAW),
    m.ClaimAsk(root=ROOT, kind="s3", store_id="0badcafe"),
    m.ClaimAnswer(free=True),
    m.AuditAsk(nonce=DIGEST, root=ROOT, kind="ipfs", recheck=True),
    m.AuditAnswer(proof=DIGEST),
    m.SyncCompare(ranges=pack([Part(b"\x05\x80"), Part(END, fingerprint=bytes(range(16)))])),
    m.SyncRanges(
        ranges=pack([Part(b"\x05"), Part(b"\x05\x80", fingerprint=bytes(16)), Part(END, places=(b"\x05" * 16,))]),
        statement=RAW,
    ),
    m.SyncWant(places=b"\x05" * 32),
    m.SyncFetch(low=b"\x05", high=END, of=m.HoldingsAt(PEER.peer_id, (3, 41))),
    m.SyncRecords(records=(RAW,), taken=2),
    m.SyncElements(elements=(m.Element(ROOT, "ipfs"),), next=b"\x05" * 24),
    m.LastHeardAsk(incarnation=4, clock_ms=1_800_000_000_000, start=b"12345678"),
    m.LastHeardAnswer(incarnation=1, epoch=2, seq=3, cloned=True),
    m.InfoAsk(),
    m.InfoAnswer(
        name="berlin-1",
        zone="berlin",
        version="0.1.0",
        swarm=DIGEST,
        roots=3,
        capacity_bytes=10**12,
        used_bytes=10**9,
    ),
    m.RootAsk(what="locate", root=ROOT),
    m.StatAnswer(pins=(RAW,), replicas=Replicas(2, 3), copies=3),
    m.LocateAnswer(
        holders=(
            m.Holder(peer=PEER.peer_id, kind="ipfs", state="alive", zone="berlin", addrs=("/ip4/127.0.0.1/tcp/4001",)),
        )
    ),
    m.ListAsk(flow="default", cursor=b"next", limit=10),
    m.ListAnswer(
        rows=(
            m.ListRow(
                root=ROOT,
                flow="default",
                name="a.jpg",
                media_type="image/jpeg",
                size_bytes=5,
                added_at_ms=1_800_000_000_000,
            ),
        ),
        cursor=b"next",
    ),
    m.CharterAsk(),
    m.CharterAnswer(charters=(RAW,)),
    m.SimilarAsk(phash=bytes.fromhex("c3d2a5965a69b44b"), within_bits=8),
    m.SimilarAnswer(found=((ROOT, 0), (OTHER_ROOT, 7))),
    m.ThumbAsk(root=ROOT, variant="small"),
    m.ThumbAnswer(image=b"RIFF"),
    m.NoAnswer(reason=Reason.NOT_ALLOWED, detail="guests may not ask this"),
)


def vectors() -> dict[str, bytes]:
    """Return the bytes of every example by its name."""
    found = {f"record-{name}": sign_record(record, PEER).raw for name, record in RECORDS.items()}
    found |= {f"signed-{name}": raw for name, (raw, _, _) in STATEMENTS.items()}
    return found | {f"message-{message.KIND}": m.write_message(message) for message in MESSAGES}


def read_back(name: str, raw: bytes) -> tuple[Any, Any]:
    """Return what reading a vector gives, and what it should give."""
    what, _, kind = name.partition("-")
    if what == "record":
        signed = parse_record(raw)
        return (None if signed is None else signed.record), RECORDS[kind]
    if what == "signed":
        _, read, expected = STATEMENTS[kind]
        return read(raw), expected
    message = next(message for message in MESSAGES if kind == message.KIND)
    return m.read_message(raw, [type(message)]), message


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, raw in vectors().items():
        (FOLDER / f"{name}.json").write_text(json.dumps({"hex": raw.hex()}) + "\n")


if __name__ == "__main__":
    main()
