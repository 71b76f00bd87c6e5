"""Witness policies (C2SP tlog-policy): which logs, which witnesses, and how many of them make a checkpoint good.

Two rules of ours go beyond the text: a witness that the log's own host runs counts for nothing, and so do mirror and auditor
keys, which say something else than "I have seen no other history".
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from payouts.ledger.checkpoint import SignedCheckpoint
from payouts.ledger.errors import BadKey, MalformedPolicy, QuorumNotMet, UnsupportedAlgorithm
from payouts.ledger.note import COSIGNATURE, ED25519, ML_DSA_44, Signature, VerifierKey, parse_vkey

POLICY_BYTES_MAX: Final = 65_536
LINES_EACH_MAX: Final = 64
NONE: Final = "none"

_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_COUNT = re.compile(r"[1-9][0-9]{0,2}")
_COSIGNS: Final = frozenset({COSIGNATURE, ML_DSA_44})
_NOT_A_WITNESS = re.compile(r".*/(?:auditor|mirror)/[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Group:
    """At least ``threshold`` of ``members`` (names of witnesses or groups)."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy. ``witnesses``: name -> key, ``quorum``: the name that must be satisfied, or ``none``."""

    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey]
    groups: Mapping[str, Group]
    quorum: str

    def check(self, signed: SignedCheckpoint) -> tuple[Signature, ...]:
        """The cosignatures that count, when they are enough. Raises QuorumNotMet."""
        counted = counted_cosignatures(signed)
        present = {signature.key for signature in counted}
        if not self._is_met(self.quorum, present):
            raise QuorumNotMet(f"{signed.checkpoint.origin}: {len(counted)} cosignatures count")
        return counted

    def _is_met(self, name: str, present: Collection[VerifierKey]) -> bool:
        if name == NONE:
            return True
        group = self.groups.get(name)
        if group is None:
            return self.witnesses[name] in present
        return sum(self._is_met(member, present) for member in group.members) >= group.threshold


def host_of(name: str) -> str:
    """The host that a key name or an origin begins with."""
    return name.partition("/")[0]


def counted_cosignatures(signed: SignedCheckpoint) -> tuple[Signature, ...]:
    """The verified cosignatures of witnesses that another host than the log's runs; one for each host."""
    hosts = {host_of(signed.checkpoint.origin)}
    counted = []
    for signature in signed.note.signatures:
        key = signature.key
        if key.algorithm in _COSIGNS and host_of(key.name) not in hosts and not _NOT_A_WITNESS.fullmatch(key.name):
            hosts.add(host_of(key.name))
            counted.append(signature)
    return tuple(counted)


def parse_policy(data: bytes) -> Policy:
    """The policy in a file. Raises MalformedPolicy."""
    if len(data) > POLICY_BYTES_MAX or _CONTROL.search(data):
        raise MalformedPolicy("too long, or a control character")
    # Opaque octets, as C2SP says: what is not UTF-8 is kept apart without asking what it means.
    reading = _Reading()
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        words = [word for word in re.split(r"[ \t]+", line) if word]
        if words and not words[0].startswith("#"):
            reading.read(words)
    if reading.quorum is None:
        raise MalformedPolicy("no quorum")
    return Policy(tuple(reading.logs), reading.witnesses, reading.groups, reading.quorum)


class _Reading:
    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, VerifierKey] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._members: set[str] = set()

    def read(self, words: Sequence[str]) -> None:
        verb, *rest = words
        if verb == "log" and len(rest) in (1, 2):
            self._add_log(_key(rest[0], ED25519, *_COSIGNS))
        elif verb == "witness" and len(rest) in (2, 3):
            self._add_witness(rest[0], _key(rest[1], *_COSIGNS))
        elif verb == "group" and len(rest) >= 3:  # noqa: PLR2004 - name, threshold, a member
            self._add_group(rest[0], rest[1], rest[2:])
        elif verb == "quorum" and len(rest) == 1 and self.quorum is None:
            if rest[0] != NONE:
                self._check_defined(rest[0])
            self.quorum = rest[0]
        else:
            raise MalformedPolicy(f"{' '.join(words)[:80]!r}")

    def _add_log(self, key: VerifierKey) -> None:
        if any(key.public == other.public for other in self.logs) or len(self.logs) >= LINES_EACH_MAX:
            raise MalformedPolicy("a log twice, or too many")
        self.logs.append(key)

    def _add_witness(self, name: str, key: VerifierKey) -> None:
        self._check_new(name)
        if any(key.public == other.public for other in self.witnesses.values()) or len(self.witnesses) >= LINES_EACH_MAX:
            raise MalformedPolicy("a witness twice, or too many")
        self.witnesses[name] = key

    def _add_group(self, name: str, threshold: str, members: Sequence[str]) -> None:
        self._check_new(name)
        for member in members:
            self._check_defined(member)
            # Else one witness could count in two ways.
            if member in self._members:
                raise MalformedPolicy(f"{member} is a member twice")
            self._members.add(member)
        words = {"any": 1, "all": len(members)}
        if threshold not in words and not _COUNT.fullmatch(threshold):
            raise MalformedPolicy(f"threshold {threshold[:20]!r}")
        count = words.get(threshold) or int(threshold)
        if count > len(members) or len(self.groups) >= LINES_EACH_MAX:
            raise MalformedPolicy("a threshold nobody can reach, or too many groups")
        self.groups[name] = Group(count, tuple(members))

    def _check_new(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise MalformedPolicy(f"{name[:80]} is defined twice")

    def _check_defined(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise MalformedPolicy(f"{name[:80]} is not defined before")


def _key(text: str, *algorithms: int) -> VerifierKey:
    try:
        key = parse_vkey(text)
    except (BadKey, UnsupportedAlgorithm) as error:
        raise MalformedPolicy(str(error)) from error
    if key.algorithm not in algorithms:
        raise MalformedPolicy(f"{key.name} is a key of another kind")
    return key


def exact_policy(logs: Collection[VerifierKey], signed: Sequence[SignedCheckpoint]) -> str:
    """The policy of a statement, in its one spelling: who cosigned, and how many counted where they were fewest."""
    cosigners = {str(one.key) for each in signed for one in each.note.signatures if one.key.algorithm == COSIGNATURE}
    counted = [counted_cosignatures(each) for each in signed]
    lines = [f"log {key}" for key in sorted(map(str, logs))]
    lines += [f"witness {key.partition('+')[0]} {key}" for key in sorted(cosigners)]
    least = min(map(len, counted))
    if least:
        names = sorted({one.key.name for each in counted for one in each})
        lines += [f"group witnesses {least} {' '.join(names)}", "quorum witnesses"]
    else:
        lines.append("quorum none")
    return "".join(f"{line}\n" for line in lines)
