"""The recovery tool without a browser: ``python -m server.identity.tool COMMAND``. No server, no database, no network.

Words are read from a file, from standard input, or asked for; never from the command line, which other users can see. Only
``--post`` speaks to a network, with what was signed. Exit status 0: done. 1: refused, with the reason. 2: cannot be read.
"""

import argparse
import getpass
import json
import re
import sys
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from nacl.exceptions import CryptoError
from nacl.public import PublicKey, SealedBox

from server.core import canonical
from server.core.errors import Invalid, NotAllowed, TributaryError
from server.identity import keyfile, keylog, mnemonic, moverequests, owner, signing
from server.identity.keylog import PolicyLog
from server.identity.offer import read_offer

DONE, REFUSED, UNREADABLE = 0, 1, 2
POST_SECONDS_MAX = 30
# Multicodec ed25519-priv: how the signing key is handed to a browser.
ED25519_PRIVATE = b"\x80\x26"
_KIT = re.compile(r'<script type="application/json" id="kit">(.*?)</script>', re.DOTALL)

Result = dict[str, Any]


def verify(options: argparse.Namespace) -> Result:
    """What a key log says, checked by the rules of our peers."""
    log = _log(options)
    document = keylog.read(log.head.entry.state)
    return {
        "scid": log.scid,
        "custody": log.custody,
        "version": log.head.entry.version_id,
        "did": document.did,
        "actor": document.actor,
        "user": document.user.multikey,
        "home": document.home.multikey,
        "box": document.box.multikey if document.box else None,
        "next": list(log.head.parameters.next_key_hashes),
        "indexes": [version.key_index for version in log.versions],
    }


def keys(options: argparse.Namespace) -> Result:
    """The public keys of the words; with a log, where they stand in it; with --signing-key, the key for a browser."""
    seed = _seed(options)
    found: Result = {
        "user": [keylog.multikey_of(mnemonic.user_key(seed, number)) for number in range(options.count)],
        "paper": [keylog.key_hash(owner.paper_multikey(seed, number)) for number in range(options.count)],
        "box": owner.box_multikey(mnemonic.box_key(seed)),
    }
    if options.log:
        log = _log(options)
        stands = owner.standing(log, seed)
        found["standing"] = {"scid": log.scid, "paper": stands.paper, "user": stands.user}
        if options.signing_key:
            found["signing_key"] = canonical.multibase(ED25519_PRIVATE + bytes(owner.user_signer(log, seed)))
    return found


def rotate(options: argparse.Namespace) -> Result:
    """Spend the paper key, commit to the next one."""
    return _written(options, owner.rotate(_log(options), seed=_seed(options), now=_now(options), loopback=True))


def recover(options: argparse.Namespace) -> Result:
    """Take the identity back: a new #user key, custody with the owner."""
    return _written(options, owner.recover(_log(options), seed=_seed(options), now=_now(options), loopback=True))


def move(options: argparse.Namespace) -> Result:
    """Sign the entry and the HostGrant for a new home's offer."""
    offer = read_offer(json.loads(_read(options.offer)), loopback=True)
    moved, grant = owner.move(
        _log(options), seed=_seed(options), offer=offer, now=_now(options), with_recovery=options.recovery, loopback=True
    )
    body = {"log": moved.data.decode().splitlines(), "grant": grant}
    return _signed(options, body, post=f"{offer.home.actor}/move", version=moved.head.entry.version_id)


def seal(options: argparse.Namespace) -> Result:
    """Seal a file to a #box key, or to that of a log."""
    multikey = options.to
    if options.log:
        box = keylog.read(_log(options).head.entry.state).box
        multikey = box.multikey if box else ""
    data = SealedBox(PublicKey(canonical.multikey_x25519_decode(multikey))).encrypt(Path(options.file).read_bytes())
    return _file(options, data)


def unseal(options: argparse.Namespace) -> Result:
    """Open a sealed file with the words."""
    return _file(options, _open(Path(options.file), _seed(options)))


def route(options: argparse.Namespace) -> Result:
    """Sign where a debtor is to pay."""
    log, seed = _log(options), _seed(options)
    target = PublicKey(canonical.multikey_x25519_decode(options.to))
    signed = signing.payout_route(
        scid=log.scid,
        debtor=options.debtor,
        seq=options.seq,
        sealed=SealedBox(target).encrypt(Path(options.file).read_bytes()),
        key=owner.user_signer(log, seed),
        verification_method=_versioned_method(log),
        now=_now(options),
    )
    return _signed(options, signed, post=options.post)


def tell(options: argparse.Namespace) -> Result:
    """Sign the Move that the new home asks for (MoveRequests), for servers without key logs."""
    log, seed = _log(options), _seed(options)
    requests = moverequests.read_requests(_read(options.requests).encode(), log=log)
    opened = _open(Path(options.keys), seed) if options.keys else b""
    signed = moverequests.sign(
        requests,
        log=log,
        user_key=owner.former_user_signer(log, seed, actor=requests.old_actor),
        actor_key=signing.read_rsa_key(opened.decode("utf-8", "replace")) if options.keys else None,
        now=_now(options),
    )
    return {**_file(options, canonical.jcs(signed)), "target": requests.new_actor, "requests": len(signed["requests"])}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        result = options.run(options)
    except TributaryError as error:
        sys.stderr.write(f"refused: {error.code}: {error}\n")
        return REFUSED
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot read: {error}\n")
        return UNREADABLE
    if options.json:
        sys.stdout.write(canonical.jcs(result).decode() + "\n")
    else:
        sys.stdout.write("".join(f"{name}: {value}\n" for name, value in result.items()))
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m server.identity.tool", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, verify, words=False)
    added = _add(commands, keys, log="--log")
    added.add_argument("--count", type=int, default=3, choices=range(1, 65), metavar="N", help="how many of each kind")
    added.add_argument("--signing-key", action="store_true", help="show the #user key of the log, for a browser to keep")
    _add(commands, rotate, post=True)
    _add(commands, recover, post=True)
    added = _add(commands, move, post=True)
    added.add_argument("offer", metavar="OFFER", help="the new home's offer, as it was downloaded there")
    added.add_argument("--recovery", action="store_true", help="let the new home help when the words are lost")
    added = _add(commands, seal, log="--log", words=False, out=True)
    added.add_argument("file", metavar="FILE")
    added.add_argument("--to", metavar="MULTIKEY", default="", help="the #box key, where no log is given")
    _add(commands, unseal, log="", out=True).add_argument("file", metavar="FILE")
    added = _add(commands, route, post=True)
    added.add_argument("file", metavar="FILE", help="the route in clear, which is sealed to the debtor")
    added.add_argument("--debtor", required=True, metavar="ORIGIN", help="such as peer.example/ledger/1")
    added.add_argument("--to", required=True, metavar="MULTIKEY", help="the debtor's #instance-box key")
    added.add_argument("--seq", required=True, type=int, metavar="N", help="one more than the route before")
    added = _add(commands, tell, out=True)
    added.add_argument("requests", metavar="REQUESTS", help="what the new home asks to be signed (move-requests.json)")
    added.add_argument("--keys", metavar="FILE", help="keys.sealed of the archive; without it only the proof is signed")
    return parser


def _add(
    commands: Any, run: Any, *, log: str = "log", words: bool = True, out: bool = False, post: bool = False
) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(run.__name__.replace("unseal", "open"), help=run.__doc__)
    if log:
        added.add_argument(log, metavar="LOG", help="the did.jsonl")
    if words:
        added.add_argument("--words", metavar="FILE", help="the recovery words; - or nothing: asked for")
        added.add_argument("--kit", metavar="FILE", help="a recovery kit; its password is asked for")
    if out or post:
        added.add_argument("-o", "--out", required=True, metavar="FILE", help="where the result goes")
    if post:
        added.add_argument("--post", metavar="URL", nargs="?", const="", help="also send it (move: to the new home)")
    added.add_argument("--json", action="store_true", help="say it as JSON")
    added.add_argument("--now", metavar="TIME", help="another time than now, such as 2026-11-29T12:00:00Z")
    added.set_defaults(run=run)
    return added


def _read(name: str) -> str:
    return sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")


def _now(options: argparse.Namespace) -> datetime:
    return canonical.parse_time(options.now) if options.now else datetime.now(UTC).replace(microsecond=0)


def _log(options: argparse.Namespace) -> PolicyLog:
    # Nothing is fetched from where the log says it lives, so the rules about reachable hosts do not apply.
    return keylog.verify_policy(Path(options.log).read_bytes(), now=_now(options), caps=keylog.HARD, loopback=True)


def _seed(options: argparse.Namespace) -> bytes:
    if options.kit:
        found = _KIT.search(Path(options.kit).read_text("utf-8"))
        text = json.loads(found[1])["keyFile"] if found else Path(options.kit).read_text("utf-8")
        return mnemonic.seed(keyfile.unlock(text, getpass.getpass("Password of the kit: ")).words)
    if options.words and options.words != "-":
        return mnemonic.seed(_read(options.words))
    return mnemonic.seed(getpass.getpass("Recovery words: ") if sys.stdin.isatty() else sys.stdin.read())


def _open(file: Path, seed: bytes) -> bytes:
    try:
        return SealedBox(mnemonic.box_key(seed)).decrypt(file.read_bytes())
    except (CryptoError, ValueError, TypeError) as error:
        raise NotAllowed("This file was sealed to another key, or was changed.") from error


def _versioned_method(log: PolicyLog) -> str:
    document = keylog.read(log.head.entry.state)
    return f"{document.did}?versionId={log.head.entry.version_id}#user-{document.user.number}"


def _written(options: argparse.Namespace, log: PolicyLog) -> Result:
    Path(options.out).write_bytes(log.data)
    said = {"version": log.head.entry.version_id, "index": log.head.key_index, "written": options.out}
    return {**said, **_posted(options.post, log.data, "text/jsonl")}


def _signed(options: argparse.Namespace, body: Result, *, post: str | None, **said: Any) -> Result:
    data = canonical.jcs(body)
    Path(options.out).write_bytes(data)
    target = None if options.post is None else options.post or post
    return {**said, "written": options.out, **_posted(target, data, "application/json")}


def _file(options: argparse.Namespace, data: bytes) -> Result:
    Path(options.out).write_bytes(data)
    return {"written": options.out, "bytes": len(data)}


def _posted(url: str | None, data: bytes, kind: str) -> Result:
    if url is None:
        return {}
    if not url.startswith(("https://", "http://localhost:", "http://127.0.0.1:")):
        raise Invalid("What is signed is sent by https only.")
    request = urllib.request.Request(url, data=data, headers={"Content-Type": kind})  # noqa: S310 (https, checked above)
    with urllib.request.urlopen(request, timeout=POST_SECONDS_MAX) as answer:  # noqa: S310 (https, checked above)
        return {"posted": url, "status": cast("int", answer.status)}


if __name__ == "__main__":
    sys.exit(main())
