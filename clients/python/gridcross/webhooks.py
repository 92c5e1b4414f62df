"""Checks calls of the exchange's webhooks (HTTP Message Signatures, RFC 9421, with Ed25519; docs/api.md)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

COVERED = ("@method", "@target-uri", "content-digest", "gridcross-notice")
INPUT = re.compile(r"gridcross=(\(([^)]*)\);created=(\d+);keyid=\"[^\"]*\";alg=\"ed25519\")")


class Forged(Exception):
    """The exchange did not say this, not to this address, or not now."""


def verify_webhook(method: str, url: str, headers: Mapping[str, str], body: bytes, public_key: str, *,
                   now: float | None = None, max_age_s: float = 300) -> list[dict[str, Any]]:
    """The notices of a call, if the exchange signed it; `Forged` otherwise.

    `url` is the one in the registry, whatever proxies made of it; `public_key` is that of `/v1/webhook`, in base64.
    Answer 2xx when they are kept: what was not acknowledged comes again, under the same numbers.
    """
    values = {name.lower(): value for name, value in headers.items()}
    found = INPUT.fullmatch(values.get("signature-input", ""))
    if not found or found[2] != " ".join(f'"{name}"' for name in COVERED):
        raise Forged("it is not signed, or not all of it")
    if abs((time.time() if now is None else now) - int(found[3])) > max_age_s:
        raise Forged("it was signed at another time")
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    if values.get("content-digest") != f"sha-256=:{digest}:":
        raise Forged("the body is another one")
    values |= {"@method": method, "@target-uri": url}
    try:
        lines = [f'"{name}": {values[name]}' for name in COVERED] + [f'"@signature-params": {found[1]}']
        signature = values["signature"].removeprefix("gridcross=:").removesuffix(":")
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
        key.verify(base64.b64decode(signature, validate=True), "\n".join(lines).encode())
    except (InvalidSignature, KeyError, ValueError) as error:
        raise Forged("the signature does not fit") from error
    notices: list[dict[str, Any]] = json.loads(body)["notices"]
    return notices
