// The journey with openid-client: discovery, exchange, introspection (plain and signed), revocation.
// The regional token itself is verified with jose.

import * as client from 'openid-client';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import {
  ACCESS_TOKEN, TOKEN_EXCHANGE, checkActive, checkAnswer, checkClaims, checkInactive, mint, registered,
  require,
} from './plan.mjs';

export async function openidClientJourney(plan) {
  const issuer = new URL(plan.issuer);
  const configure = async (name, metadata, algorithm) => {
    const { id, key } = await registered(plan, name);
    return client.discovery(issuer, id, metadata, client.PrivateKeyJwt(key), { algorithm });
  };
  const gateway = await configure('gateway', {}, 'oidc');
  const api = await configure('api', {}, 'oauth2');
  const signedApi = await configure('api', { introspection_signed_response_alg: 'ES256' }, 'oauth2');
  client.enableNonRepudiationChecks(signedApi);

  const subject = await mint(plan, 'ES256');
  const answer = await client.genericGrantRequest(gateway, TOKEN_EXCHANGE, {
    subject_token: subject.token,
    subject_token_type: ACCESS_TOKEN,
    resource: plan.resource,
    scope: plan.scope,
  });
  checkAnswer(plan, answer, subject);

  const token = answer.access_token;
  const keys = createRemoteJWKSet(new URL(gateway.serverMetadata().jwks_uri));
  const { payload: claims } = await jwtVerify(token, keys, {
    typ: 'at+jwt',
    issuer: plan.issuer,
    audience: plan.resource,
    requiredClaims: ['exp', 'iat', 'jti', 'sub', 'client_id'],
  });
  checkClaims(plan, token, claims, gateway.clientMetadata().client_id, subject);

  checkActive(await client.tokenIntrospection(api, token), claims);
  checkActive(await client.tokenIntrospection(signedApi, token), claims);
  await client.tokenRevocation(gateway, token);
  await client.tokenRevocation(gateway, token);
  checkInactive(await client.tokenIntrospection(api, token), 'a revoked token is inactive');
  checkInactive(await client.tokenIntrospection(signedApi, token), 'and signed to be inactive');

  await checkRefusal(plan, gateway, subject.token);
  return { client_id: claims.client_id, jti: claims.jti };
}

async function checkRefusal(plan, gateway, subjectToken) {
  const promise = 'an unknown target is refused';
  let refusal;
  try {
    await client.genericGrantRequest(gateway, TOKEN_EXCHANGE, {
      subject_token: subjectToken,
      subject_token_type: ACCESS_TOKEN,
      resource: 'https://api.elsewhere.example/none',
    });
  } catch (error) {
    refusal = error;
  }
  require(refusal instanceof client.ResponseBodyError, promise, String(refusal));
  require(refusal.error === 'invalid_target' && refusal.status === 400, promise, refusal.error);
}
