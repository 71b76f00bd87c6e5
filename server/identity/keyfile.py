"""The encrypted key file of the recovery kit: the words under a password. Pure but for the salt. Format: recovery-kit.md."""

import base64
import binascii
import json
import unicodedata
from dataclasses import asdict, dataclass

from nacl import pwhash, secret, utils
from nacl.exceptions import CryptoError

from server.core import canonical
from server.core.errors import Invalid, NotAllowed

MEMORY_KIB = 262_144
MEMORY_KIB_MIN, MEMORY_KIB_MAX = 8, 1_048_576
PASSES, PASSES_MAX = 3, 10
SALT_BYTES, NONCE_BYTES = 16, 24
FILE_CHARACTERS_MAX = 8_192
_MEMBERS = {"type", "v", "kdf", "memory_kib", "passes", "salt", "cipher", "nonce", "sealed"}


class BadKeyFile(Invalid):
    """This is not a key file of version 1."""

    code = "bad_key_file"


class WrongPassword(NotAllowed):
    """This password does not open the kit."""

    code = "wrong_password"


@dataclass(frozen=True)
class Secret:
    """What lies in a key file."""

    words: str
    language: str
    scid: str


def lock(kept: Secret, password: str, *, salt: bytes = b"", nonce: bytes = b"", memory_kib: int = MEMORY_KIB) -> str:
    """The key file for ``kept``. ``salt`` and ``nonce`` are chosen by chance unless a vector gives them."""
    salt, nonce = salt or utils.random(SALT_BYTES), nonce or utils.random(NONCE_BYTES)
    plain = canonical.jcs({**asdict(kept), "words": unicodedata.normalize("NFKD", kept.words)})
    sealed = secret.SecretBox(_key(password, salt, memory_kib, PASSES)).encrypt(plain, nonce).ciphertext
    document = {
        "type": "TributaryKeyFile",
        "v": 1,
        "kdf": "argon2id",
        "memory_kib": memory_kib,
        "passes": PASSES,
        "salt": base64.b64encode(salt).decode(),
        "cipher": "xsalsa20-poly1305",
        "nonce": base64.b64encode(nonce).decode(),
        "sealed": base64.b64encode(sealed).decode(),
    }
    return canonical.jcs(document).decode()


def unlock(text: str, password: str) -> Secret:
    """What is in a key file. Raises BadKeyFile, WrongPassword."""
    try:
        file = json.loads(text[: FILE_CHARACTERS_MAX + 1])
        salt, nonce, sealed = (base64.b64decode(file[name], validate=True) for name in ("salt", "nonce", "sealed"))
        kind = (file["type"], file["v"], file["kdf"], file["cipher"])
        memory, passes = int(file["memory_kib"]), int(file["passes"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise BadKeyFile from error
    is_right = (
        file.keys() == _MEMBERS
        and kind == ("TributaryKeyFile", 1, "argon2id", "xsalsa20-poly1305")
        and (len(salt), len(nonce)) == (SALT_BYTES, NONCE_BYTES)
        and MEMORY_KIB_MIN <= memory <= MEMORY_KIB_MAX
        and 1 <= passes <= PASSES_MAX
    )
    if not is_right:
        raise BadKeyFile
    try:
        plain = secret.SecretBox(_key(password, salt, memory, passes)).decrypt(sealed, nonce)
    except CryptoError as error:
        raise WrongPassword from error
    return Secret(**json.loads(plain))


def _key(password: str, salt: bytes, memory_kib: int, passes: int) -> bytes:
    normal = unicodedata.normalize("NFKC", password).encode()
    return pwhash.argon2id.kdf(secret.SecretBox.KEY_SIZE, normal, salt, opslimit=passes, memlimit=memory_kib * 1024)
