"""The parameters of a key log: their closed list, their kinds (rules V1, V2), and how an entry changes them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from server.core import canonical
from server.core.proofs import BadProof, did_key_of_method
from server.identity.keylog import limits
from server.identity.keylog.errors import V1Form, V2Method, V5Scid, V13Witness

METHOD = "did:webvh:1.0"


@dataclass(frozen=True)
class Witness:
    """Who must approve entries: Multikeys, of which ``threshold`` suffice. No keys means nobody need."""

    keys: tuple[str, ...] = ()
    threshold: int = 0


@dataclass(frozen=True)
class Parameters:
    """All parameters in force after an entry, with the defaults of did:webvh v1.0."""

    scid: str
    update_keys: tuple[str, ...] = ()
    next_key_hashes: tuple[str, ...] = ()
    witness: Witness = Witness()
    watchers: tuple[str, ...] = ()
    portable: bool = False
    deactivated: bool = False
    ttl_seconds: int = 3600


def first(given: Mapping[str, Any]) -> Parameters:
    """The parameters of entry 1, which must name method, scid and updateKeys."""
    if "method" not in given:
        raise V2Method("entry 1 names no method")
    if "updateKeys" not in given:
        raise V1Form("entry 1 names no updateKeys")
    scid = given.get("scid")
    try:
        canonical.multihash_sha256_decode(scid if isinstance(scid, str) else "")
    except ValueError as error:
        raise V5Scid(f"entry 1 names no well-formed scid: {error}") from error
    return _changed(Parameters(scid=str(scid)), {name: value for name, value in given.items() if name != "scid"})


def following(before: Parameters, given: Mapping[str, Any]) -> Parameters:
    """The parameters after a later entry: what it does not name stays as it was."""
    if "scid" in given:
        raise V5Scid("only entry 1 may name the scid")
    if given.get("portable") is True and not before.portable:
        raise V1Form("portable can only be set by entry 1")
    return _changed(before, given)


def _changed(before: Parameters, given: Mapping[str, Any]) -> Parameters:
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name == "method":
            if value != METHOD:
                raise V2Method(f"unknown method {str(value)[:40]}")
            continue
        if name not in _READERS:
            raise V1Form(f"unknown parameter {name[:40]}")
        field, reader = _READERS[name]
        changes[field] = reader(name, value)
    return replace(before, **changes)


def _texts(name: str, value: Any, *, count_max: int, characters_max: int) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > count_max:
        raise V1Form(f"{name} must be a list of at most {count_max}")
    if not all(isinstance(item, str) and len(item) <= characters_max for item in value):
        raise V1Form(f"{name} must hold texts of at most {characters_max} characters")
    return tuple(value)


def _update_keys(name: str, value: Any) -> tuple[str, ...]:
    keys = _texts(name, value, count_max=limits.KEYS_MAX, characters_max=64)
    for key in keys:
        try:
            canonical.multikey_ed25519_decode(key)
        except ValueError as error:
            raise V1Form(f"{name}: {error}") from error
    if len(set(keys)) != len(keys):
        raise V1Form(f"{name} names a key twice")
    return keys


def _next_key_hashes(name: str, value: Any) -> tuple[str, ...]:
    # did:webvh allows any text here (a decoy); what is not a hash can never be revealed.
    return _texts(name, value, count_max=limits.KEYS_MAX, characters_max=128)


def _watchers(name: str, value: Any) -> tuple[str, ...]:
    return _texts(name, value, count_max=limits.WATCHERS_MAX, characters_max=limits.URL_CHARACTERS_MAX)


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise V1Form(f"{name} must be true or false")
    return value


def _ttl(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limits.TTL_SECONDS_MAX:
        raise V1Form(f"{name} must be a number of seconds")
    return value


def _witness(_name: str, value: Any) -> Witness:
    if value == {} and isinstance(value, dict):
        return Witness()
    if not isinstance(value, dict) or value.keys() != {"threshold", "witnesses"}:
        raise V13Witness("witness must hold threshold and witnesses")
    threshold, listed = value["threshold"], value["witnesses"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= limits.WITNESSES_MAX:
        raise V13Witness(f"there must be 1 to {limits.WITNESSES_MAX} witnesses")
    keys = tuple(_witness_key(one) for one in listed)
    if len(set(keys)) != len(keys):
        raise V13Witness("a witness is listed twice")
    if not isinstance(threshold, int) or isinstance(threshold, bool) or not 1 <= threshold <= len(keys):
        raise V13Witness("the threshold must lie between 1 and the number of witnesses")
    return Witness(keys, threshold)


def _witness_key(value: Any) -> str:
    if not isinstance(value, dict) or value.keys() != {"id"} or not isinstance(value["id"], str):
        raise V13Witness("a witness has exactly an id")
    try:
        return did_key_of_method(f"{value['id']}#{value['id'].removeprefix('did:key:')}")
    except BadProof as error:
        raise V13Witness(f"a witness must be a did:key: {error}") from error


_READERS = {
    "updateKeys": ("update_keys", _update_keys),
    "nextKeyHashes": ("next_key_hashes", _next_key_hashes),
    "witness": ("witness", _witness),
    "watchers": ("watchers", _watchers),
    "portable": ("portable", _boolean),
    "deactivated": ("deactivated", _boolean),
    "ttl": ("ttl_seconds", _ttl),
}
