"""Two instances, one real clip, the whole main job over HTTP, each step with the evidence a doubter would ask for.

``script/demo [--keep] [--json]``: exit status 0 only if every check holds.
"""

import argparse
import json
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.two_servers import homeless
from tests.two_servers.instance import CLIP, PASSWORD, ROOT, Failed, Instance, Person, fetch, wait_for

ACTIVITY = "application/activity+json"


@dataclass
class Step:
    """One step: what was done, what shows it, which checks held."""

    title: str
    seconds: float = 0.0
    evidence: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)


class Demo:
    """Runs the steps and keeps what they found."""

    def __init__(self, *, quiet: bool, north: Instance, south: Instance) -> None:
        self.quiet = quiet
        self.steps: list[Step] = []
        self.north, self.south = north, south
        self.alice, self.bob = Person(north, "alice"), Person(south, "bob")
        self.keeper, self.treasurer = Person(north, "keeper"), Person(south, "treasurer")
        self.video: dict[str, Any] = {}
        self.copy: dict[str, Any] = {}
        self.kit: homeless.Kit

    def say(self, text: str) -> None:
        """Print, unless the output is to be JSON."""
        if not self.quiet:
            print(text, flush=True)

    def run(self, work: Callable[[Step], None]) -> None:
        """Run one step, print its evidence and its checks. Raises Failed when a check does not hold."""
        step = Step(title=(work.__doc__ or "").strip().rstrip("."))
        self.steps.append(step)
        self.say(f"\n{len(self.steps)}. {step.title}")
        started = time.monotonic()
        try:
            work(step)
        except Failed as error:
            step.checks[str(error)] = False
        step.seconds = round(time.monotonic() - started, 2)
        for name, value in step.evidence.items():
            text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
            self.say("   " + f"{name}: {text}".replace("\n", "\n     "))
        for name, held in step.checks.items():
            self.say(f"   {'ok    ' if held else 'FAILED'} {name}")
        if not all(step.checks.values()):
            raise Failed(step.title)

    def start(self, step: Step) -> None:
        """Start two instances, each with its own processes, database and keys."""
        for instance in (self.north, self.south):
            instance.start()
            keys = instance.rows("SELECT count(*) AS n FROM accounts_account")
            step.evidence[instance.origin] = (
                f"process {instance.process.pid if instance.process else 0}, data in {instance.data}, {keys[0]['n']} accounts"
            )
            step.checks[f"{instance.host} answers /readyz"] = fetch(f"{instance.origin}/readyz").status == 200
        nodeinfo = fetch(f"{self.south.origin}/nodeinfo/2.1").json
        step.evidence["NodeInfo of the second"] = (
            f"{nodeinfo['software']['name']} {nodeinfo['software']['version']}, {nodeinfo['protocols']}"
        )
        step.checks["it speaks ActivityPub"] = "activitypub" in nodeinfo["protocols"]

    def sign_up(self, step: Step) -> None:
        """Alice signs up on the first, Bob on the second."""
        for person in (self.alice, self.bob):
            person.sign_up()
            found = fetch(f"{person.instance.origin}/.well-known/webfinger?resource=acct:{person.address}")
            step.evidence[person.address] = next(link["href"] for link in found.json["links"] if link["rel"] == "self")
            step.checks[f"WebFinger finds {person.address}"] = found.json["subject"] == f"acct:{person.address}"

    def follow(self, step: Step) -> None:
        """Bob looks Alice up by her address and follows her; her server accepts."""
        self.bob.api("GET", f"/search?q={self.alice.address}&resolve=true")
        self.bob.api("PUT", f"/accounts/{self.alice.address}/follow")
        accepted = "SELECT state FROM accounts_follow WHERE state = 'accepted'"
        wait_for("Accept", lambda: self.south.rows(accepted), seconds_max=30)
        (sent,) = self.south.rows("SELECT body, inbox, state FROM federation_delivery WHERE kind = 'Follow'")
        step.evidence["the Follow as sent"] = json.loads(sent["body"])
        (answer,) = self.south.rows("SELECT kind, signing_string, key_id FROM federation_inboxitem WHERE kind = 'Accept'")
        step.evidence["the Accept was signed by"] = answer["key_id"]
        step.checks["Bob follows Alice on both servers"] = bool(self.north.rows(accepted))

    def upload(self, step: Step) -> None:
        """Alice uploads a real clip; it is transcoded, never served as it came."""
        draft = {
            "caption": "Big Buck Bunny wakes up #animation #bunny",
            "alt_text": "A large rabbit stretches in a meadow at dawn",
        }
        made = self.alice.upload(CLIP, **draft)
        video = self.video = self.alice.video_when(made["id"], "published")
        step.evidence["clip"] = f"{CLIP.name}, {CLIP.stat().st_size} bytes"
        files = "SELECT name, width, height, bits_per_second, codecs, media_bytes FROM videos_rendition ORDER BY height"
        renditions = step.evidence["renditions"] = self.north.rows(files)
        master = fetch(video["hls_url"])
        step.evidence["master playlist"] = master.body.decode()
        step.evidence["blurhash"] = video["blurhash"]
        step.checks["two HLS rungs stand in the master playlist"] = (
            master.body.count(b"#EXT-X-STREAM-INF") == 2 == len(renditions)
        )
        progressive = fetch(video["mp4_url"], Range="bytes=0-63")
        step.checks["the progressive MP4 answers a byte range (206)"] = progressive.status == 206 and b"ftyp" in progressive.body
        step.checks["the original is not what is served"] = fetch(video["mp4_url"]).body != CLIP.read_bytes()
        step.checks["a poster is served"] = fetch(video["poster_url"]).status == 200

    def federate(self, step: Step) -> None:
        """The post travels to Bob's server as a signed activity."""
        uri = self.video["uri"]
        stored = "SELECT * FROM videos_video WHERE uri = ? AND state = 'published'"
        (row,) = wait_for("the video on the second server", lambda: self.south.rows(stored, uri), seconds_max=30)
        (sent,) = self.north.rows("SELECT body, inbox, answered_status FROM federation_delivery WHERE kind = 'Create'")
        activity = json.loads(sent["body"])
        step.evidence["the activity as sent"] = activity
        step.evidence["posted to"] = f"{sent['inbox']} -> {sent['answered_status']}"
        (item,) = self.south.rows("SELECT signing_string, key_id FROM federation_inboxitem WHERE kind = 'Create'")
        step.evidence["the string whose signature was checked"] = item["signing_string"]
        step.evidence["checked with"] = item["key_id"]
        kept = (
            "uri",
            "url",
            "caption",
            "alt_text",
            "remote_mp4_url",
            "remote_poster_url",
            "width",
            "height",
            "duration_ms",
            "blurhash",
        )
        step.evidence["the object as the peer stored it"] = {name: row[name] for name in kept}
        step.checks["it was answered 202"] = sent["answered_status"] == 202
        step.checks["the signature covers target, host, date and digest"] = all(
            f"{name}:" in item["signing_string"] for name in ("(request-target)", "host", "date", "digest")
        )
        step.checks["alt text, size, length and blurhash arrived"] = (
            row["alt_text"] == self.video["alt_text"]
            and (row["width"], row["height"]) == (self.video["width"], self.video["height"])
        ) and row["blurhash"] == self.video["blurhash"]
        self.copy = self.bob.api("GET", f"/videos/{row['id']}")

    def refuse(self, step: Step) -> None:
        """A stranger tries to forge Alice's voice; every try is refused and nothing is stored."""
        before = self.south.rows("SELECT count(*) AS n FROM federation_inboxitem")[0]["n"]
        (sent,) = self.north.rows("SELECT body FROM federation_delivery WHERE kind = 'Create'")
        forged = {**json.loads(sent["body"]), "id": self.video["uri"] + "/forged"}
        body = json.dumps(forged).encode()
        for title, headers in {
            "unsigned": {},
            "a signature of nonsense": {
                "Signature": f'keyId="{self.alice.instance.origin}/users/alice#main-key",algorithm="rsa-sha256",headers="(request-target) host date digest",signature="AAAA"'
            },
        }.items():
            answer = self.bob.request("POST", "/inbox", body, **{"Content-Type": ACTIVITY, **headers})
            step.evidence[title] = f"{answer.status} {answer.body.decode()[:200]}"
            step.checks[f"{title}: refused"] = answer.status in {400, 401}
        step.checks["nothing was stored"] = self.south.rows("SELECT count(*) AS n FROM federation_inboxitem")[0]["n"] == before

    def watch(self, step: Step) -> None:
        """Bob watches it on his own server."""
        feed = self.bob.api("GET", "/feed?tab=following")
        found = [video for video in feed["results"] if video["uri"] == self.video["uri"]]
        step.checks["it is in his Following feed"] = len(found) == 1
        page = self.bob.request("GET", f"/w/{self.copy['id']}", Accept="text/html")
        step.checks["the watch page shows it"] = page.status == 200 and self.copy["mp4_url"].encode() in page.body
        played = fetch(self.copy["mp4_url"], Range="bytes=0-")
        step.evidence["played from"] = (
            f"{self.copy['mp4_url']} -> {played.status}, {len(played.body)} bytes of {played.headers['Content-Type']}"
        )
        step.checks["the bytes arrive"] = played.status == 206 and len(played.body) > 10_000
        self.bob.api("POST", f"/videos/{self.copy['id']}/views", {"watched_ms": 5_000})

    def answer(self, step: Step) -> None:
        """Bob likes and comments; both come home to Alice, and her reply reaches Bob."""
        self.bob.api("PUT", f"/videos/{self.copy['id']}/like")
        self.bob.api("POST", f"/videos/{self.copy['id']}/comments", {"text": "That stretch! #morning"})
        path = f"/videos/{self.video['id']}"

        def home() -> Any:
            video = self.alice.api("GET", path)
            return video if (video["like_count"], video["comment_count"]) == (1, 1) else None

        video = wait_for("like and comment at home", home, seconds_max=30)
        comment = self.alice.api("GET", f"{path}/comments")["results"][0]
        step.evidence["at home"] = {
            "likes": video["like_count"],
            "comment": {name: comment[name] for name in ("id", "text", "account")},
        }
        step.checks["the comment is Bob's, word for word"] = (
            comment["text"] == "That stretch! #morning" and comment["account"]["acct"] == self.bob.address
        )
        for kind in ("Like", "Create"):
            (item,) = self.north.rows("SELECT signing_string, key_id, state FROM federation_inboxitem WHERE kind = ?", kind)
            step.evidence[f"{kind} was signed by"] = item["key_id"]
            step.checks[f"the {kind} was verified and handled"] = item["state"] == "handled"
        self.alice.api("POST", f"{path}/comments", {"text": "Every single morning.", "parent_id": comment["id"]})
        replies = "SELECT text, parent_id FROM videos_comment WHERE text = 'Every single morning.'"
        (reply,) = wait_for("the reply", lambda: self.south.rows(replies), seconds_max=30)
        step.checks["her reply hangs below his comment on his server"] = reply["parent_id"] is not None

    def change(self, step: Step) -> None:
        """Alice edits the caption, Bob takes his like back, Alice deletes a second post: each change arrives."""
        self.alice.api("PATCH", f"/videos/{self.video['id']}", {"caption": "Big Buck Bunny wakes up, slowly #animation"})
        edited = "SELECT caption FROM videos_video WHERE uri = ? AND caption LIKE '%slowly%'"
        wait_for("the edit", lambda: self.south.rows(edited, self.video["uri"]), seconds_max=30)
        step.checks["the edit arrived"] = True
        self.bob.api("DELETE", f"/videos/{self.copy['id']}/like")
        wait_for("the unlike", lambda: self.alice.api("GET", f"/videos/{self.video['id']}")["like_count"] == 0, seconds_max=30)
        step.checks["the like is gone"] = True
        second = self.alice.video_when(
            self.alice.upload(CLIP, caption="A mistake", alt_text="The same rabbit")["id"], "published"
        )
        stored = "SELECT id FROM videos_video WHERE uri = ? AND state = 'published'"
        wait_for("the second post", lambda: self.south.rows(stored, second["uri"]), seconds_max=30)
        self.alice.api("DELETE", f"/videos/{second['id']}")
        wait_for("the deletion", lambda: not self.south.rows(stored, second["uri"]), seconds_max=30)
        gone = fetch(second["uri"], Accept=ACTIVITY)
        step.evidence["the deleted post answers"] = f"{gone.status} {gone.body.decode()[:200]}"
        step.checks["410 with a Tombstone"] = gone.status == 410 and gone.json["type"] == "Tombstone"

    def watch_each_other(self, step: Step) -> None:
        """Each instance follows the other's ledger, to verify and cosign it."""
        for instance, person in ((self.north, self.keeper), (self.south, self.treasurer)):
            typed = f"{PASSWORD}\n"
            instance.manage(
                "accounts",
                "create",
                person.handle,
                "--email",
                f"{person.handle}@example.org",
                "--admin",
                "--password-stdin",
                typed=typed,
            )
            person.log_in()
        self.keeper.form("/staff/ledgers", {"origin": self.south.origin})
        self.treasurer.form("/staff/ledgers", {"origin": self.north.origin})
        for instance in (self.north, self.south):
            (peer,) = instance.rows("SELECT origin, size, root FROM payouts_peerlog")
            step.evidence[f"{instance.host} follows"] = peer
            step.checks[f"{instance.host} pinned the other's ledger"] = peer["size"] > 0

    def earn(self, step: Step) -> None:
        """A sponsor pays the second instance; slots are shown after Alice's video, who lives on the first."""
        book, today = self.treasurer, datetime.now(UTC).date().isoformat()
        page = "/staff/sponsors"
        clip = book.video_when(book.upload(CLIP, caption="A sponsor's clip", alt_text="The rabbit again")["id"], "published")
        book.form(page, {"form": "advertiser", "name": "river-bikes", "display_name": "River Bikes"})
        campaign = {
            "form": "campaign",
            "advertiser": "river-bikes",
            "name": "autumn",
            "headline": "Ride along the river",
            "link": "https://bikes.example/",
            "video_id": clip["id"],
            "price": "20.00",
            "first_day": today,
            "last_day": today,
        }
        book.form(page, campaign)
        try:
            book.form(f"{page}/autumn/run", {}, page=page)
            step.checks["an unfunded campaign is refused"] = False
        except Failed as error:
            step.evidence["before any money"] = str(error)[:200]
            step.checks["an unfunded campaign is refused"] = True
        payment = {
            "form": "fund",
            "advertiser": "river-bikes",
            "gross": "50.00",
            "fee": "0.00",
            "source": "bank",
            "reference": "Invoice 1",
        }
        book.form(
            page, {**payment, "id": secrets.token_hex(16)}, files={"evidence": ("statement.txt", b"2026-11-22 booked 50.00 EUR")}
        )
        book.form(f"{page}/autumn/run", {}, page=page)
        offered = []
        for _ in range(5):
            slot = self.bob.form("/sponsor/slot", {"after": self.copy["id"]}, page="/")
            seen = re.search(rb'data-seen="([^"]+)"', slot.body)
            if seen is None:
                raise Failed(f"no slot was offered: {slot.status}")
            offered.append(seen.group(1).decode())
            step.checks["the slot is labelled"] = b"Sponsored by River Bikes" in slot.body
        refused = [_refused(self.bob, address) for address in (offered[0], "/sponsor/00000000-0000-4000-8000-000000000000/seen")]
        step.evidence["before two seconds have passed; a slot that was never offered"] = refused
        step.checks["neither is billed"] = ["422" in refused[0], "404" in refused[1]] == [True, True]
        time.sleep(2)
        for address in offered:
            # Twice: the second is a replay and brings nothing.
            for _ in range(2):
                self.bob.form(address, {"visible_ms": 2_000}, page="/")
        for watched_ms in (5_000, 5_000, 900):
            self.bob.form(f"/w/{self.copy['id']}/watched", {"watched_ms": watched_ms}, page="/")
        counted = "SELECT rejected, sum(count) AS n FROM payouts_meteredview WHERE work = ? GROUP BY rejected ORDER BY rejected"
        views = wait_for(
            "the views metered",
            lambda: (found := self.south.rows(counted, self.video["uri"])) and sum(row["n"] for row in found) == 4 and found,
            seconds_max=30,
        )
        step.evidence["views of Alice's video"] = {row["rejected"] or "counted": row["n"] for row in views}
        step.checks["one view counts; the repeated and the short one are told with their reasons"] = {
            row["rejected"]: row["n"] for row in views
        } == {"": 1, "repeated": 2, "too-short": 1}
        shown = step.evidence["billable impressions"] = self.south.rows(
            "SELECT campaign, work, creator_scid, count FROM payouts_meteredimpression"
        )
        step.checks["five impressions are billable, replays are not"] = [row["count"] for row in shown] == [5]
        step.checks["they are for Alice's identity"] = shown[0]["creator_scid"] == self.alice.api("GET", "/me/identity")["scid"]

    def close(self, step: Step) -> None:
        """The period is planned, looked at, approved and closed; the parts make the whole."""
        name = datetime.now(UTC).strftime("%Y-%m")
        self.treasurer.form("/staff/periods", {"name": name, "operating_cost": "0.00"})
        (period,) = self.south.rows("SELECT id, amount FROM payouts_period")
        for verb in ("approve", "close"):
            self.treasurer.form(f"/staff/periods/{period['id']}/{verb}", {}, page=f"/staff/periods/{period['id']}")
        entries = [
            json.loads(bytes(row["data"])) for row in self.south.rows('SELECT data FROM payouts_logentry ORDER BY "index"')
        ]
        step.evidence["entries of the ledger"] = [f"{entry['index']} {entry['type']}" for entry in entries]
        by_type = {entry["type"]: entry for entry in entries}
        charge, close, accrue = (by_type[kind] for kind in ("charge", "close", "accrue"))
        step.evidence["charged"] = (
            f"{charge['body']['impressions']} x {charge['body']['price_per_thousand']} / 1000 = {charge['body']['amount']} millionths"
        )
        step.evidence["shared"] = {"close": close["postings"], "accrue": accrue["postings"], "carry": close["body"]["carry"]}
        amount = int(charge["body"]["amount"])
        places = -sum(int(value) for account, value in close["postings"] if not account.startswith("L:pool"))
        step.checks["accruals, places and carry make the whole, to the last unit"] = (
            int(accrue["body"]["amount"]) + places + int(close["body"]["carry"]) == amount == period["amount"]
        )
        step.checks["every entry sums to nothing"] = all(
            sum(int(value) for _, value in entry["postings"]) == 0 for entry in entries
        )

    def prove(self, step: Step) -> None:
        """The other instance cosigns; Alice holds a file that proves offline what she is owed."""
        scid = self.alice.api("GET", "/me/identity")["scid"]
        note = wait_for(
            "a cosigned checkpoint",
            lambda: (body := fetch(f"{self.south.origin}/ledger/1/checkpoint").body.decode()).count("\u2014 ") > 1 and body,
            seconds_max=90,
        )
        step.evidence["the checkpoint"] = note
        step.checks["the first instance's witness key stands below it"] = f"\u2014 {self.north.host}/witness/1 " in note
        answer = fetch(f"{self.south.origin}/ledger/1/statement/{scid}")
        path = self.south.data / "alice.statement.json.gz"
        path.write_bytes(answer.body)
        verdict = _verify(path)
        step.evidence["python -m payouts.ledger verify"] = verdict.stdout
        step.checks["the statement is verified without any network"] = verdict.returncode == 0 and scid in verdict.stdout
        step.checks["and it is witnessed"] = "UNWITNESSED" not in verdict.stdout
        damaged = bytearray(answer.body)
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(bytes(damaged))
        refused = _verify(path)
        step.evidence["the same with one bit changed"] = (refused.stdout + refused.stderr).strip()[:300]
        step.checks["one changed bit is refused"] = refused.returncode != 0
        self.alice.form("/wallet/refresh", {}, page="/wallet")
        (claim,) = self.north.rows("SELECT scid, unclaimed, balance, as_of_index FROM payouts_peerclaim")
        step.evidence["in her wallet at home"] = claim
        step.checks["her home instance verified the claim"] = claim["scid"] == scid and claim["unclaimed"] > 0

    def sign_from_home(self, step: Step) -> None:
        """Alice reads the terms of the second instance in her wallet on the first, and signs them there."""
        debtor = f"{self.south.host}/ledger/1"
        address = f"/wallet/sign?debtor={debtor}"
        page = self.alice.request("GET", address, Accept="text/html")
        found = re.search(rb'name="offer" value="([0-9a-f]{64})"', page.body)
        if found is None:
            raise Failed(f"no terms are shown: {page.status}")
        step.checks["the page says what she would get"] = b"65 %" in page.body
        self.alice.form("/wallet/sign", {"debtor": debtor, "offer": found.group(1).decode()}, page=address)
        (signed,) = self.north.rows("SELECT scid, agreement_id FROM payouts_peeragreement")
        entries = [
            json.loads(bytes(row["data"])) for row in self.south.rows('SELECT data FROM payouts_logentry ORDER BY "index"')
        ]
        logged = [entry["body"] for entry in entries if entry["type"] == "agreement" and entry["body"]["kind"] == "channel"]
        (claimed,) = [entry for entry in entries if entry["type"] == "claim"]
        step.evidence["in the debtor's ledger"] = {"agreement": logged, "claim": claimed["postings"]}
        step.checks["both instances keep the same agreement"] = [one["agreement"] for one in logged] == [signed["agreement_id"]]
        (claim,) = self.north.rows("SELECT balance, unclaimed, as_of_index FROM payouts_peerclaim")
        step.evidence["in her wallet at home"] = claim
        step.checks["what waited is payable, and her home has verified it"] = (
            claim["unclaimed"] == 0 and claim["balance"] == int(claimed["body"]["amount"]) > 0
        )

    def own(self, step: Step) -> None:
        """Alice takes her keys: new words, made where she sits; her home signs with its last key and keeps none."""
        before = self.alice.api("GET", "/me/identity")
        self.kit = homeless.take_keys(self.alice)
        after = self.alice.api("GET", "/me/identity")
        step.evidence["identity"] = {"scid": after["scid"], "custody": after["custody"], "entries": after["version"]}
        step.checks["the same identity, its keys in her hands"] = (after["scid"], before["custody"], after["custody"]) == (
            before["scid"],
            "server",
            "owner",
        )
        held = self.north.rows("SELECT count(*) AS n FROM identity_custodykey WHERE identity_id = ?", after["scid"])
        step.checks["her home holds no key of hers any more"] = held[0]["n"] == 0
        known = "SELECT custody FROM identity_identity WHERE scid = ?"
        wait_for(
            "her log at the second instance",
            lambda: [row["custody"] for row in self.south.rows(known, after["scid"])] == ["owner"],
            seconds_max=60,
        )
        step.checks["the second instance keeps a copy of her log, because Bob follows her"] = True

    def come_back(self, step: Step) -> None:
        """Her home is killed and its data deleted; she comes back at the second instance with her words, and all is hers."""
        before = self.alice.api("GET", "/me/identity")
        homeless.destroy(self.north)
        step.evidence["the first instance"] = "killed with SIGKILL, its data directory removed"
        new = Person(self.south, "alice")
        new.sign_up()
        began = time.monotonic()
        body = homeless.sign_arrival(new, self.kit)
        elsewhere = new.request("POST", "/users/bob/move", body, **{"Content-Type": "application/json"})
        step.checks["what she signed is good for nobody else"] = elsewhere.status == 404
        after = homeless.come_back(new, self.kit)
        step.evidence["identity"] = {"scid": after["scid"], "was": before["did"], "is": after["did"], "entries": after["version"]}
        step.checks["the same identity, at the new home"] = (
            after["scid"] == before["scid"] and self.south.host.replace(":", "%3A") in after["did"]
        )
        log = fetch(after["key_log_url"]).body
        step.evidence["key log"] = [json.loads(line)["versionId"] for line in log.splitlines()]
        follows = "SELECT t.uri FROM accounts_follow f JOIN accounts_account t ON t.id = f.target_id JOIN accounts_account b ON b.id = f.follower_id WHERE b.handle = 'bob'"
        found = wait_for(
            "the follow re-pointed",
            lambda: [row["uri"] for row in self.south.rows(follows)] == [f"{self.south.origin}/users/alice"],
            seconds_max=60,
        )
        step.evidence["seconds from her first question to Bob's follow"] = round(time.monotonic() - began, 1)
        step.checks["Bob follows her new account, and nobody asked him"] = bool(found)
        (head,) = self.south.rows("SELECT balance, held, unclaimed, seq FROM payouts_accounthead WHERE scid = ?", after["scid"])
        step.evidence["her account in the ledger"] = head
        wallet = new.request("GET", "/wallet", Accept="text/html")
        step.checks["what she earned before is hers at the new home"] = head["balance"] > 0 == head["unclaimed"]
        step.checks["and stands in her wallet there"] = (
            wallet.status == 200 and f"{head['balance'] / 1_000_000:.2f}".encode() in wallet.body
        )

    def settle(self, step: Step) -> None:
        """Nothing is left to do, and nothing was given up."""
        for instance in (self.north, self.south):
            quiet = "SELECT (SELECT count(*) FROM core_task) + (SELECT count(*) FROM federation_delivery WHERE state = 'waiting') AS n"
            wait_for(f"{instance.host} quiet", lambda: instance.rows(quiet)[0]["n"] == 0, seconds_max=30)  # noqa: B023
            counts = instance.rows("SELECT state, count(*) AS n FROM federation_delivery GROUP BY state")
            step.evidence[instance.host] = {row["state"]: row["n"] for row in counts}
            step.checks[f"{instance.host}: every delivery was taken"] = [row["state"] for row in counts] == ["delivered"]

    def all_steps(self) -> list[Callable[[Step], None]]:
        """The steps in order."""
        return [
            self.start,
            self.sign_up,
            self.follow,
            self.upload,
            self.federate,
            self.refuse,
            self.watch,
            self.answer,
            self.change,
            self.watch_each_other,
            self.earn,
            self.close,
            self.prove,
            self.sign_from_home,
            self.own,
            self.settle,
            self.come_back,
        ]


def _refused(person: Person, address: str) -> str:
    """What the server says to a slot that was not seen; empty when it takes it."""
    try:
        person.form(address, {"visible_ms": 2_000}, page="/")
    except Failed as error:
        return str(error)[:120]
    return ""


def _verify(path: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "payouts.ledger", "verify", str(path)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)


def main() -> None:
    """Run the demo and exit with 0 only if every check held."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the second instance running and print its address")
    parser.add_argument("--json", action="store_true", help="print the results as JSON only")
    options = parser.parse_args()
    started = time.monotonic()
    demo = Demo(quiet=options.json, north=Instance("North", 8001), south=Instance("South", 8002))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    held = True
    try:
        for step in demo.all_steps():
            demo.run(step)
    except Failed:
        held = False
    finally:
        seconds = round(time.monotonic() - started, 1)
        if options.json:
            steps = [vars(step) for step in demo.steps]
            print(json.dumps({"ok": held, "seconds": seconds, "steps": steps}, indent=2, ensure_ascii=False, default=str))
        checks = [check for step in demo.steps for check in step.checks.values()]
        demo.say(f"\n{sum(checks)} of {len(checks)} checks held in {seconds} s.")
        _leave(demo, keep=options.keep and held, quiet=options.json)
    sys.exit(0 if held else 1)


def _leave(demo: Demo, *, keep: bool, quiet: bool) -> None:
    if keep:
        demo.say(
            f"The second instance goes on: {demo.south.origin} (alice@example.org, bob@example.org), password 'correct horse battery'. Ctrl-C stops it."
        )
        try:
            signal.pause()
        except KeyboardInterrupt:
            demo.say("")
    for instance in (demo.north, demo.south):
        try:
            if instance.process is not None:
                instance.remove()
        except subprocess.TimeoutExpired:
            demo.say(f"{instance.host} did not stop in time; its data is in {instance.data}")


if __name__ == "__main__":
    main()
