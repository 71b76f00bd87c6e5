"""Trees, proofs and accounts roots (docs/reference/ledger-format.md, sections 8 and 9): a second implementation from the reference pages, without product code."""

from tests.independent.basics import CURRENCY, SCID, Refused, amount, encode, members, need, number, rising, sha256, text


def leaf(data):
    return sha256(b"\0" + data)


def root_of(leaves, size=None, start=0, proof=None, low=0):
    """The root of a tree of which ``leaves`` stand from ``start`` on; what is missing comes from ``proof``, left to right."""
    size = len(leaves) if size is None else size
    if low + size <= start or low >= start + len(leaves):
        need("proof_too_short", bool(proof))
        return proof.pop(0)
    if size == 1:
        return leaves[low - start]
    left = 1 << (size - 1).bit_length() - 1
    first = root_of(leaves, left, start, proof, low)
    return sha256(b"\1" + first + root_of(leaves, size - left, start, proof, low + left))


def check_range(leaves, start, size, proof, root):
    need("bad_tree_size", 0 <= start < start + len(leaves) <= size < 2**63)
    rest = list(proof)
    found = root_of(leaves, size, start, rest)
    need("proof_too_long", not rest)
    need("root_mismatch", found == root)


def check_inclusion(one, index, size, proof, root):
    """The same walk; an inclusion proof stands from the leaf up, so its hashes are put into the order of the walk."""
    need("bad_tree_size", 0 <= index < size < 2**63)
    sides, low, high = [], 0, size
    while high - low > 1:
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        sides.append(index >= middle)
        low, high = (middle, high) if index >= middle else (low, middle)
    need("proof_too_short", len(proof) >= len(sides))
    need("proof_too_long", len(proof) <= len(sides))
    down = list(zip(sides, reversed(proof), strict=True))
    check_range(
        [one], index, size, [node for right, node in down if right] + [node for right, node in reversed(down) if not right], root
    )


def explicit_roots(old, size, proof):
    """Both roots that an explicit consistency proof rebuilds: SUBPROOF(old, D[size], false), read from its end."""
    rest = list(proof)

    def walk(part, whole):
        if part == whole:
            node = rest.pop(0)
            return node, node
        left = 1 << (whole - 1).bit_length() - 1
        small, large = walk(part, left) if part <= left else walk(part - left, whole - left)
        node = rest.pop(0)
        return (
            (small, sha256(b"\1" + large + node))
            if part <= left
            else (sha256(b"\1" + node + small), sha256(b"\1" + node + large))
        )

    need("not_a_fork", 0 < old < size)
    try:
        found = walk(old, size)
    except IndexError as error:
        raise Refused("not_a_fork") from error
    need("not_a_fork", not rest)
    return found


def check_run(run, scid, root, count):
    for one in run["leaves"]:
        members(one, {"scid", "currency", "seq", "balance", "held"})
        low = min(amount(one["balance"]), amount(one["held"]))
        need("bad_member", text(SCID, one["scid"]) and text(CURRENCY, one["currency"]) and number(one["seq"], 1) and low >= 0)
    scids = [one["scid"] for one in run["leaves"]]
    need("account_leaf_missing", scid in scids)
    need("accounts_tree_unsorted", rising((one["scid"], one["currency"]) for one in run["leaves"]))
    check_range([leaf(encode(one)) for one in run["leaves"]], run["index"], count, run["proof"], bytes.fromhex(root))
    before, after = sum(one < scid for one in scids), sum(one > scid for one in scids)
    need("wrong_scid", before <= 1 and after <= 1)
    need("account_run_incomplete", before or run["index"] == 0, after or run["index"] + len(scids) == count)
    return [one for one in run["leaves"] if one["scid"] == scid]
