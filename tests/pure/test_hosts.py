"""One spelling for one host, and which addresses are public."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core import hosts
from server.core.hosts import BadAddress


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("peer.example", "peer.example"),
        ("Peer.EXAMPLE", "peer.example"),
        ("peer.example.", "peer.example"),
        ("fa\u00df.de", "xn--fa-hia.de"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("peer\u3002example", "peer.example"),
        ("\uff50eer.example", "peer.example"),
        ("a\u200bb.example", "ab.example"),
        ("localhost", "localhost"),
        ("1.2.3.4", "1.2.3.4"),
        ("\uff11\uff12\uff17.\uff10.\uff10.\uff11", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
    ],
)
def test_canonical_host(text: str, host: str) -> None:
    assert hosts.canonical_host(text) == host
    assert hosts.canonical_host(host) == host


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "a..b", "peer.example..", ".peer.example", "a b", "a\tb", "a\nb", "a\x00b", "a\\b", "a/b", "a@b", "ex%61mple.com",
        "a?b", "a#b", "a:b", "[::1", "::1", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[1.2.3.4]", "[::1]x",
        "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "0", "0x7f000001", "1.2.3", "1.2.3.4.5", "1.2.3.256", "peer.0x1",
        "-a.example", "a-.example", "a_b.example", "x" * 64 + ".example", ".".join(["x" * 60] * 5), "a\u2044b.example",
        "\u24dbocal host", "xn--zzzzzz---.example",
    ],
)  # fmt: skip
def test_refused_hosts(text: str) -> None:
    with pytest.raises(BadAddress):
        hosts.canonical_host(text)


@given(st.text(max_size=40))
def test_canonical_host_is_stable_or_refuses(text: str) -> None:
    try:
        host = hosts.canonical_host(text)
    except BadAddress:
        return
    assert hosts.canonical_host(host) == host
    assert host.isascii()
    assert host == host.lower()


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("Peer.example:443", "peer.example"),
        ("peer.example:8443", "peer.example:8443"),
        ("localhost:8001", "localhost:8001"),
        ("[::1]:8001", "[::1]:8001"),
        ("[::1]", "[::1]"),
        ("peer.example:", "peer.example"),
        ("peer.example:0443", "peer.example"),
    ],
)
def test_canonical_authority(text: str, authority: str) -> None:
    assert hosts.canonical_authority(text) == authority


@pytest.mark.parametrize(
    "text", ["peer.example:0", "peer.example:65536", "peer.example:x", "peer.example:-1", "peer.example:\uff180", ":80", "a:1:2"]
)
def test_refused_authorities(text: str) -> None:
    with pytest.raises(BadAddress):
        hosts.canonical_authority(text)


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("https://Peer.Example:443/a?b=c#d", "https://peer.example", "/a?b=c"),
        ("HTTP://localhost:8001", "http://localhost:8001", "/"),
        ("https://peer.example//evil.example/", "https://peer.example", "//evil.example/"),
        ("https://peer.example?q=1", "https://peer.example", "/?q=1"),
        ("https://peer.example#top", "https://peer.example", "/"),
        ("http://peer.example:80/", "http://peer.example", "/"),
    ],
)
def test_parse_url(text: str, origin: str, target: str) -> None:
    url = hosts.parse_url(text)
    assert (url.origin, url.target) == (origin, target)


@pytest.mark.parametrize(
    "text",
    [
        "", "peer.example", "//peer.example/", "ftp://peer.example/", "file:///etc/passwd", "javascript:alert(1)", "https:peer.example",
        "https:///path", "https://user@peer.example/", "https://user:pass@peer.example/", "https://peer.example\\@evil.example/",
        "https://peer.example/\u00e4", "https://peer.example/a b", "https://peer.example/\n", "https://peer.example/\x00",
        "https://peer.example%2f@evil.example/", "https://" + "x" * 3000, "https://peer.example/" + "x" * 3000, "acct:dora@peer.example",
        "https://[::1", "https://peer.example:99999/", None, 5, {"id": "https://peer.example/"},
    ],
)  # fmt: skip
def test_refused_urls(text: object) -> None:
    with pytest.raises(BadAddress):
        hosts.parse_url(text)  # type: ignore[arg-type]


def test_canonical_url_keeps_what_stands_after_the_host() -> None:
    assert hosts.canonical_url("https://Peer.Example:443") == "https://peer.example"
    assert hosts.canonical_url("HTTPS://Peer.Example/@Dora?x=%aB#Key") == "https://peer.example/@Dora?x=%aB#Key"


# From ipaddress.is_global of Python 3.11.7 saying yes, from advisories of other servers, and from the registries.
PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.0.0.1", "192.0.0.8", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.1.1", "192.175.48.1", "198.18.0.1",
    "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::7f00:1", "100::1",
    "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "2620:4f:8000::1",
    "3fff::1", "5f00::1", "fc00::1", "fd00::1", "fe80::1", "fec0::1", "ff02::1", "4000::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.254",
    "::ffff:8.8.8.8",
    "2606:4700::1111",
    "2a01:4f8::1",
    "2001:4860:4860::8888",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_not_public(text: str) -> None:
    assert not hosts.is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert hosts.is_public(ipaddress.ip_address(text))


@given(st.ip_addresses())
def test_public_is_narrower_than_the_standard_library(address: hosts.Address) -> None:
    if hosts.is_public(address):
        plain = getattr(address, "ipv4_mapped", None) or address
        assert plain.is_global
        assert not plain.is_multicast


def test_loopback_names() -> None:
    for name in ["localhost", "peer.localhost", "127.0.0.1", "[::1]"]:
        assert hosts.is_loopback_name(name)
    for name in ["localhost.example", "notlocalhost", "127.0.0.2", "[::2]", "0.0.0.0"]:
        assert not hosts.is_loopback_name(name)
