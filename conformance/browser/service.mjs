// A backend service that knows the jose library and nothing of this server:
// SMART Backend Services, with a good assertion and with bad ones.
import assert from 'node:assert/strict';
import { createPublicKey, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { SignJWT, UnsecuredJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose';

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const scope = 'system/Patient.rs';
const id = 'jose-service';

async function tokenEndpoint(server) {
  const discovered = await fetch(`${server.base}/.well-known/smart-configuration`, { headers: { Accept: 'application/fhir+json' } });
  return (await discovered.json()).token_endpoint;
}

// keyFile writes a JSON Web Key Set.
function keyFile(server, name, keys) {
  const file = join(server.dir, name);
  writeFileSync(file, JSON.stringify({ keys }));
  return file;
}

const jwk = async (pair, kid) => ({ ...(await exportJWK(pair.publicKey)), kid, use: 'sig' });

const now = () => Math.floor(Date.now() / 1000);

async function ask(endpoint, assertion) {
  const form = { grant_type: 'client_credentials', scope, client_assertion_type: assertionType, client_assertion: assertion };
  const response = await fetch(endpoint, { method: 'POST', body: new URLSearchParams(form) });
  assert.equal(response.headers.get('cache-control'), 'no-store');
  return { status: response.status, ...(await response.json()) };
}

// launcher registers an EHR and returns how it starts an app with context.
export async function launcher(server) {
  const endpoint = await tokenEndpoint(server);
  const pair = await generateKeyPair('ES384');
  const file = keyFile(server, 'ehr.json', [await jwk(pair, 'k1')]);
  await server.command('client', 'add', 'ehr', '--jwks', file, '--role', 'role:integration', '--scope', scope, '--launches');
  return async (call) => {
    const claims = { iss: 'ehr', sub: 'ehr', aud: endpoint, exp: now() + 120, jti: randomUUID() };
    const { access_token: token } = await ask(endpoint, await new SignJWT(claims).setProtectedHeader({ alg: 'ES384', kid: 'k1' }).sign(pair.privateKey));
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
    const response = await fetch(endpoint.replace(/token$/, 'launch'), { method: 'POST', headers, body: JSON.stringify(call) });
    assert.equal(response.status, 200);
    return (await response.json()).launch;
  };
}

// service registers itself with its keys and returns its steps by name.
export async function service(server) {
  const endpoint = await tokenEndpoint(server);
  const pairs = { ES384: await generateKeyPair('ES384'), RS384: await generateKeyPair('RS384', { modulusLength: 2048 }) };
  const thief = await generateKeyPair('ES384');
  const add = (name, file) => server.command('client', 'add', name, '--jwks', file, '--role', 'role:integration', '--scope', scope);
  await add(id, keyFile(server, 'keys.json', [await jwk(pairs.ES384, 'k1'), await jwk(pairs.RS384, 'k1')]));

  const claims = (change = {}) => ({ iss: id, sub: id, aud: endpoint, exp: now() + 120, jti: randomUUID(), ...change });
  const sign = (change, header = {}, key = pairs.ES384.privateKey) =>
    new SignJWT(claims(change)).setProtectedHeader({ alg: 'ES384', typ: 'JWT', kid: 'k1', ...header }).sign(key);
  const refused = async (assertion) => {
    const { status, error, access_token: token } = await ask(endpoint, assertion);
    assert.deepEqual({ status, error, token }, { status: 401, error: 'invalid_client', token: undefined });
  };
  const read = (token) => fetch(`${server.base}/Patient/${server.patient}`, { headers: { Authorization: `Bearer ${token}` } });
  const spki = await exportSPKI(pairs.RS384.publicKey);

  return {
    async 'service: ES384 and RS384'() {
      for (const alg of ['ES384', 'RS384']) {
        const got = await ask(endpoint, await sign({}, { alg }, pairs[alg].privateKey));
        assert.equal(got.status, 200);
        assert.equal(got.token_type, 'Bearer');
        assert.equal(got.refresh_token, undefined);
        assert.ok(got.expires_in > 0 && got.expires_in <= 300);
        assert.equal((await read(got.access_token)).status, 200);
      }
    },
    'service: alg none': () => refused(new UnsecuredJWT(claims()).encode()),
    async 'service: HS256 with the public key'() {
      for (const secret of [spki, spki.trimEnd(), createPublicKey(spki).export({ type: 'spki', format: 'der' })]) {
        await refused(await sign({}, { alg: 'HS256' }, Buffer.from(secret)));
      }
    },
    async 'service: a foreign jku is not fetched'() {
      let calls = 0;
      const evil = createServer(async (_, response) => {
        calls++;
        response.end(JSON.stringify({ keys: [await jwk(thief, 'k1')] }));
      });
      evil.listen(0, '127.0.0.1');
      await once(evil, 'listening');
      await refused(await sign({}, { jku: `http://127.0.0.1:${evil.address().port}/jwks` }, thief.privateKey));
      await refused(await sign({}, { jwk: await jwk(thief, 'k1') }, thief.privateKey));
      evil.close();
      assert.equal(calls, 0);
    },
    'service: long exp': async () => refused(await sign({ exp: now() + 3600 })),
    'service: expired': async () => refused(await sign({ exp: now() - 60 })),
    'service: wrong aud': async () => refused(await sign({ aud: server.base })),
    "service: another's key": async () => refused(await sign({}, {}, thief.privateKey)),
    async 'service: replayed jti'() {
      const once = await sign();
      assert.equal((await ask(endpoint, once)).status, 200);
      await refused(once);
    },
    async 'service: two keys with one kid'() {
      const file = keyFile(server, 'twice.json', [await jwk(pairs.ES384, 'k1'), await jwk(thief, 'k1')]);
      await assert.rejects(add('twice', file), /kid/);
    },
    'service: its token in the query': async () => {
      const { access_token: token } = await ask(endpoint, await sign());
      assert.equal((await fetch(`${server.base}/Patient/${server.patient}?access_token=${token}`)).status, 400);
    },
  };
}
