// Makes the keys of registered clients with jose.
//
//     keys.mjs DIRECTORY ID:ALG...
//
// For each client, DIRECTORY/ID.jwks (public, what the region registers) and DIRECTORY/ID.jwk
// (private, what the client keeps).

import './webcrypto.mjs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';

const [directory, ...clients] = process.argv.slice(2);

for (const client of clients) {
  const [id, alg] = client.split(':');
  const pair = await generateKeyPair(alg, { extractable: true });
  const common = { use: 'sig', alg, kid: await calculateJwkThumbprint(await exportJWK(pair.publicKey)) };
  const publicJwk = { ...(await exportJWK(pair.publicKey)), ...common };
  const privateJwk = { ...(await exportJWK(pair.privateKey)), ...common };
  await writeFile(join(directory, `${id}.jwks`), JSON.stringify({ keys: [publicJwk] }));
  await writeFile(join(directory, `${id}.jwk`), JSON.stringify(privateJwk));
}
