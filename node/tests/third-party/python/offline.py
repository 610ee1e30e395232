"""A resource server that verifies regional tokens offline: with the region's keys, its status lists
(draft-ietf-oauth-status-list-21, unpacked here by hand) and its feed of revocations.

Nothing of a token is sent anywhere: only public documents are read, and a stream is followed.
"""

import base64
import json
import time
import uuid
import zlib

from joserfc import jwt
from joserfc.jwk import import_key

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIST_TYPE = "application/statuslist+jwt"
VALID, INVALID = 0, 1
# Ten million statuses of one bit. Few compressed bytes can stand for far more.
ARRAY_BYTES_MAX = 1_250_000
WITHIN_SECONDS = 30


class Refused(Exception):
    """The resource server does not accept a token."""


def unpacked(text):
    """The bytes of a list's `lst`, never more than the limit."""
    packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    stream = zlib.decompressobj()
    array = stream.decompress(packed, ARRAY_BYTES_MAX)
    if not stream.eof or stream.unused_data:
        raise Refused("the status list is not one whole zlib stream of acceptable length")
    return array


class StatusList:
    """One publication of a list, verified."""

    def __init__(self, region, uri, response):
        self.etag = response.headers["ETag"]
        claims = region.verified(response.text, "statuslist+jwt").claims
        now = time.time()
        if claims["sub"] != uri:
            raise Refused("the list is another")
        if not claims["iat"] - 5 <= now < claims["exp"]:
            raise Refused("the list is not of now")
        self.fresh_until = now + claims["ttl"]
        self.bits = claims["status_list"]["bits"]
        self.array = unpacked(claims["status_list"]["lst"])

    def status(self, index):
        byte, shift = divmod(index * self.bits, 8)
        if not 0 <= byte < len(self.array):
            raise Refused("the token's index is not in its list")
        return self.array[byte] >> shift & (1 << self.bits) - 1


class ResourceServer:
    """Accepts tokens for one resource without asking anybody about them."""

    def __init__(self, region, registered):
        self.region = region
        self.id = registered["id"]
        self.jwk = json.loads(open(registered["key_file"], encoding="utf-8").read())
        self.lists = {}
        self.revoked = set()
        self.last_event_id = None

    def accept(self, token):
        """The claims of a token, or Refused. The token comes first, then its status."""
        claims = self.region.verified(token, "at+jwt").claims
        if claims["exp"] <= time.time() or claims["aud"] != self.region.plan["resource"]:
            raise Refused("the token is expired or for another resource")
        reference = claims["status"]["status_list"]
        uri, index = reference["uri"], reference["idx"]
        if (uri, index) in self.revoked or self.list(uri).status(index) != VALID:
            raise Refused("the token is revoked")
        return claims

    def list(self, uri):
        known = self.lists.get(uri)
        if known is None or known.fresh_until <= time.time():
            known = self.lists[uri] = self.fetch(uri)
        return known

    def fetch(self, uri):
        # After a gap, no copy that somebody kept on the way will do.
        headers = {"Accept": LIST_TYPE, "Cache-Control": "no-cache"}
        response = self.region.http.get(uri, headers=headers, timeout=15)
        if response.status_code != 200 or response.headers["Content-Type"] != LIST_TYPE:
            raise Refused(f"no status list: {response.status_code}")
        return StatusList(self.region, uri, response)

    def credentials(self):
        now = int(time.time())
        claims = {"iss": self.id, "sub": self.id, "aud": self.region.issuer}
        claims |= {"iat": now, "exp": now + 60, "jti": uuid.uuid4().hex}
        header = {"alg": self.jwk["alg"], "typ": "client-authentication+jwt", "kid": self.jwk["kid"]}
        algorithms = [self.jwk["alg"]]
        assertion = jwt.encode(header, claims, import_key(self.jwk), algorithms=algorithms)
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}

    def all_lists(self):
        endpoint = self.region.metadata["status_list_aggregation_endpoint"]
        response = self.region.http.post(endpoint, data=self.credentials(), timeout=15)
        response.raise_for_status()
        return response.json()["status_lists"]

    def follow(self):
        """Yields the name of each event after having acted on it."""
        endpoint = self.region.metadata["revocation_feed_endpoint"]
        headers = {"Last-Event-ID": self.last_event_id} if self.last_event_id else {}
        response = self.region.http.post(
            endpoint, data=self.credentials(), headers=headers, stream=True, timeout=WITHIN_SECONDS
        )
        response.raise_for_status()
        with response:
            for event in events(response.iter_lines(chunk_size=1, decode_unicode=True)):
                if event["event"] == "reset":
                    self.lists.clear()
                    self.revoked.clear()
                elif event["event"] == "revoked":
                    data = json.loads(event["data"])
                    self.revoked.add((data["list"], data["index"]))
                self.last_event_id = event["id"]
                yield event["event"]


def events(lines):
    """Events of a stream (WHATWG HTML section 9.2.6), without comments and retry times."""
    event = {}
    for line in lines:
        if line == "":
            if "data" in event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            event[name] = value.removeprefix(" ")


def refuses(server, token):
    try:
        server.accept(token)
    except Refused:
        return True
    return False


def check(region, gateway, exchange, require):
    """A token is accepted offline, revoked, and refused: by the feed at once, by the list soon."""
    registered = region.plan["clients"]["api"]
    following, reading = ResourceServer(region, registered), ResourceServer(region, registered)
    token, other = exchange(), exchange()
    for server in (following, reading):
        require(server.accept(token)["iss"] == region.issuer, "a live token is accepted offline")
    reference = reading.accept(token)["status"]["status_list"]
    known = reading.list(reference["uri"])
    answer = region.http.get(reference["uri"], headers={"If-None-Match": known.etag}, timeout=15)
    require(answer.status_code in (200, 304), "a known list is asked for again", answer.status_code)
    require(reference["uri"] in following.all_lists(), "the list is one of the region's")

    stream = following.follow()
    require(next(stream) == "reset", "whoever begins is told to read the lists")
    began = time.monotonic()
    gateway.revoke(token)
    # What others revoked shortly before may be told as well.
    require(any(refuses(following, token) for _ in stream), "a revocation is told")
    told = time.monotonic() - began
    stream.close()
    require(not refuses(following, other), "and no other one")

    while reading.fetch(reference["uri"]).status(reference["idx"]) != INVALID:
        require(time.monotonic() - began < WITHIN_SECONDS, "the list says it soon")
        time.sleep(0.2)
    reading.lists.clear()
    require(refuses(reading, token), "who reads the list refuses a revoked token")
    require(not refuses(reading, other), "and no other one")

    gateway.revoke(other)
    again = following.follow()
    require(next(again) == "revoked", "who comes again goes on where it left off")
    again.close()
    require(refuses(following, other), "and has missed nothing")
    return {"accepted": 2, "refused": 2, "told_milliseconds": round(told * 1000)}
