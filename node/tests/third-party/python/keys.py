"""Makes the keys of registered clients with joserfc.

    keys.py DIRECTORY ID:ALG...

For each client, DIRECTORY/ID.jwks (public, what the region registers) and DIRECTORY/ID.jwk (private,
what the client keeps).
"""

import json
import pathlib
import sys

from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

MAKERS = {
    "ES256": lambda parameters: ECKey.generate_key("P-256", parameters, auto_kid=True),
    "EdDSA": lambda parameters: OKPKey.generate_key("Ed25519", parameters, auto_kid=True),
    "PS256": lambda parameters: RSAKey.generate_key(2048, parameters, auto_kid=True),
    "RS256": lambda parameters: RSAKey.generate_key(2048, parameters, auto_kid=True),
}


def main(directory, *clients):
    for client in clients:
        client_id, alg = client.split(":")
        key = MAKERS[alg]({"use": "sig", "alg": alg})
        path = pathlib.Path(directory) / client_id
        path.with_suffix(".jwks").write_text(json.dumps(KeySet([key]).as_dict(private=False)))
        path.with_suffix(".jwk").write_text(json.dumps(key.as_dict(private=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
