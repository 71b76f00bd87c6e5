"""What a key log may weigh."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

ENTRY_DEPTH_MAX = 16
PROOFS_MAX = 4
KEYS_MAX = 32
NEXT_KEYS_MAX = 5
WITNESSES_MAX = 32
WITNESS_FILE_BYTES_MAX = 256 * KIB
EVIDENCE_BYTES_MAX = 256 * KIB
WATCHERS_MAX = 32
URL_CHARACTERS_MAX = 2_048
DID_CHARACTERS_MAX = 1_024
HOST_CHARACTERS_MAX = 253
PORT_MAX = 65_535
ALIASES_MAX = 64
CLOCK_SKEW_SECONDS = 300
TTL_SECONDS_MAX = 2**31


@dataclass(frozen=True)
class Caps:
    """How large a log may be for this caller."""

    bytes_max: int
    entries_max: int


# A stranger's log: what a replica stores and a peer reads without a special reason.
SOFT = Caps(bytes_max=256 * KIB, entries_max=200)
# The log of somebody already known here; nobody's log may ever be larger.
HARD = Caps(bytes_max=5 * MIB, entries_max=2_000)
