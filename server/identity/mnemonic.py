"""From words to keys: BIP39 sentences in twelve languages, SLIP-0010 derivation for Ed25519. Pure; the word lists are data.

The kit's 24 words are the owner's whole identity: ``m/0'/n'`` is the chain of paper keys, ``m/1'/n'`` the person's
``#user`` keys, ``m/2'`` the X25519 key that archives are sealed to.
"""

import functools
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from nacl.public import PrivateKey
from nacl.signing import SigningKey

from server.core.errors import Invalid

LANGUAGES = (
    "english",
    "french",
    "spanish",
    "portuguese",
    "italian",
    "czech",
    "turkish",
    "russian",
    "japanese",
    "korean",
    "chinese_simplified",
    "chinese_traditional",
)
WORDS_IN_LIST = 2_048
BITS_PER_WORD = 11
ENTROPY_BYTES = (16, 20, 24, 28, 32)
WORD_COUNTS = (12, 15, 18, 21, 24)
SENTENCE_CHARACTERS_MAX = 1_024
_PBKDF2_ROUNDS = 2_048
_HARDENED = 1 << 31
_PATH = re.compile(r"m(/[0-9]{1,10}')*", re.ASCII)


class BadWords(Invalid):
    """These words are not a valid recovery sentence."""

    code = "bad_words"


@dataclass(frozen=True)
class Node:
    """A private key and chain code in the SLIP-0010 tree."""

    key: bytes
    chain_code: bytes

    def child(self, index: int) -> "Node":
        """The hardened child number ``index``; Ed25519 has no other kind."""
        if not 0 <= index < _HARDENED:
            raise ValueError("a child's index lies below 2^31")
        data = b"\x00" + self.key + (index + _HARDENED).to_bytes(4, "big")
        return _node(self.chain_code, data)


def words(entropy: bytes, *, language: str = "english") -> str:
    """The sentence for 16 to 32 bytes of entropy, words separated as the language does it."""
    if len(entropy) not in ENTROPY_BYTES:
        raise ValueError("entropy must have 16, 20, 24, 28 or 32 bytes")
    word_list = _word_list(language)
    checksum_bits = len(entropy) // 4
    number = int.from_bytes(entropy, "big") << checksum_bits | hashlib.sha256(entropy).digest()[0] >> (8 - checksum_bits)
    count = len(entropy) * 8 // BITS_PER_WORD + 1
    chosen = [word_list[number >> BITS_PER_WORD * place & (WORDS_IN_LIST - 1)] for place in reversed(range(count))]
    return ("\u3000" if language == "japanese" else " ").join(chosen)


def entropy(sentence: str, *, language: str | None = None) -> bytes:
    """The entropy of a sentence, in ``language`` or in whichever fits. Raises BadWords.

    Spaces, case and Unicode form may differ from what was printed.
    """
    readings = _readings(sentence, (language,) if language else LANGUAGES)
    if len(readings) > 1:
        raise BadWords("these words are valid in more than one language; say which")
    return readings.pop()


def seed(sentence: str, *, passphrase: str = "") -> bytes:
    """The 64-byte BIP39 seed of a valid sentence. Raises BadWords."""
    _readings(sentence, LANGUAGES)
    normal = " ".join(_split(sentence))
    salt = "mnemonic" + unicodedata.normalize("NFKD", passphrase)
    return hashlib.pbkdf2_hmac("sha512", normal.encode(), salt.encode(), _PBKDF2_ROUNDS)


def derive(seed_bytes: bytes, path: str) -> Node:
    """The node at ``path`` such as ``m/0'/3'``. Raises ValueError for a path with an unhardened step."""
    if not _PATH.fullmatch(path):
        raise ValueError("a path is m, or m/0'/1' with hardened steps only")
    node = _node(b"ed25519 seed", seed_bytes)
    for step in path.split("/")[1:]:
        node = node.child(int(step.removesuffix("'")))
    return node


def paper_key(seed_bytes: bytes, number: int) -> SigningKey:
    """The n-th paper key, with which log entries are signed."""
    return SigningKey(derive(seed_bytes, f"m/0'/{number}'").key)


def user_key(seed_bytes: bytes, number: int) -> SigningKey:
    """The n-th ``#user`` key."""
    return SigningKey(derive(seed_bytes, f"m/1'/{number}'").key)


def box_key(seed_bytes: bytes) -> PrivateKey:
    """The X25519 ``#box`` key."""
    return PrivateKey(derive(seed_bytes, "m/2'").key)


def _node(key: bytes, data: bytes) -> Node:
    digest = hmac.new(key, data, hashlib.sha512).digest()
    return Node(digest[:32], digest[32:])


def _split(sentence: str) -> Sequence[str]:
    # BIP39 hashes the NFKD form; without it a French or Japanese sentence typed elsewhere opens another identity.
    if len(sentence) > SENTENCE_CHARACTERS_MAX:
        raise BadWords("a recovery sentence is not as long as that")
    return unicodedata.normalize("NFKD", sentence.lower()).split()


def _readings(sentence: str, languages: Sequence[str]) -> set[bytes]:
    """What the sentence means in each language in which it is valid: at least one entropy, else BadWords."""
    spoken = _split(sentence)
    readings = {reading for language in languages if (reading := _entropy(spoken, language)) is not None}
    if not readings:
        raise BadWords
    return readings


def _entropy(spoken: Sequence[str], language: str) -> bytes | None:
    """The entropy, or None when the words or their checksum do not fit the language."""
    places = _places(language)
    if len(spoken) not in WORD_COUNTS or not all(word in places for word in spoken):
        return None
    number = functools.reduce(lambda total, word: total << BITS_PER_WORD | places[word], spoken, 0)
    checksum_bits = len(spoken) // 3
    entropy_bytes = (number >> checksum_bits).to_bytes(checksum_bits * 4, "big")
    expected = hashlib.sha256(entropy_bytes).digest()[0] >> (8 - checksum_bits)
    return entropy_bytes if number & ((1 << checksum_bits) - 1) == expected else None


@functools.cache
def _word_list(language: str) -> tuple[str, ...]:
    if language not in LANGUAGES:
        raise ValueError(f"no word list for {language}")
    text = resources.files("server.identity").joinpath("wordlists", f"{language}.txt").read_text("utf-8")
    return tuple(text.split())


@functools.cache
def _places(language: str) -> dict[str, int]:
    return {unicodedata.normalize("NFKD", word): place for place, word in enumerate(_word_list(language))}
