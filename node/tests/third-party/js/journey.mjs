// One client's journey through a region, written with openid-client, oauth4webapi and jose.
//
//     NODE_EXTRA_CA_CERTS=CA journey.mjs PLAN
//
// PLAN is a JSON file: `issuer`, `mint_url` (of the global provider), `resource`, `scope`,
// `expected_claims`, and `clients`, each with `id` and `key_file`: `gateway` exchanges tokens, `api`
// is the resource server that may introspect them, `batch` is registered with
// `assertion_audience = "issuer-or-token-endpoint"`. TLS is checked as always; no switch of the
// libraries that would allow less is used.
//
// Prints one JSON object when the region kept every promise; otherwise names the first broken one and
// exits 1. RFC 7009, 7523, 7662, 8414, 8693, 9068, 9701.

import './webcrypto.mjs';
import { oauth4webapiJourney } from './oauth4webapi.mjs';
import { openidClientJourney } from './openid-client.mjs';
import { BrokenPromise, readPlan } from './plan.mjs';

const plan = await readPlan(process.argv[2]);
try {
  const openid = await openidClientJourney(plan);
  const oauth4webapi = await oauth4webapiJourney(plan);
  console.log(JSON.stringify({ 'openid-client': openid, oauth4webapi }));
} catch (error) {
  console.error(error instanceof BrokenPromise ? `broken promise: ${error.message}` : told(error));
  process.exitCode = 1;
}

// The stack of a library's error, then its causes: the libraries put the reason there.
function told(error) {
  const lines = [error.stack];
  for (let cause = error.cause; cause instanceof Error && lines.length < 4; cause = cause.cause) {
    lines.push(`because: ${cause.message} (${cause.code})`);
  }
  if (error.error) lines.push(`the region answered: ${error.status} ${error.error} ${error.error_description}`);
  return lines.join('\n');
}
