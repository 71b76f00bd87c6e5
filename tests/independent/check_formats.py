"""A second implementation of docs/reference/ledger-format.md, agreement-format.md and statement-format.md, without product code.

python -m tests.independent.check_formats DIRECTORY    judges every vector there, prints each disagreement, exits 1 if any

The types of entries are read out of the table in the page itself, so that the page is what is tested.
"""

import base64
import json
import sys
from pathlib import Path

from tests.independent import check_identity as identity
from tests.independent.agreements import check_agreement
from tests.independent.basics import Refused, encode, hashes, sha256
from tests.independent.entries import follow, parse_entry
from tests.independent.notes import check_fork, open_checkpoint, vkey
from tests.independent.statements import check_statement
from tests.independent.trees import check_run, leaf, root_of


def check_chain(case):
    heads = {}
    for one in case["entries"]:
        follow(heads, parse_entry(one.encode(), case["origin"]), case["scid"])
    return {
        "heads": {
            currency: {**head, **{name: str(head[name]) for name in ("balance", "held", "unclaimed")}}
            for currency, head in heads.items()
        }
    }


def check_accounts(case):
    check_run({**case["run"], "proof": hashes(case["run"]["proof"], 126)}, case["scid"], case["root"], case["count"])
    lines = [encode(one) for one in case["accounts"]]
    return {
        "root": root_of(list(map(leaf, lines))).hex(),
        "count": len(lines),
        "blob": sha256(b"".join(line + b"\n" for line in lines)).hex(),
    }


def check_checkpoint(case):
    head = open_checkpoint(case["note"], case["origin"], list(map(vkey, case["log_keys"])), list(map(vkey, case["cosigners"])))
    return {
        "size": head["size"],
        "root": head["root"].hex(),
        "signatures": [{"name": one["name"], "timestamp": one["timestamp"]} for one in head["signatures"]],
    }


def check_agreement_case(case):
    found = check_agreement(
        case["text"].encode(), {method: identity.ed25519_key(key) for method, key in case["keys"].items()}.get
    )
    return {"id": found["id"], "unchecked": found["unchecked"]}


JUDGES = {
    "entry": lambda case: {
        "leaf": parse_entry(case["text"].encode() if "text" in case else base64.b64decode(case["base64"]))["leaf"].hex()
    },
    "account_chain": check_chain,
    "accounts_root": check_accounts,
    "checkpoint": check_checkpoint,
    "agreement": check_agreement_case,
    "statement": check_statement,
    "fork": check_fork,
}


def disagreements(folder):
    """Each vector on which this checker comes to another verdict, or another reason, than the vector says."""
    found = []
    for name, judge in JUDGES.items():
        vectors = json.loads((Path(folder) / f"{name}.json").read_text())
        for case in vectors["good"] + vectors["bad"]:
            try:
                said = judge(case)
            except Refused as reason:
                said = str(reason)
            if said != (
                case["error"]
                if "error" in case
                else {member: case.get(member) for member in said}
                if isinstance(said, dict)
                else None
            ):
                found.append(f"{name}: {case['name']}: {said}, not {case.get('error', 'accepted so')}")
    return found


if __name__ == "__main__":
    differing = disagreements(sys.argv[1])
    sys.stdout.writelines(f"{line}\n" for line in differing)
    sys.exit(bool(differing))
