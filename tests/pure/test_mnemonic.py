"""Words and keys: BIP39 in twelve languages, SLIP-0010, and what a tired hand types."""

import hashlib
import json
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from server.identity import mnemonic

VECTORS = Path(__file__).parent.parent / "vectors" / "identity"
BIP39 = json.loads((VECTORS / "bip39/vectors.json").read_text())
ENGLISH = "abandon " * 23 + "art"


def nfkd(text: str) -> str:
    return unicodedata.normalize("NFKD", text)


@pytest.mark.parametrize("language", sorted(BIP39))
def test_bip39_vectors(language: str) -> None:
    for entropy, sentence, seed, _root in BIP39[language]:
        assert nfkd(mnemonic.words(bytes.fromhex(entropy), language=language)) == nfkd(sentence)
        assert mnemonic.entropy(sentence, language=language).hex() == entropy
        assert mnemonic.entropy(sentence).hex() == entropy
        assert mnemonic.seed(sentence, passphrase="TREZOR").hex() == seed


def test_every_language_of_the_vectors_is_there() -> None:
    assert set(BIP39) == set(mnemonic.LANGUAGES)
    assert sum(len(cases) for cases in BIP39.values()) == 288


def test_the_english_list_is_the_official_one() -> None:
    path = Path(mnemonic.__file__).parent / "wordlists/english.txt"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("language", ["french", "japanese", "korean", "spanish"])
def test_the_unicode_form_of_the_keyboard_does_not_matter(language: str, form: str) -> None:
    entropy, sentence, seed, _ = BIP39[language][3]
    typed = unicodedata.normalize(form, sentence)
    assert mnemonic.seed(typed, passphrase="TREZOR").hex() == seed
    assert mnemonic.entropy(typed).hex() == entropy


def test_case_and_spaces_do_not_matter() -> None:
    assert mnemonic.seed("  " + ENGLISH.upper().replace(" ", " \n\t") + " ") == mnemonic.seed(ENGLISH)


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "abandon",
        "abandon " * 24,
        "abandon " * 22 + "art",
        "abandon " * 24 + "art",
        "abandon " * 23 + "artt",
        "abandon " * 23 + "abandón",
        "zoo " * 12,
        "abandon " * 5_000,
    ],
)
def test_wrong_words_are_refused(sentence: str) -> None:
    for read in (mnemonic.entropy, mnemonic.seed):
        with pytest.raises(mnemonic.BadWords):
            read(sentence)


def test_words_of_another_language_are_refused() -> None:
    with pytest.raises(mnemonic.BadWords):
        mnemonic.entropy(ENGLISH, language="french")
    with pytest.raises(ValueError, match="klingon"):
        mnemonic.words(bytes(16), language="klingon")


def test_entropy_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="entropy"):
        mnemonic.words(bytes(17))


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(mnemonic.LANGUAGES),
    st.sampled_from(mnemonic.ENTROPY_BYTES).flatmap(lambda count: st.binary(min_size=count, max_size=count)),
)
def test_round_trip(language: str, entropy: bytes) -> None:
    assert mnemonic.entropy(mnemonic.words(entropy, language=language), language=language) == entropy


def test_a_sentence_valid_in_two_languages_must_say_which() -> None:
    """English and French share a hundred words, at other places of their lists."""
    shared = sorted(set(mnemonic._places("english")) & set(mnemonic._places("french")))
    chance = random.Random(1)
    while True:
        spoken = chance.choices(shared, k=12)
        readings = [mnemonic._entropy(spoken, language) for language in ("english", "french")]
        if None not in readings:
            break
    sentence = " ".join(spoken)
    with pytest.raises(mnemonic.BadWords, match="more than one"):
        mnemonic.entropy(sentence)
    assert [mnemonic.entropy(sentence, language=language) for language in ("english", "french")] == readings
    assert len(mnemonic.seed(sentence)) == 64


def test_slip_0010_vectors() -> None:
    cases = json.loads((VECTORS / "slip10/ed25519_vectors.json").read_text())
    assert len(cases) == 12
    for case in cases:
        node = mnemonic.derive(bytes.fromhex(case["seed"]), case["path"])
        assert (node.key.hex(), node.chain_code.hex()) == (case["private"], case["chainCode"])
        assert "00" + bytes(SigningKey(node.key).verify_key).hex() == case["public"]


@pytest.mark.parametrize("path", ["", "m/", "m/0", "0'", "m/0'/1", "m/-1'", "m/2147483648'", "m/0'x", "m/ 0'"])
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        mnemonic.derive(bytes(64), path)


def test_the_keys_of_a_kit() -> None:
    seed = mnemonic.seed(ENGLISH)
    keys = [
        bytes(mnemonic.paper_key(seed, 0)),
        bytes(mnemonic.paper_key(seed, 1)),
        bytes(mnemonic.user_key(seed, 0)),
        bytes(mnemonic.box_key(seed)),
    ]
    assert len(set(keys)) == 4
    assert keys[1] == mnemonic.derive(seed, "m/0'/1'").key
    assert keys[2] == mnemonic.derive(seed, "m/1'/0'").key
    assert keys[3] == mnemonic.derive(seed, "m/2'").key
