"""Checks a proof of gridcross' ledger (c2sp.org/tlog-proof@v1), with nothing of the exchange.

    python -m gridcross.ledger PROOF LOG_KEY [WITNESS_KEY ...]

Keys are NAME+ID+KEY. Every witness named must have cosigned. Exit code 4 where the proof does not hold.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEADER = "c2sp.org/tlog-proof@v1"
LOG, WITNESS = 1, 4


class NotProven(Exception):
    """The proof does not hold."""


@dataclass(frozen=True)
class Proven:
    """A leaf that is in the log."""

    index: int
    leaf: bytes
    size: int
    root: bytes


@dataclass(frozen=True)
class Key:
    """A key as verifiers are given it."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Key:
        name, key_id, encoded = text.split("+", 2)
        material = decode(encoded)
        key = cls(name, material[0], material[1:])
        if key.id().hex() != key_id or key.kind not in (LOG, WITNESS) or len(key.public) != 32:
            raise NotProven(f"{text} is no key")
        return key

    def id(self) -> bytes:
        material = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(material).digest()[:4]

    def signed(self, text: str, signatures: list[tuple[str, bytes]]) -> bool:
        """Whether the key signed. A line that says so falsely is an error."""
        found = False
        for name, material in signatures:
            if name != self.name or material[:4] != self.id():
                continue
            signature, message = material[4:], text.encode()
            if self.kind == WITNESS:
                time = int.from_bytes(signature[:8], "big")
                signature, message = signature[8:], f"cosignature/v1\ntime {time}\n{text}".encode()
            try:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
            except InvalidSignature:
                raise NotProven(f"a signature of {self.name} does not verify") from None
            found = True
        return found


def decode(text: str) -> bytes:
    """Base64 in its one spelling."""
    try:
        material = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotProven("bad base64") from None
    if base64.b64encode(material).decode() != text:
        raise NotProven("bad base64")
    return material


def number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or str(int(text)) != text:
        raise NotProven(f"{text!r} is no number")
    return int(text)


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root of a tree of so many leaves with this leaf at this index (RFC 9162, 2.1.3.2)."""
    node, last = index, size - 1
    value = hashlib.sha256(b"\0" + leaf).digest()
    for sibling in path:
        if last == 0:
            raise NotProven("the path is too long")
        if node & 1 or node == last:
            value = hashlib.sha256(b"\1" + sibling + value).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = hashlib.sha256(b"\1" + value + sibling).digest()
        node, last = node >> 1, last >> 1
    if last:
        raise NotProven("the path is too short")
    return value


def verify(proof: str, log: Key, witnesses: list[Key]) -> Proven:
    """Checks a proof file by the log's key and those of witnesses."""
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    if len(lines) < 3 or lines[0] != HEADER or not lines[1].startswith("extra "):
        raise NotProven("this is no proof file with a leaf in it")
    leaf = decode(lines[1].removeprefix("extra "))
    if not lines[2].startswith("index "):
        raise NotProven("this is no proof file")
    index = number(lines[2].removeprefix("index "))
    path = [decode(line) for line in lines[3:]]

    text, _, signed = note.partition("\n\n")
    body = text.split("\n")
    if len(body) < 3 or body[0] != log.name or not signed.endswith("\n"):
        raise NotProven("the checkpoint is malformed or of another log")
    size, root = number(body[1]), decode(body[2])
    signatures = []
    for line in signed.removesuffix("\n").split("\n"):
        words = line.split(" ")
        if len(words) != 3 or words[0] != "\u2014":
            raise NotProven("a signature line is malformed")
        signatures.append((words[1], decode(words[2])))
    for key in [log, *witnesses]:
        if not key.signed(text + "\n", signatures):
            raise NotProven(f"{key.name} did not sign the checkpoint")
    if index >= size or any(len(part) != 32 for part in path):
        raise NotProven("the leaf is beyond the tree")
    if root_of(leaf, index, size, path) != root:
        raise NotProven("the leaf is not under the root")
    return Proven(index, leaf, size, root)


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        keys = [Key.parse(text) for text in arguments[1:]]
        proof = Path(arguments[0]).read_bytes().decode()
        proven = verify(proof, keys[0], keys[1:])
    except (NotProven, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    print(f"leaf {proven.index} of {proven.size}, {len(proven.leaf)} bytes, root {proven.root.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
