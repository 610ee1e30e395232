"""A global identity provider in the manner of Keycloak, written with joserfc.

It serves discovery (OpenID Connect Discovery 1.0) and its keys (RFC 7517) over loopback HTTP and
mints access tokens on request. It knows nothing of regions.

    issuer.py                   prints one line of JSON, {"issuer", "mint_url"}, then serves
    POST /mint                  {"alg"?: "ES256" | "RS256", "claims"?: {...}}  ->  {"token", "claims"}

A claim of the request replaces the usual one; null removes it. The process ends when its standard
input is closed, so that it never outlives the test that started it.
"""

import json
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

REALM = "/realms/global"
LIFETIME_SECONDS = 300
# A request to mint holds a handful of claims.
REQUEST_BYTES_MAX = 64 * 1024

SIGNING_KEYS = {
    "ES256": ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True),
    "RS256": RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True),
}
# Keycloak publishes an encryption key beside the others; a verifier has to pass over it.
ENCRYPTION_KEY = RSAKey.generate_key(2048, {"use": "enc", "alg": "RSA-OAEP"}, auto_kid=True)


def usual_claims(issuer):
    """The claims of an access token of one person, as Keycloak writes them."""
    now = int(time.time())
    return {
        "exp": now + LIFETIME_SECONDS,
        "iat": now,
        "auth_time": now - 20,
        "jti": f"onrtac:{uuid.uuid4()}",
        "iss": issuer,
        "aud": ["exequatur", "account"],
        "sub": str(uuid.uuid4()),
        "typ": "Bearer",
        "azp": "gateway",
        "sid": str(uuid.uuid4()),
        "acr": "1",
        "realm_access": {"roles": ["reader", "offline_access"]},
        "resource_access": {"account": {"roles": ["view-profile"]}},
        "scope": "openid email profile orders:read",
        "email_verified": True,
        "name": "Minoluchi Okonkwo-Lindqvist",
        "preferred_username": "mina.okonkwo",
        "given_name": "Minoluchi",
        "family_name": "Okonkwo-Lindqvist",
        "email": "mina.okonkwo@example.com",
        "birthdate": "1988-04-17",
        "region": "eu-central",
    }


class Issuer(BaseHTTPRequestHandler):
    """One request; the server object carries the issuer's name."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        issuer = self.server.issuer
        if self.path == f"{REALM}/.well-known/openid-configuration":
            self.answer(200, discovery(issuer))
        elif self.path == f"{REALM}/protocol/openid-connect/certs":
            keys = [*SIGNING_KEYS.values(), ENCRYPTION_KEY]
            self.answer(200, KeySet(keys).as_dict(private=False))
        else:
            self.answer(404, {"error": "not found"})

    def do_POST(self):
        if self.path != "/mint":
            self.answer(404, {"error": "not found"})
            return
        length = int(self.headers.get("Content-Length", "0"))
        if length > REQUEST_BYTES_MAX:
            self.close_connection = True
            self.answer(413, {"error": "too large"})
            return
        request = json.loads(self.rfile.read(length) or b"{}")
        claims = usual_claims(self.server.issuer) | request.get("claims", {})
        claims = {name: value for name, value in claims.items() if value is not None}
        key = SIGNING_KEYS[request.get("alg", "ES256")]
        header = {"alg": key.alg, "typ": "JWT", "kid": key.kid}
        token = jwt.encode(header, claims, key, algorithms=[key.alg])
        self.answer(200, {"token": token, "claims": claims})

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Standard error belongs to failures."""


def discovery(issuer):
    """The members that Keycloak publishes and a verifier may look at."""
    endpoints = f"{issuer}/protocol/openid-connect"
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{endpoints}/auth",
        "token_endpoint": f"{endpoints}/token",
        "jwks_uri": f"{endpoints}/certs",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
    }


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    server.daemon_threads = True
    origin = f"http://127.0.0.1:{server.server_port}"
    server.issuer = origin + REALM
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"issuer": server.issuer, "mint_url": f"{origin}/mint"}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
