// What both journeys read and require: the plan, a token of the global provider, and the promises of
// a regional token (RFC 9068) that no library checks. The plan is described in journey.mjs.

import { readFile } from 'node:fs/promises';
import { decodeProtectedHeader, importJWK } from 'jose';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
export const JWT = 'urn:ietf:params:oauth:token-type:jwt';

const CLOCK_LEEWAY_SECONDS = 5;

// Members of the global token that name a person or connect two tokens of one person.
const PERSONAL = [
  'sub', 'sid', 'jti', 'email', 'name', 'preferred_username', 'given_name', 'family_name', 'birthdate',
];
// What a regional token may hold beside the claims that the region's rules write.
const PROTOCOL = [
  'iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti', 'client_id', 'scope', 'status', 'act', 'auth_time',
  'acr', 'amr', 'exq',
];

export class BrokenPromise extends Error {}

export function require(condition, promise, found) {
  if (!condition) {
    throw new BrokenPromise(found === undefined ? promise : `${promise}; found ${JSON.stringify(found)}`);
  }
}

export async function readPlan(file) {
  return JSON.parse(await readFile(file, 'utf8'));
}

// A registered client's id and its private key as the libraries take it.
export async function registered(plan, name) {
  const { id, key_file } = plan.clients[name];
  const jwk = JSON.parse(await readFile(key_file, 'utf8'));
  return { id, key: { key: await importJWK(jwk, jwk.alg), kid: jwk.kid } };
}

export async function mint(plan, alg) {
  const response = await fetch(plan.mint_url, { method: 'POST', body: JSON.stringify({ alg }) });
  require(response.status === 200, 'the global provider mints a token', response.status);
  return response.json();
}

export function checkAnswer(plan, answer, subject) {
  require(answer.issued_token_type === ACCESS_TOKEN, 'an access token is issued', answer.issued_token_type);
  require(answer.token_type.toLowerCase() === 'bearer', 'token_type is Bearer', answer.token_type);
  require(answer.scope === plan.scope, 'the scope asked for is granted', answer.scope);
  const left = subject.claims.exp - Date.now() / 1000;
  const inTime = answer.expires_in > 0 && answer.expires_in <= left + CLOCK_LEEWAY_SECONDS;
  require(inTime, 'the regional token does not outlive the global one', answer.expires_in);
}

// `claims` come from a verified token; `clientId` is who asked for it.
export function checkClaims(plan, token, claims, clientId, subject) {
  require([claims.aud].flat().length === 1, 'one audience', claims.aud);
  require(claims.client_id === clientId, 'client_id is the client', claims.client_id);
  require(claims.scope === plan.scope, 'scope is what was granted', claims.scope);
  require(claims.exp <= subject.claims.exp, "exp is not after the global token's", claims.exp);
  for (const [name, value] of Object.entries(plan.expected_claims)) {
    const same = JSON.stringify(claims[name]) === JSON.stringify(value);
    require(same, `the rules write ${name} = ${JSON.stringify(value)}`, claims[name]);
  }
  const known = new Set([...PROTOCOL, ...Object.keys(plan.expected_claims)]);
  const unexpected = Object.keys(claims).filter((name) => !known.has(name));
  require(unexpected.length === 0, 'no claim without a rule', unexpected);
  const visible = JSON.stringify([decodeProtectedHeader(token), claims]);
  for (const name of PERSONAL) {
    require(!visible.includes(subject.claims[name]), `\`${name}\` does not cross`, claims);
  }
}

export function checkActive(answer, claims) {
  require(answer.active === true, 'a live token is active', answer);
  for (const name of ['iss', 'sub', 'exp', 'client_id', 'scope']) {
    require(answer[name] === claims[name], `introspection agrees on ${name}`, answer);
  }
}

export function checkInactive(answer, promise) {
  require(JSON.stringify(answer) === '{"active":false}', promise, answer);
}
