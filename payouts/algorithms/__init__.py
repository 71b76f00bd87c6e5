"""Frozen settlement functions, each in a file of its own that is named, with its SHA-256, in every close that used it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module, resources
from typing import Any, Final

from payouts.ledger.errors import UnknownAlgorithm

NAMES: Final = {"ad-impression/1": "ad_impression_1"}

Settle = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A settlement function under its ``alg_id``; ``code`` is the SHA-256 (hex) of its file."""

    alg_id: str
    code: str
    settle: Settle


@cache
def find(alg_id: str, code: str | None = None) -> Algorithm:
    """The function of this id and, when given, this code hash. Raises UnknownAlgorithm."""
    name = NAMES.get(alg_id)
    if name is None:
        raise UnknownAlgorithm(alg_id)
    found = sha256(resources.files(__name__).joinpath(f"{name}.py").read_bytes()).hexdigest()
    if code not in (None, found):
        raise UnknownAlgorithm(f"{alg_id} with code {code}, here {found}")
    return Algorithm(alg_id, found, import_module(f"{__name__}.{name}").settle)
