"""Random histories of an identity, from a seed: what an owner may do, and what breaks one rule of did:webvh v1.0 each.

Entries are written by hand here, with right hashes and signatures around whatever they say: the product would refuse to
write most of them.
"""

import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from nacl.signing import SigningKey

from server.core import canonical, proofs
from server.identity import keylog

START = datetime(2024, 3, 1, 12, tzinfo=UTC)


def secret(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(f"tributary differential {name}".encode()).digest())


def public(name: str) -> str:
    return keylog.multikey_of(secret(name))


def commit(names: list[str]) -> list[str]:
    return [keylog.key_hash(public(name)) for name in names]


@dataclass
class History:
    """A log being written. ``committed`` are the names of the keys that may sign next, highest priority first."""

    seed: str
    lines: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    approvals: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    committed: list[str] = field(default_factory=list)
    witnesses: list[str] = field(default_factory=list)
    threshold: int = 0
    time: datetime = START
    keys_made: int = 0
    ended: bool = False

    def new_key(self, kind: str) -> str:
        self.keys_made += 1
        return f"{self.seed} {kind} {self.keys_made}"

    @property
    def scid(self) -> str:
        return str(self.state["id"]).split(":")[2]

    def write(
        self,
        signer: str,
        parameters: Mapping[str, Any],
        *,
        state: Mapping[str, Any] | None = None,
        time: str | None = None,
        number: int | None = None,
        previous: str | None = None,
        method: str | None = None,
        **proof: str,
    ) -> None:
        """Append an entry; ``method`` and ``proof`` change what its proof says about itself."""
        self.time += timedelta(hours=1)
        entry = {
            "versionId": previous or (self.ids[-1] if self.ids else "{SCID}"),
            "versionTime": time or canonical.time_text(self.time),
            "parameters": dict(parameters),
            "state": dict(self.state if state is None else state),
        }
        digest = canonical.multihash_sha256(canonical.jcs(entry))
        if not self.ids:
            # The SCID is the hash of entry 1 with placeholders; its own hash is taken after they are filled.
            entry = json.loads(canonical.jcs(entry).decode().replace("{SCID}", digest))
            digest = canonical.multihash_sha256(canonical.jcs(entry))
        entry["versionId"] = f"{number or len(self.ids) + 1}-{digest}"
        config = {
            "type": "DataIntegrityProof",
            "cryptosuite": "eddsa-jcs-2022",
            "verificationMethod": method or f"did:key:{public(signer)}#{public(signer)}",
            "created": entry["versionTime"],
            "proofPurpose": "assertionMethod",
            **proof,
        }
        hashed = hashlib.sha256(canonical.jcs(config)).digest() + hashlib.sha256(canonical.jcs(entry)).digest()
        value = canonical.multibase(secret(signer).sign(hashed).signature)
        self.lines.append(canonical.jcs({**entry, "proof": [{**config, "proofValue": value}]}).decode())
        self.ids.append(entry["versionId"])
        self.state = entry["state"]

    def approve(self, *names: str, version_id: str | None = None) -> None:
        """Approvals of the newest entry, or of another, as did-witness.json holds them."""
        document = {"versionId": version_id or self.ids[-1]}
        made = [
            proofs.create_proof(
                document, key=secret(one), verification_method=f"did:key:{public(one)}#{public(one)}", created=self.time
            )
            for one in names
        ]
        self.approvals.append({**document, "proof": made})

    @property
    def log(self) -> str:
        return "".join(line + "\n" for line in self.lines)


def listed(threshold: int, names: list[str]) -> dict[str, Any]:
    return {"threshold": threshold, "witnesses": [{"id": f"did:key:{public(name)}"} for name in names]}


def create(seed: str, chance: random.Random) -> History:
    """Entry 1: portable, one update key, up to three hashes, sometimes witnesses."""
    history = History(seed)
    first = history.new_key("root")
    history.committed = [history.new_key(kind) for kind in ("paper", "device", "custodian")[: chance.randint(1, 3)]]
    parameters: dict[str, Any] = {
        "method": "did:webvh:1.0",
        "scid": "{SCID}",
        "updateKeys": [public(first)],
        "nextKeyHashes": commit(history.committed),
        "portable": True,
    }
    if chance.random() < 0.25:
        history.witnesses = [history.new_key("witness") for _ in range(chance.randint(2, 3))]
        history.threshold = chance.randint(2, len(history.witnesses))
        parameters["witness"] = listed(history.threshold, history.witnesses)
    did = f"did:webvh:{{SCID}}:h{chance.randint(1, 9)}.example:u:alice"
    state = {
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "alsoKnownAs": ["acct:alice@h.example"],
        "service": [{"id": f"{did}#home", "type": "ActivityPubActor", "serviceEndpoint": "https://h.example/users/alice"}],
    }
    history.write(first, parameters, state=state)
    agree(history)
    return history


def agree(history: History) -> None:
    """Enough of the witnesses in force approve the newest entry."""
    if history.witnesses:
        history.approve(*history.witnesses[: history.threshold])


def turn(history: History, chance: random.Random, *, index_max: int = 9) -> tuple[str, dict[str, Any]]:
    """Which key signs next, and the parameters that carry the hashes of higher priority over (V8b)."""
    index = chance.randrange(min(len(history.committed), index_max + 1))
    signer = history.committed[index]
    kinds = [name.split()[-2] for name in history.committed[index:]]
    history.committed = history.committed[:index] + [history.new_key(kind) for kind in kinds]
    return signer, {"updateKeys": [public(signer)], "nextKeyHashes": commit(history.committed)}


def elsewhere(history: History, chance: random.Random) -> dict[str, Any]:
    """The document at another host, without the old name."""
    here = history.state["id"]
    there = f"did:webvh:{history.scid}:m{len(history.ids)}{chance.randint(1, 9)}.example:u:alice"
    return json.loads(json.dumps(history.state).replace(here, there))


# -- what an owner may do -----------------------------------------------------------------------------------------------


def rotate(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    history.write(signer, parameters)
    agree(history)


def move(history: History, chance: random.Random) -> None:
    old = history.state["id"]
    state = elsewhere(history, chance)
    state["alsoKnownAs"] = [old, *history.state["alsoKnownAs"]]
    signer, parameters = turn(history, chance)
    history.write(signer, parameters, state=state)
    agree(history)


def write_profile(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    names = [*history.state["alsoKnownAs"], f"https://x{chance.randint(1, 99)}.example/ünï/\u20ac"]
    history.write(signer, parameters, state={**history.state, "alsoKnownAs": names})
    agree(history)


def name_watchers(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    history.write(signer, {**parameters, "watchers": [f"https://w{chance.randint(1, 99)}.example"], "ttl": 300})
    agree(history)


def change_witnesses(history: History, chance: random.Random) -> None:
    """The old list approves its own end; without one, the new list approves its own beginning. The highest key alone may."""
    signer, parameters = turn(history, chance, index_max=0)
    names = [history.new_key("witness") for _ in range(2)]
    history.write(signer, {**parameters, "witness": listed(2, names)})
    history.approve(*(history.witnesses or names))
    history.witnesses, history.threshold = names, 2


def end(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance, index_max=0)
    history.write(signer, {**parameters, "deactivated": True, "nextKeyHashes": []})
    agree(history)
    history.ended = True


ALLOWED: dict[str, Callable[[History, random.Random], None]] = {
    one.__name__: one for one in (rotate, move, write_profile, name_watchers, change_witnesses, end)
}


# -- what breaks one rule: with right hash and signature unless that is the point ------------------------------------------


def entry_with(parameters: Callable[[History], Mapping[str, Any]], **options: Any) -> Callable[[History, random.Random], None]:
    """An entry whose parameters are changed (``...`` leaves one out)."""

    def act(history: History, chance: random.Random) -> None:
        signer, given = turn(history, chance)
        merged = {**given, **parameters(history)}
        history.write(signer, {name: value for name, value in merged.items() if value is not ...}, **options)
        agree(history)

    return act


def forget_the_old_name(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    history.write(signer, parameters, state=elsewhere(history, chance))
    agree(history)


def drop_the_hash_above(history: History, chance: random.Random) -> None:
    """Only our policy forbids it (V8b): the lowest key writes a list that begins with its own successor."""
    if len(history.committed) == 1:
        signer, parameters = turn(history, chance)
        history.committed.append(history.new_key("device"))
        history.write(signer, {**parameters, "nextKeyHashes": commit(history.committed)})
        agree(history)
    signer = history.committed[-1]
    history.committed = [history.new_key("thief")]
    history.write(signer, {"updateKeys": [public(signer)], "nextKeyHashes": commit(history.committed)})
    agree(history)


def sign_with_a_stranger(history: History, chance: random.Random) -> None:
    _, parameters = turn(history, chance)
    history.write(history.new_key("thief"), parameters)
    agree(history)


def reveal_an_uncommitted_key(history: History, chance: random.Random) -> None:
    thief = history.new_key("thief")
    turn(history, chance)
    history.write(thief, {"updateKeys": [public(thief)], "nextKeyHashes": commit(history.committed)})
    agree(history)


def sign_with_the_spent_key(history: History, chance: random.Random) -> None:
    spent, parameters = turn(history, chance)
    history.write(spent, parameters)
    agree(history)
    _, parameters = turn(history, chance)
    history.write(spent, {**parameters, "updateKeys": [public(spent)]})
    agree(history)


def change_after_signing(history: History, chance: random.Random) -> None:
    rotate(history, chance)
    entry = json.loads(history.lines[-1])
    entry["state"]["alsoKnownAs"] = ["acct:mallory@h.example"]
    history.lines[-1] = json.dumps(entry)


def hang_on_another_entry(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    history.write(signer, parameters, previous=f"{len(history.ids)}-{commit(['nothing'])[0]}")
    agree(history)


def skip_a_number(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    history.write(signer, parameters, number=len(history.ids) + 2)
    agree(history)


def stand_still(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    history.write(signer, parameters, time=canonical.time_text(history.time))
    agree(history)


def go_back_in_time(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    history.write(signer, parameters, time=canonical.time_text(history.time - timedelta(days=1)))
    agree(history)


def come_from_the_future(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    history.write(signer, parameters, time="2999-01-01T00:00:00Z")
    agree(history)


def rise_again(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    history.write(signer, {**parameters, "deactivated": True})
    agree(history)
    signer, parameters = turn(history, chance)
    history.write(signer, parameters)
    agree(history)


def take_another_scid(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    state = json.loads(json.dumps(history.state).replace(history.scid, commit(["other"])[0]))
    history.write(signer, parameters, state={**state, "alsoKnownAs": [history.state["id"]]})
    agree(history)


def move_to(host: str) -> Callable[[History, random.Random], None]:
    def act(history: History, chance: random.Random) -> None:
        signer, parameters = turn(history, chance)
        old = history.state["id"]
        state = json.loads(json.dumps(history.state).replace(old, f"did:webvh:{history.scid}:{host}"))
        history.write(signer, parameters, state={**state, "alsoKnownAs": [old]})
        agree(history)

    return act


def two_keys_in_one_method(history: History, chance: random.Random) -> None:
    signer, parameters = turn(history, chance)
    history.write(signer, parameters, method=f"did:key:{public(signer)}#{public('other')}")
    agree(history)


def appoint_against_the_old_witnesses(history: History, chance: random.Random) -> None:
    """2-of-2 becomes 1-of-1, and only the one who stays approves."""
    change_witnesses(history, chance)
    signer, parameters = turn(history, chance)
    history.write(signer, {**parameters, "witness": listed(1, history.witnesses[:1])})
    history.approve(history.witnesses[0])
    history.witnesses, history.threshold = history.witnesses[:1], 1


def count_one_witness_twice(history: History, chance: random.Random) -> None:
    change_witnesses(history, chance)
    signer, parameters = turn(history, chance)
    history.write(signer, parameters)
    history.approve(history.witnesses[0], history.witnesses[0])


def replay_an_approval(history: History, chance: random.Random) -> None:
    """Both witnesses approved an entry of somebody else's log with a higher number."""
    change_witnesses(history, chance)
    signer, parameters = turn(history, chance)
    history.write(signer, parameters)
    history.approve(*history.witnesses, version_id=f"{len(history.ids) + 5}-{commit(['theirs'])[0]}")


def same(changes: Mapping[str, Any]) -> Callable[[History], Mapping[str, Any]]:
    return lambda _history: changes


FORBIDDEN: dict[str, Callable[[History, random.Random], None]] = {
    one.__name__: one
    for one in (
        forget_the_old_name,
        drop_the_hash_above,
        sign_with_a_stranger,
        reveal_an_uncommitted_key,
        sign_with_the_spent_key,
        change_after_signing,
        hang_on_another_entry,
        skip_a_number,
        stand_still,
        go_back_in_time,
        come_from_the_future,
        rise_again,
        take_another_scid,
        two_keys_in_one_method,
        appoint_against_the_old_witnesses,
        count_one_witness_twice,
        replay_an_approval,
    )
} | {
    "leave_out_next_key_hashes": entry_with(same({"nextKeyHashes": ...})),
    "leave_out_update_keys": entry_with(same({"updateKeys": ...})),
    "leave_out_both": entry_with(same({"updateKeys": ..., "nextKeyHashes": ...})),
    "add_an_uncommitted_key": entry_with(lambda history: {"updateKeys": [public("other"), public(history.committed[0])]}),
    "name_the_scid_again": entry_with(lambda history: {"scid": history.scid}),
    "name_another_method": entry_with(same({"method": "did:webvh:2.0"})),
    "add_an_unknown_parameter": entry_with(same({"note": "x"})),
    "null_for_a_list": entry_with(same({"watchers": None})),
    "text_for_a_boolean": entry_with(same({"deactivated": "no"})),
    "threshold_of_none": entry_with(same({"witness": {"threshold": 0, "witnesses": [{"id": f"did:key:{public('w')}"}]}})),
    "threshold_above_all": entry_with(same({"witness": listed(2, ["w"])})),
    "one_witness_listed_twice": entry_with(same({"witness": listed(1, ["w", "w"])})),
    "another_cryptosuite": entry_with(same({}), cryptosuite="eddsa-rdfc-2022"),
    "another_purpose": entry_with(same({}), proofPurpose="authentication"),
    "another_proof_type": entry_with(same({}), type="Ed25519Signature2020"),
    "move_to_an_address": move_to("127.0.0.1:u:alice"),
    "move_to_a_local_name": move_to("localhost:u:alice"),
    "move_up_the_path": move_to("h.example:..:alice"),
    "move_to_an_escaped_slash": move_to("h.example:a%2Fb"),
}


# After these another entry would be refused for a reason of its own, or would mend what was broken.
LAST = {
    "come_from_the_future",
    "appoint_against_the_old_witnesses",
    "count_one_witness_twice",
    "replay_an_approval",
    "leave_out_next_key_hashes",
    "leave_out_update_keys",
    "leave_out_both",
    "one_witness_listed_twice",
}


@dataclass(frozen=True)
class Case:
    """One history with what happened in it, oldest first. ``broken`` names the forbidden operation, if there was one."""

    history: History
    operations: tuple[str, ...]
    broken: str | None


def play(seed: str, broken: str | None) -> Case:
    """The history of ``seed``: some allowed operations, then ``broken`` if given, then sometimes one more."""
    chance = random.Random(seed)
    history = create(seed, chance)
    done = ["create"]
    names = [name for name in ALLOWED if name != "end"]
    for _ in range(chance.randint(0, 4)):
        done.append(chance.choice(names))
        ALLOWED[done[-1]](history, chance)
    if broken is not None:
        FORBIDDEN[broken](history, chance)
        done.append(broken)
        if broken not in LAST and chance.random() < 0.3:
            done.append("rotate")
            rotate(history, chance)
    elif chance.random() < 0.2:
        done.append("end")
        end(history, chance)
    return Case(history, tuple(done), broken)
