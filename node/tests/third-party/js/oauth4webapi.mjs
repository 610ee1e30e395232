// The journey with oauth4webapi: the same as with openid-client, request by request, so that the
// media type and the signature of each answer are judged by the library's own checks. The resource
// server's side (RFC 9068) is `validateJwtAccessToken`.

import * as oauth from 'oauth4webapi';
import {
  ACCESS_TOKEN, JWT, TOKEN_EXCHANGE, checkActive, checkAnswer, checkClaims, checkInactive, mint,
  registered, require,
} from './plan.mjs';

export async function oauth4webapiJourney(plan) {
  const as = await discover(plan);
  const gateway = await party(plan, 'gateway');
  const api = await party(plan, 'api');
  // Registered with `assertion_audience = "issuer-or-token-endpoint"`, for clients like this one.
  const batch = await party(plan, 'batch', (_header, assertion) => {
    assertion.aud = as.token_endpoint;
  });

  const exchanges = [];
  for (const [caller, alg, kind] of [[gateway, 'RS256', ACCESS_TOKEN], [batch, 'ES256', JWT]]) {
    const subject = await mint(plan, alg);
    const { answer, response } = await exchange(as, plan, caller, subject.token, kind);
    checkAnswer(plan, answer, subject);
    require(response.headers.get('cache-control') === 'no-store', 'Cache-Control: no-store');
    const token = answer.access_token;
    const claims = await accept(as, plan, token);
    checkClaims(plan, token, claims, caller.client.client_id, subject);
    await introspectAndRevoke(as, { caller, gateway, api }, token, claims);
    exchanges.push({ client_id: claims.client_id, subject_alg: alg, jti: claims.jti });
  }
  return exchanges;
}

// Both well-known documents, each by the library's own rules for the URL; they must be equal.
async function discover(plan) {
  const issuer = new URL(plan.issuer);
  const found = [];
  for (const algorithm of ['oauth2', 'oidc']) {
    const response = await oauth.discoveryRequest(issuer, { algorithm });
    found.push(await oauth.processDiscoveryResponse(issuer, response));
  }
  require(JSON.stringify(found[0]) === JSON.stringify(found[1]), 'both well-known documents are equal');
  return found[0];
}

async function party(plan, name, modify) {
  const { id, key } = await registered(plan, name);
  const options = modify && { [oauth.modifyAssertion]: modify };
  return { client: { client_id: id }, auth: oauth.PrivateKeyJwt(key, options) };
}

async function exchange(as, plan, { client, auth }, subjectToken, subjectTokenType) {
  const response = await oauth.genericTokenEndpointRequest(as, client, auth, TOKEN_EXCHANGE, {
    subject_token: subjectToken,
    subject_token_type: subjectTokenType,
    resource: plan.resource,
    scope: plan.scope,
  });
  return { answer: await oauth.processGenericTokenEndpointResponse(as, client, response), response };
}

// What a resource server does with a request that carries the token.
async function accept(as, plan, token) {
  const request = new Request(plan.resource, { headers: { authorization: `Bearer ${token}` } });
  return oauth.validateJwtAccessToken(as, request, plan.resource);
}

async function introspectAndRevoke(as, { caller, gateway, api }, token, claims) {
  checkActive(await introspect(as, api, token), claims);
  checkActive(await introspectSigned(as, api, token), claims);
  checkInactive(await introspect(as, gateway, token), "only the audience's service may ask");
  for (const revoked of [token, token, 'no-token-of-this-region']) {
    const response = await oauth.revocationRequest(as, caller.client, caller.auth, revoked);
    await oauth.processRevocationResponse(response);
  }
  checkInactive(await introspect(as, api, token), 'a revoked token is inactive');
  checkInactive(await introspectSigned(as, api, token), 'and signed to be inactive');
}

async function introspect(as, { client, auth }, token) {
  const response = await oauth.introspectionRequest(as, client, auth, token);
  require(oauth.getContentType(response) === 'application/json', 'JSON was asked for');
  return oauth.processIntrospectionResponse(as, client, response);
}

async function introspectSigned(as, { client, auth }, token) {
  const signed = { ...client, introspection_signed_response_alg: 'ES256' };
  const response = await oauth.introspectionRequest(as, signed, auth, token);
  const type = oauth.getContentType(response);
  require(type === 'application/token-introspection+jwt', 'a JWT was asked for, a JWT comes', type);
  const answer = await oauth.processIntrospectionResponse(as, signed, response);
  await oauth.validateApplicationLevelSignature(as, response);
  return answer;
}
