"""Every size, count and time-out that two peers must agree on, each with its source.

Sizes are bytes on the wire. "guess" marks a figure that nobody has measured yet.
"""

from typing import Final

RECORD_BYTES: Final = 32 * 1024
"""One signed record. A pin with every field full is 21 KiB (tests/unit/protocol_records.py)."""

MESSAGE_BYTES: Final = 1024 * 1024
"""One message of any kind: what gossip carries at most (GossipSub's own default)."""

PAGE_BYTES: Final = 256 * 1024
"""One page of a sync or of a listing: an even share of a connection for a tenth of a second at 20 Mbit/s."""

UNSCANNED_BYTES: Final = 64 * 1024
"""Up to here CBOR is decoded straight: the worst 64 KiB (empty maps) decode into 4.7 MB, measured with tracemalloc."""

CBOR_ITEMS: Final = 65_536
"""Items in one longer message, counted before it is decoded: as many as the worst unscanned one can hold."""

CBOR_DEPTH: Final = 16
"""Nesting of one message; ours need five."""

CID_BYTES: Final = (4, 128)
"""A binary CID: the shortest is an empty identity CID, the longest carries a 64-byte digest or 120 inline bytes."""

DIGEST_BYTES: Final = 32
RECORD_ID_BYTES: Final = 16
NONCE_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

NAME_BYTES: Final = 4096
"""A relative path as added: PATH_MAX of Linux."""

FLOW_NAME_BYTES: Final = 128
PEER_NAME_BYTES: Final = 64
ZONE_BYTES: Final = 64
KIND_BYTES: Final = 16
MEDIA_TYPE_BYTES: Final = 127
"""RFC 6838 section 4.2: 127 characters at most on either side; ours are far shorter."""
FLOW_MEDIA_TYPES: Final = 32
"""Types that a flow may be limited to; there are about a dozen."""
ORIGIN_BYTES: Final = 2048
"""A URL: what every browser and server takes."""
ADDR_BYTES: Final = 256
SOURCES: Final = 20
"""Multiaddrs in one pin (DESIGN §5)."""
OPERATIONS: Final = 64
OPERATION_BYTES: Final = 128
REASON_BYTES: Final = 512

COPIES_MAX: Final = 150
"""Largest replication factor: members of a full mesh (DESIGN §5)."""
BACKENDS: Final = 8
STORE_ID_BYTES: Final = 64
BEAT_ADDRS: Final = 16
MEMBERS: Final = 150
"""Members of a full mesh (DESIGN §5)."""
CHARTER_STEWARDS: Final = 16
CHARTER_PREVIOUS: Final = 8
CHARTERS: Final = 4096
"""Charters in one swarm's history; each is signed by a steward, so this bounds a careless one, not a stranger."""
CERTIFICATE_USES: Final = 10_000
INVITE_ADDRS: Final = 8
"""Addresses in one invite: more would not fit a line that people paste."""
INVITE_CHARS: Final = 4096

RECORDS_PER_BATCH: Final = 512
HOLDINGS_PER_DELTA: Final = 200
"""As many of the longest CIDs as fit a signed statement."""
LEASE_PINS: Final = 64
QUERY_ROWS: Final = 1000
THUMB_BYTES: Final = 128 * 1024
JOIN_BYTES: Final = 4096
"""A joiner's question (DESIGN §5)."""

MS_PER_DAY: Final = 86_400_000
AHEAD_MS: Final = 5 * 60_000
"""A record stamped further ahead is held back, and a clock further off the median is wrong (DESIGN §5)."""
HELD_BACK_PER_AUTHOR: Final = 1000
TOMBSTONE_DAYS: Final = 30
TIME_MS_MAX: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: what RFC 3339 can print."""
COUNTER_MAX: Final = 2**32 - 1
SIZE_BYTES_MAX: Final = 2**63 - 1

BEAT_S: Final = 5.0
"""Heartbeat interval, stretched to `members / BEAT_MEMBERS_PER_S` in large swarms (DESIGN §5)."""
BEAT_MEMBERS_PER_S: Final = 20
SUSPECT_AFTER_S: Final = 15.0
REPAIR_AFTER_S: Final = 300.0
SUSPECT_BEATS: Final = 3
"""Beats that must be missing before silence means anything (DESIGN §7, invariant 6)."""
FREEZE_S: Final = 5.0
RECOVERING_S: Final = 24 * 3600.0
AWAY_S_MAX: Final = 7 * 24 * 3600.0
"""Longest `away` others honour after the last beat: guess."""

SYNC_LISTED: Final = 64
"""Places listed of one range; a range of more is cut into parts."""
SYNC_PARTS: Final = 4096
"""Parts of one range in an answer: with the longest bounds two thirds of a page."""
SYNC_RANGES_PER_ASK: Final = 4096
SYNC_FRONTIER: Final = 65_536
"""Ranges that may be known to differ at one time: 16 times what an honest peer's first answer names at most."""
SYNC_ITEMS: Final = 4_000_000
"""Ranges, places and items that one sync takes at most: far beyond the records that a peer can hold."""
SYNC_PLACES_PER_WANT: Final = 4096
SYNC_VALUES_PER_PAGE: Final = 8192
"""Records or elements in one page: more than a page of the shortest elements holds."""
SYNC_AFTER_S: Final = 60.0
SYNC_EVERY_S: Final = 10.0
LEASE_MS: Final = 3600_000
"""A lease lasts an hour (DESIGN §7)."""
