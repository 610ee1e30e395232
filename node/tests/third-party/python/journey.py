"""One client's journey through a region, written with Authlib, joserfc and requests.

    journey.py PLAN

PLAN is a JSON file: `issuer`, `ca_file`, `mint_url` (of the global provider), `resource`, `scope`,
`expected_claims`, and `clients`, each with `id` and `key_file`: `gateway` exchanges tokens, `api` is
the resource server that may introspect them, `batch` is registered with
`assertion_audience = "issuer-or-token-endpoint"`.

Prints one JSON object when the region kept every promise; otherwise names the first broken one and
exits 1. RFC 7009, 7523 (and 7523bis), 7662, 8414, 8693, 9068, 9701; offline.py has the part of a
resource server that asks nobody.
"""

import json
import pathlib
import sys
import time

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from joserfc import jwt
from joserfc.jwk import KeySet, import_key

# The interpreter runs isolated, and does not look beside the program by itself.
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import offline

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
SIGNED_INTROSPECTION = "application/token-introspection+jwt"
ALGORITHMS = ["ES256", "EdDSA", "Ed25519", "RS256", "PS256"]
TIMEOUT_SECONDS = 15
CLOCK_LEEWAY_SECONDS = 5

# Members of the global token that name a person or connect two tokens of one person.
PERSONAL = (
    "sub sid jti email name preferred_username given_name family_name birthdate".split()
)
# What a regional token may hold beside the claims that the region's rules write.
PROTOCOL = set(
    "iss sub aud exp iat nbf jti client_id scope status act auth_time acr amr exq".split()
)


class BrokenPromise(Exception):
    """The region did something else than it should have done."""


def require(condition, promise, found=None):
    if not condition:
        raise BrokenPromise(promise if found is None else f"{promise}; found {found!r}")


class Region:
    """The region as a client sees it: metadata and keys, read once, over TLS with the given CA."""

    def __init__(self, plan):
        self.plan = plan
        self.issuer = plan["issuer"]
        self.http = self.trusting(requests.Session())
        self.metadata = self.read_metadata()
        self.keys = self.read_keys()

    def trusting(self, session):
        # Without this a CA bundle or proxy named in the environment would win over ours.
        session.trust_env = False
        session.verify = self.plan["ca_file"]
        return session

    def fetch(self, url):
        response = self.http.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        require(response.status_code == 200, f"GET {url} answers 200", response.status_code)
        return response

    def read_metadata(self):
        oauth = self.fetch(get_well_known_url(self.issuer, external=True))
        openid = self.fetch(self.issuer + "/.well-known/openid-configuration")
        require(oauth.content == openid.content, "both well-known documents are the same bytes")
        metadata = AuthorizationServerMetadata(oauth.json())
        metadata.validate()
        require(metadata["issuer"] == self.issuer, "metadata names its issuer", metadata["issuer"])
        require(TOKEN_EXCHANGE in metadata["grant_types_supported"], "token exchange is offered")
        for endpoint in ("token", "introspection", "revocation"):
            methods = metadata[f"{endpoint}_endpoint_auth_methods_supported"]
            require("private_key_jwt" in methods, f"private_key_jwt at {endpoint}", methods)
            algorithms = metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
            require({"ES256", "RS256"} <= set(algorithms), f"algorithms at {endpoint}", algorithms)
        signing = metadata["introspection_signing_alg_values_supported"]
        require("ES256" in signing, "signed introspection with ES256 is offered", signing)
        return metadata

    def read_keys(self):
        document = self.fetch(self.metadata["jwks_uri"]).json()
        private = {"d", "p", "q", "dp", "dq", "qi", "k"}
        for member in document["keys"]:
            require(not private & set(member), "no private member in the JWKS", sorted(member))
        keys = KeySet.import_key_set(document)
        for key in keys:
            require(key.kid == key.thumbprint(), "kid is the RFC 7638 thumbprint", key.kid)
        return keys

    def verified(self, token, typ):
        """Header and claims of a token, after its signature and `typ` were checked."""
        decoded = jwt.decode(token, self.keys, algorithms=ALGORITHMS)
        require(decoded.header["typ"] == typ, f"typ is {typ}", decoded.header["typ"])
        require(decoded.claims.get("iss") == self.issuer, "iss is the region", decoded.claims)
        return decoded


class Client:
    """One registered client; `assertion_audience` and `alg` are what it puts into its assertions."""

    def __init__(self, region, name, assertion_audience, header=None):
        registered = region.plan["clients"][name]
        jwk = json.loads(pathlib.Path(registered["key_file"]).read_text())
        self.id = registered["id"]
        self.metadata = region.metadata
        self.last_response = None
        self.session = region.trusting(
            OAuth2Session(
                self.id,
                import_key(jwk),
                token_endpoint_auth_method="private_key_jwt",
                revocation_endpoint_auth_method="private_key_jwt",
                default_timeout=TIMEOUT_SECONDS,
            )
        )
        method = PrivateKeyJWT(assertion_audience, headers=header, alg=jwk["alg"])
        self.session.register_client_auth_method(method)
        self.session.register_compliance_hook("access_token_response", self.remember)

    def remember(self, response):
        self.last_response = response
        return response

    def exchange(self, subject_token, **parameters):
        request = {"subject_token_type": ACCESS_TOKEN} | parameters
        return self.session.fetch_token(
            self.metadata["token_endpoint"],
            grant_type=TOKEN_EXCHANGE,
            subject_token=subject_token,
            **request,
        )

    def introspect(self, token):
        response = self.session.introspect_token(
            self.metadata["introspection_endpoint"],
            token=token,
            headers={"Accept": "application/json"},
        )
        require(response.status_code == 200, "introspection answers 200", response.text)
        return response.json()

    def introspect_signed(self, region, token):
        response = self.session.introspect_token(
            self.metadata["introspection_endpoint"],
            token=token,
            headers={"Accept": SIGNED_INTROSPECTION},
        )
        require(response.status_code == 200, "signed introspection answers 200", response.text)
        media_type = response.headers["Content-Type"]
        require(media_type == SIGNED_INTROSPECTION, "a JWT was asked for, a JWT comes", media_type)
        claims = region.verified(response.text, "token-introspection+jwt").claims
        require(claims["aud"] in (self.id, [self.id]), "aud is the caller", claims["aud"])
        require("sub" not in claims and "exp" not in claims, "no sub, no exp at top level", claims)
        require(isinstance(claims["iat"], int), "iat is there", claims)
        return claims["token_introspection"]

    def revoke(self, token):
        response = self.session.revoke_token(self.metadata["revocation_endpoint"], token=token)
        require(response.status_code == 200, "revocation answers 200", response.text)


def mint(plan, alg):
    """A token of the global provider, and its claims."""
    session = requests.Session()
    session.trust_env = False
    response = session.post(plan["mint_url"], json={"alg": alg}, timeout=TIMEOUT_SECONDS)
    response.raise_for_status()
    return response.json()


def check_answer(client, answer, subject, plan):
    require(answer["issued_token_type"] == ACCESS_TOKEN, "an access token is issued", dict(answer))
    require(answer["token_type"].lower() == "bearer", "token_type is Bearer", answer["token_type"])
    require(answer["scope"] == plan["scope"], "the scope asked for is granted", answer["scope"])
    left = subject["claims"]["exp"] - time.time()
    in_time = 0 < answer["expires_in"] <= left + CLOCK_LEEWAY_SECONDS
    require(in_time, "the regional token does not outlive the global one", answer["expires_in"])
    headers = client.last_response.headers
    require(headers.get("Cache-Control") == "no-store", "Cache-Control: no-store", dict(headers))


def check_token(region, client, token, subject):
    """RFC 9068, and nothing of the person but what the region's rules let through."""
    plan = region.plan
    decoded = region.verified(token, "at+jwt")
    claims = decoded.claims
    jwt.JWTClaimsRegistry(
        leeway=CLOCK_LEEWAY_SECONDS,
        iss={"essential": True, "value": region.issuer},
        aud={"essential": True, "value": plan["resource"]},
        client_id={"essential": True, "value": client.id},
        scope={"essential": True, "value": plan["scope"]},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
        sub={"essential": True},
    ).validate(claims)
    require(claims["aud"] in (plan["resource"], [plan["resource"]]), "one audience", claims["aud"])
    require(claims["exp"] <= subject["claims"]["exp"], "exp is not after the global token's")
    for name, value in plan["expected_claims"].items():
        require(claims.get(name) == value, f"the rules write {name} = {value!r}", claims.get(name))
    unexpected = set(claims) - PROTOCOL - set(plan["expected_claims"])
    require(not unexpected, "no claim without a rule", sorted(unexpected))
    visible = json.dumps([decoded.header, claims], ensure_ascii=False)
    for name in PERSONAL:
        require(subject["claims"][name] not in visible, f"`{name}` does not cross", claims)
    return claims


def check_introspection(region, gateway, api, token, claims):
    for answer in (api.introspect(token), api.introspect_signed(region, token)):
        require(answer.get("active") is True, "a live token is active", answer)
        for name in ("iss", "sub", "exp", "client_id", "scope"):
            require(answer.get(name) == claims[name], f"introspection agrees on {name}", answer)
    stranger = gateway.introspect(token)
    require(stranger == {"active": False}, "only the audience's service may ask", stranger)


def check_revocation(region, gateway, api, token):
    gateway.revoke(token)
    gateway.revoke(token)
    gateway.revoke("no-token-of-this-region")
    for answer in (api.introspect(token), api.introspect_signed(region, token)):
        require(answer == {"active": False}, "a revoked token is inactive and no more", answer)


def refused(client, error, status, promise, attempt):
    """The attempt fails with that error, and the body says which rule spoke."""
    client.last_response = None
    try:
        answer = attempt()
    except OAuthError as refusal:
        require(refusal.error == error, f"{promise}: {error}", refusal.error)
    else:
        raise BrokenPromise(f"{promise}: a token was issued: {sorted(answer)}")
    response = client.last_response
    require(response.status_code == status, f"{promise}: {status}", response.status_code)
    body = response.json()
    require("access_token" not in body, f"{promise}: no token beside the error")
    identified = body.get("error_id") and body.get("error_uri", "").endswith(body["error_id"])
    require(identified, f"{promise}: error_uri ends in error_id", body)
    require(body.get("request_id"), f"{promise}: request_id is there", body)
    return body["error_id"]


def check_refusals(region, gateway):
    """What a client must not get, and the RFC's word for it."""
    plan = region.plan
    token = mint(plan, "ES256")["token"]
    target = {"resource": plan["resource"], "scope": plan["scope"]}
    head, payload, signature = token.split(".")
    other = "A" if signature[0] != "A" else "B"
    forged = ".".join([head, payload, other + signature[1:]])
    elsewhere = {"resource": "https://api.elsewhere.example/none"}
    endpoint_audience = Client(region, "gateway", region.metadata["token_endpoint"])
    replaying = Client(region, "gateway", region.issuer)
    fixed = PrivateKeyJWT(
        region.issuer, claims={"jti": f"replayed-{time.time_ns()}"}, alg="ES256"
    )
    replaying.session.register_client_auth_method(fixed)
    replaying.exchange(token, **target)
    return {
        "forged_signature": refused(
            gateway, "invalid_request", 400, "a forged signature",
            lambda: gateway.exchange(forged, **target),
        ),
        "unknown_target": refused(
            gateway, "invalid_target", 400, "an unknown target",
            lambda: gateway.exchange(token, **elsewhere),
        ),
        "wider_scope": refused(
            gateway, "invalid_scope", 400, "more scope than the global token has",
            lambda: gateway.exchange(token, resource=plan["resource"], scope="orders:write"),
        ),
        "endpoint_as_assertion_audience": refused(
            endpoint_audience, "invalid_client", 401, "an assertion for the token endpoint",
            lambda: endpoint_audience.exchange(token, **target),
        ),
        "replayed_assertion": refused(
            replaying, "invalid_client", 401, "a replayed assertion",
            lambda: replaying.exchange(token, **target),
        ),
    }


def journey(plan):
    region = Region(plan)
    typed = {"typ": "client-authentication+jwt"}
    gateway = Client(region, "gateway", region.issuer, dict(typed))
    api = Client(region, "api", region.issuer, dict(typed))
    # As Authlib's manual shows it: the audience is the token endpoint, the `typ` is `JWT`.
    batch = Client(region, "batch", region.metadata["token_endpoint"])
    target = {"resource": plan["resource"], "scope": plan["scope"]}

    subjects, checked = set(), []
    for client, alg, kind in ((gateway, "ES256", ACCESS_TOKEN), (batch, "RS256", JWT)):
        subject = mint(plan, alg)
        answer = client.exchange(subject["token"], subject_token_type=kind, **target)
        check_answer(client, answer, subject, plan)
        claims = check_token(region, client, answer["access_token"], subject)
        check_introspection(region, gateway, api, answer["access_token"], claims)
        check_revocation(region, client, api, answer["access_token"])
        subjects.add(claims["sub"])
        checked.append({"client_id": client.id, "subject_alg": alg, "jti": claims["jti"]})
    require(len(subjects) == 2, "two people have two pseudonyms")

    def exchange():
        return gateway.exchange(mint(plan, "ES256")["token"], **target)["access_token"]

    return {
        "exchanges": checked,
        "refusals": check_refusals(region, gateway),
        "offline": offline.check(region, gateway, exchange, require),
    }


def main(plan_file):
    plan = json.loads(pathlib.Path(plan_file).read_text())
    try:
        print(json.dumps(journey(plan)))
    except BrokenPromise as broken:
        sys.exit(f"broken promise: {broken}")


if __name__ == "__main__":
    main(sys.argv[1])
