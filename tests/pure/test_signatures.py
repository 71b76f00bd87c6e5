"""Draft-Cavage signatures: what passes, and every way in which something does not.

The twelve holes of stock httpsig each have a test here; ``tests/federation/test_inbox_door.py`` asks the same through HTTP.
"""

import base64
import hmac
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from federation.wire import keys, signing
from federation.wire.keys import BadKey, Key
from federation.wire.signatures import BadSignature, Message, Signed, read, verify
from federation.wire.verified import Verified
from server.core import hosts, limits
from tests.federation.stranger import OUR_HOST, Person, dora
from tests.pure import captures
from tests.world import rsa_pair

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
BODY = b'{"type":"Follow"}'
DORA = Key(id="https://peer.example/users/dora#main-key", owner="https://peer.example/users/dora", pem=rsa_pair("dora")[1])


def message(person: Person | None = None, *, path: str = "/inbox", body: bytes = BODY, **options: Any) -> Message:
    request = (person or dora()).request(body, path=path, **{"at": NOW, **options})
    return Message("POST", request.path, {name.lower(): value for name, value in request.headers.items()}, request.body)


def judge(sent: Message, key: Key = DORA, *, now: datetime = NOW) -> Verified[Signed]:
    return verify(read(sent), key, now=now, own_hosts={OUR_HOST})


def reason(sent: Message, key: Key = DORA, *, now: datetime = NOW) -> str:
    with pytest.raises(BadSignature) as caught:
        judge(sent, key, now=now)
    assert caught.value.status == 401
    assert caught.value.permanent
    return caught.value.reason


def with_header(sent: Message, **values: str) -> Message:
    return replace(sent, headers={**sent.headers, **{name.replace("_", "-"): value for name, value in values.items()}})


def with_signature(sent: Message, change: Any) -> Message:
    return with_header(sent, signature=change(sent.headers["signature"]))


# --- what passes ---


def test_a_good_message_passes_and_says_what_was_signed() -> None:
    signed = judge(message()).value
    assert signed.message.body == BODY
    assert signed.key == DORA
    assert signed.signing_string.split("\n")[:3] == [
        "(request-target): post /inbox",
        f"host: {OUR_HOST}",
        "date: Sun, 22 Nov 2026 12:00:00 GMT",
    ]


@pytest.mark.parametrize("algorithm", ["rsa-sha256", "hs2019", "RSA-SHA256", None])
def test_names_of_the_algorithm_that_others_use(algorithm: str | None) -> None:
    judge(message(algorithm=algorithm))


def test_the_actor_itself_may_stand_as_key_id() -> None:
    # PeerTube does so.
    judge(message(key_id=DORA.owner))


def test_a_key_on_a_path() -> None:
    # GoToSocial does so.
    judge(message(key_id=f"{DORA.owner}/main-key"), replace(DORA, id=f"{DORA.owner}/main-key"))


def test_created_instead_of_date() -> None:
    created = str(int(NOW.timestamp()))
    covered = "(request-target) host (created) digest"
    request = dora().request(BODY, at=NOW, covered=covered, algorithm="hs2019", extra=f"created={created},")
    text = f"(request-target): post /inbox\nhost: {OUR_HOST}\n(created): {created}\ndigest: {request.headers['Digest']}"
    good = request.headers["Signature"].rpartition("signature=")[0] + f'signature="{dora().sign(text.encode())}"'
    sent = Message("POST", "/inbox", {**{n.lower(): v for n, v in request.headers.items()}, "signature": good}, BODY)
    judge(sent)
    assert reason(sent, now=NOW + timedelta(hours=13)) == "too_old"
    assert (
        reason(with_signature(sent, lambda s: s.replace(f"created={created}", f"created={int(created) + 1}")))
        == "wrong_signature"
    )


def test_ed25519_keys() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    sent = message(algorithm="hs2019")
    text = read(sent).signing_string.encode()
    signature = base64.b64encode(private.sign(text)).decode()
    sent = with_signature(sent, lambda s: s.rpartition("signature=")[0] + f'signature="{signature}"')
    judge(sent, replace(DORA, pem=pem))
    assert reason(message(algorithm="rsa-sha256"), replace(DORA, pem=pem)) == "wrong_algorithm"
    assert reason(sent) == "wrong_signature"


@pytest.mark.parametrize(
    "name",
    [
        "gotosocial/delivered_Accept_1",
        "gotosocial/delivered_Create_1",
        "peertube-prod/delivered_Accept_1",
        "peertube-prod/delivered_Announce_1",
    ],
)
def test_requests_of_running_servers(name: str) -> None:
    published = captures.load(f"{name.split('/', maxsplit=1)[0]}/actor")["document"]["publicKey"]
    key = Key(id=published["id"], owner=published["owner"], pem=published["publicKeyPem"])
    sent = captures.message(name)
    verify(read(sent), key, now=captures.moment(name), own_hosts={"sink.test"})
    for spoiled in (
        replace(sent, body=sent.body + b" "),
        replace(sent, target="/other"),
        with_header(sent, date="Sun, 22 Nov 2026 20:45:44 GMT"),
    ):
        with pytest.raises(BadSignature):
            verify(read(spoiled), key, now=captures.moment(name), own_hosts={"sink.test"})


# --- our own signatures ---


@pytest.mark.parametrize("body", [None, b"", BODY])
def test_what_we_sign_others_verify(body: bytes | None) -> None:
    url = hosts.parse_url("https://localhost:8000/users/alice/inbox?x=1")
    private = keys.load_private(rsa_pair("dora")[0].encode())
    headers = signing.sign(
        method="POST", url=url, key_id=DORA.id, key=private, now=NOW, body=body, content_type="application/activity+json"
    )
    sent = Message("POST", url.target, {name.lower(): value for name, value in headers.items()}, body or b"")
    assert judge(sent).value.key == DORA


def test_our_signature_is_byte_for_byte_that_of_httpsig() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from httpsig.sign import HeaderSigner
    private_pem = rsa_pair("dora")[0]
    url = hosts.parse_url("https://peer.example/inbox")
    ours = signing.sign(
        method="POST",
        url=url,
        key_id="https://we.example/users/alice#main-key",
        key=keys.load_private(private_pem.encode()),
        now=NOW,
        body=BODY,
        content_type="application/activity+json",
    )
    signer = HeaderSigner(
        "https://we.example/users/alice#main-key",
        private_pem,
        algorithm="rsa-sha256",
        headers=list(signing.SIGNED_WITH_BODY),
        sign_header="signature",
    )
    theirs = signer.sign({name: value for name, value in ours.items() if name != "Signature"}, method="POST", path="/inbox")
    assert ours["Signature"] == theirs["signature"]


def test_a_key_id_with_a_percent_sign_is_no_template() -> None:
    private = keys.load_private(rsa_pair("dora")[0].encode())
    headers = signing.sign(
        method="GET", url=hosts.parse_url("https://peer.example/x"), key_id="https://we.example/%41%s#k", key=private, now=NOW
    )
    assert 'keyId="https://we.example/%41%s#k"' in headers["Signature"]
    for bad in ('a"b', "a\nb", "a\\b", "", "ä"):
        with pytest.raises(BadKey):
            signing.sign(method="GET", url=hosts.parse_url("https://peer.example/x"), key_id=bad, key=private, now=NOW)


# --- hole 1, 2: the sender does not choose the algorithm, nor weak keys ---


def test_hmac_keyed_with_the_public_key() -> None:
    """Stock httpsig says True to this: anybody could pose as anybody."""
    sent = message(algorithm="hmac-sha256")
    forged = base64.b64encode(hmac.new(DORA.pem.encode(), read(sent).signing_string.encode(), "sha256").digest()).decode()
    sent = with_signature(sent, lambda s: s.rpartition("signature=")[0] + f'signature="{forged}"')
    assert reason(sent) == "wrong_algorithm"
    assert reason(with_signature(sent, lambda s: s.replace("hmac-sha256", "hs2019"))) == "wrong_signature"


@pytest.mark.parametrize(
    "algorithm", ["rsa-sha1", "rsa-sha512", "rsa-md5", "hmac-sha1", "ecdsa-sha256", "ed25519", "none", "rsa-sha256 ", "x" * 100]
)
def test_other_algorithms(algorithm: str) -> None:
    assert reason(message(algorithm=algorithm)) == "wrong_algorithm"


@pytest.mark.parametrize("hash_", [hashes.SHA1(), hashes.SHA512()])
def test_other_hashes_under_a_good_name(hash_: hashes.HashAlgorithm) -> None:
    sent = message()
    private = serialization.load_pem_private_key(rsa_pair("dora")[0].encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    signature = base64.b64encode(private.sign(read(sent).signing_string.encode(), padding.PKCS1v15(), hash_)).decode()
    assert reason(with_signature(sent, lambda s: s.rpartition("signature=")[0] + f'signature="{signature}"')) == "wrong_signature"


def _pem(key: Any) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _rsa_with_exponent(exponent: int) -> str:
    numbers = keys.load_private(rsa_pair("dora")[0].encode()).public_key().public_numbers()
    return _pem(rsa.RSAPublicNumbers(exponent, numbers.n).public_key())


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "\ud800",
        _pem(rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()),
        _pem(ec.generate_private_key(ec.SECP256R1()).public_key()),
        _pem(ed448.Ed448PrivateKey.generate().public_key()),
        rsa_pair("dora")[0],
        captures.load("peertube/actor_account_person")["document"]["publicKey"]["publicKeyPem"],
    ],
)
def test_keys_that_are_none_of_ours(pem: str) -> None:
    with pytest.raises(BadKey) as caught:
        judge(message(), replace(DORA, pem=pem))
    assert caught.value.status == 401


def test_an_exponent_as_long_as_the_modulus() -> None:
    # OpenSSL itself refuses the longest ones; ours is the rule for the rest.
    with pytest.raises(BadKey):
        keys.load_public(_rsa_with_exponent(2**63 + 1))


# --- hole 3: time ---


@pytest.mark.parametrize(
    ("shift", "wanted"),
    [
        (timedelta(seconds=limits.SIGNATURE_PAST_SECONDS_MAX), None),
        (timedelta(seconds=limits.SIGNATURE_PAST_SECONDS_MAX + 1), "too_old"),
        (timedelta(days=25 * 365), "too_old"),
        (-timedelta(seconds=limits.SIGNATURE_FUTURE_SECONDS_MAX), None),
        (-timedelta(seconds=limits.SIGNATURE_FUTURE_SECONDS_MAX + 1), "in_the_future"),
    ],
)
def test_the_window_to_the_second(shift: timedelta, wanted: str | None) -> None:
    if wanted is None:
        judge(message(), now=NOW + shift)
    else:
        assert reason(message(), now=NOW + shift) == wanted


@pytest.mark.parametrize(
    "date",
    [
        "zz", "", "2026-11-22T12:00:00Z", "Sun, 22 Nov 2026 12:00:00 +0000", "Sun, 22 Nov 2026 12:00:00", "sun, 22 nov 2026 12:00:00 gmt",
        "Sun, 32 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 25:00:00 GMT", "Sun, 22 Nov 2026 12:00:60 GMT", "Sunday, 22-Nov-26 12:00:00 GMT",
        "Sun Nov 22 12:00:00 2026", "Sun, 22 Nov 0000 12:00:00 GMT", " Sun, 22 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 12:00:00 GMT, Sun, 22 Nov 2026 12:00:00 GMT",
    ],
)  # fmt: skip
def test_dates_that_are_none(date: str) -> None:
    assert reason(message(values={"Date": date})) == "malformed_date"


def test_expires() -> None:
    soon, past = int(NOW.timestamp()) + 60, int(NOW.timestamp()) - 1
    judge(message(extra=f"expires={soon},"))
    assert reason(message(extra=f"expires={past},")) == "expired"
    assert (
        reason(message(extra="expires=999999999999999,", covered="(request-target) host (expires) digest", algorithm="hs2019"))
        == "not_covered"
    )


# --- hole 4, 5: body, host and target belong to the signature ---


@pytest.mark.parametrize("missing", ["(request-target)", "host", "date", "digest"])
def test_each_of_the_four_must_be_signed(missing: str) -> None:
    covered = " ".join(name for name in ["(request-target)", "host", "date", "digest"] if name != missing)
    assert reason(message(covered=covered)) == "not_covered"


def test_only_the_date_by_default() -> None:
    sent = message()
    without = with_signature(sent, lambda s: s.replace('headers="(request-target) host date digest content-type",', ""))
    assert reason(without) == "not_covered"
    assert reason(message(covered="")) == "malformed_header"


def test_another_body() -> None:
    sent = message()
    assert reason(replace(sent, body=sent.body + b" ")) == "wrong_digest"
    assert reason(replace(sent, body=sent.body.replace(b"F", b"f"))) == "wrong_digest"


def test_another_body_with_its_own_digest() -> None:
    other = message(body=b'{"type":"Delete"}')
    sent = replace(message(), body=other.body)
    assert reason(with_header(sent, digest=other.headers["digest"])) == "wrong_signature"


def test_another_target_method_or_host() -> None:
    sent = message()
    assert reason(replace(sent, target="/users/alice/inbox")) == "wrong_signature"
    assert reason(replace(sent, target="/inbox?x=1")) == "wrong_signature"
    assert reason(replace(sent, method="PUT")) == "wrong_signature"
    for host in [
        "other.example",
        "localhost",
        "localhost:8001",
        "",
        "localhost:8000, other.example",
        "localhost:8000\\@x",
        "x:y:z",
    ]:
        assert reason(with_header(sent, host=host)) == "wrong_host"
        assert reason(message(host=host)) == "wrong_host"
    assert reason(with_header(sent, host="LOCALHOST:8000")) == "wrong_signature"
    judge(message(host="LOCALHOST:8000"))


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "x",
        "SHA-256",
        "SHA-256=",
        "SHA-256=x",
        "SHA-512=AAAA",
        "MD5=AAAA",
        "SHA-256=AAAA,SHA-256=AAAA",
        "SHA-256=" + "A" * 44,
        "sha-256=:AAAA:",
        "SHA-256=\u00e4",
    ],
)
def test_digests_that_are_none(digest: str) -> None:
    assert reason(message(values={"Digest": digest})) in {"malformed_digest", "wrong_digest", "malformed_header"}


def test_a_second_digest_of_another_kind_does_no_harm() -> None:
    good = message().headers["digest"]
    judge(message(values={"Digest": f"SHA-512=abc,{good}"}))
    judge(message(values={"Digest": good.replace("SHA-256", "sha-256")}))


# --- hole 6: pseudo headers come from the parameters ---


def test_a_real_header_called_created_is_not_signed_as_if_it_were_one() -> None:
    covered = "(request-target) host (created) digest"
    sent = with_header(message(covered=covered, algorithm="hs2019"), **{"(created)": str(int(NOW.timestamp()))})
    assert reason(sent) == "missing_header"


@pytest.mark.parametrize("algorithm", ["rsa-sha256", "hmac-sha256"])
def test_created_is_not_for_the_old_algorithms(algorithm: str) -> None:
    created = int(NOW.timestamp())
    assert (
        reason(message(covered="(request-target) host (created) digest", algorithm=algorithm, extra=f"created={created},"))
        == "wrong_algorithm"
    )


@pytest.mark.parametrize("value", ['"x"', '""', '"-1"', "x", "1.5", "9" * 16, '"1e9"', '" 1"', "\u0661"])
def test_created_that_is_no_number(value: str) -> None:
    assert (
        reason(message(covered="(request-target) host (created) digest", algorithm="hs2019", extra=f"created={value},"))
        == "malformed_header"
    )


# --- hole 7: no line ends inside a value ---


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00b", "a\tb", "ä", "\ud800", "a\x7fb"])
def test_control_characters_in_a_covered_value(value: str) -> None:
    sent = message(covered="(request-target) host date digest content-type")
    assert reason(with_header(sent, content_type=value)) == "malformed_header"


def test_a_line_end_cannot_make_a_header() -> None:
    """One signed value must not read as two lines of the signing string."""
    sent = message(covered="(request-target) host date digest x-note", values={"X-Note": "hello"})
    judge(sent)
    moved = with_header(sent, x_note="hello\nx-other: evil")
    assert reason(moved) == "malformed_header"


@pytest.mark.parametrize("target", ["", "inbox", "/in\nbox", "/in\x00box", "/inböx"])
def test_targets_that_are_none(target: str) -> None:
    assert reason(replace(message(), target=target)) == "malformed_target"


# --- hole 8, 10: malformed headers ---


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", "no_signature"),
        ("x", "malformed_header"),
        ("Signature x=y", "malformed_header"),
        ('keyId="a",signature="b', "malformed_header"),
        ('keyId="a" signature="b"', "malformed_header"),
        ("keyId=a,signature=b", "malformed_header"),
        ('keyId="a\\"b",signature="AAAA"', "malformed_header"),
        ('keyId="a"x,signature="AAAA"', "malformed_header"),
        ('keyId ="a",signature="AAAA"', "malformed_header"),
        ('keyId="ä",signature="AAAA"', "malformed_header"),
        ('keyId="a\nb",signature="AAAA"', "malformed_header"),
        (",,,,", "malformed_header"),
        ('signature="AAAA"', "no_key_id"),
        ('keyId="",signature="AAAA"', "no_key_id"),
        ('keyId="a"', "malformed_signature"),
        ('keyId="a",signature=""', "malformed_signature"),
        ('keyId="a",signature="!!!!"', "malformed_signature"),
        ('keyId="a",signature="AAA"', "malformed_signature"),
        ('keyId="a",signature="AAB="', "malformed_signature"),
        ('keyId="a",signature="AAAA",keyId="b"', "repeated_parameter"),
        ('keyId="a",signature="AAAA",KEYID="b"', "repeated_parameter"),
        ('keyId="a",signature="AAAA",signature="BBBB"', "repeated_parameter"),
        ('keyId="a",headers="date",headers="host",signature="AAAA"', "repeated_parameter"),
        ('keyId="a",headers="date date",signature="AAAA"', "malformed_header"),
        ('keyId="a",headers="Date",signature="AAAA"', "malformed_header"),
        ('keyId="a",headers="date  host",signature="AAAA"', "malformed_header"),
        ('keyId="a",headers="(query)",signature="AAAA"', "malformed_header"),
        ('keyId="a",headers="x-missing",signature="AAAA"', "missing_header"),
        ('keyId="a",headers="' + " ".join(f"h{i}" for i in range(17)) + '",signature="AAAA"', "malformed_header"),
        ('keyId="' + "a" * 9000 + '",signature="AAAA"', "malformed_header"),
    ],
)
def test_malformed_signature_headers(header: str, wanted: str) -> None:
    assert reason(with_header(message(), signature=header)) == wanted


def test_no_header_at_all() -> None:
    sent = message()
    assert (
        reason(replace(sent, headers={name: value for name, value in sent.headers.items() if name != "signature"}))
        == "no_signature"
    )


# --- whose key ---


def test_another_key() -> None:
    assert reason(message(), replace(DORA, pem=rsa_pair("eve")[1])) == "wrong_signature"
    assert (
        reason(message(), replace(DORA, id="https://peer.example/users/eve#main-key", owner="https://peer.example/users/eve"))
        == "wrong_key"
    )


def test_every_flipped_bit_of_the_signature_is_noticed() -> None:
    sent = message()
    signature = base64.b64decode(sent.headers["signature"].rpartition('signature="')[2].rstrip('"'))
    for position in range(0, len(signature) * 8, 37):
        flipped = bytearray(signature)
        flipped[position // 8] ^= 1 << (position % 8)
        text = base64.b64encode(bytes(flipped)).decode()
        assert (
            reason(with_signature(sent, lambda s, text=text: s.rpartition("signature=")[0] + f'signature="{text}"'))
            == "wrong_signature"
        )


def test_the_replay_name_does_not_depend_on_spelling() -> None:
    """The same signing under another spelling of the key id is the same request."""
    first = judge(message()).value.digest
    assert judge(message(key_id=DORA.owner)).value.digest == first
    assert judge(message(algorithm=None)).value.digest == first
    assert judge(message(body=b"{}")).value.digest != first


# --- the type ---


def test_nobody_else_makes_a_verified_value() -> None:
    with pytest.raises(TypeError):
        Verified("x")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Verified("x", seal=object())  # type: ignore[arg-type]


# --- anything at all ---

TEXT = st.text(max_size=60)


@given(
    st.one_of(
        TEXT,
        st.from_regex(
            r'keyId="[^"]{0,20}",(headers="[^"]{0,40}",)?(created=[0-9]{1,20},)?signature="[A-Za-z0-9+/=]{0,40}"', fullmatch=True
        ),
    ),
    st.dictionaries(st.sampled_from(["host", "date", "digest", "content-type", "(created)", "x"]), TEXT),
    st.binary(max_size=50),
    TEXT,
)
def test_any_request_is_a_bad_signature_and_nothing_else(
    header: str, others: Mapping[str, str], body: bytes, target: str
) -> None:
    sent = Message("POST", target, {**others, "signature": header}, body)
    with pytest.raises((BadSignature, BadKey)):
        judge(sent)
