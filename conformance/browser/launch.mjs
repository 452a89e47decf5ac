// The SMART app of app/, whose library is fhirclient: launches, and what its
// tokens open.
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Person } from './person.mjs';

const scope = 'launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs';
const widest = `launch ${scope} user/Patient.rs user/Practitioner.rs user/Observation.rs`;
const id = 'browser-app';

// get asks with the app's token, by fhirclient, and returns the status of a
// failure.
const get = (person, path) =>
  person.page.evaluate(
    (p) => window.client.request(p).catch((error) => ({ failed: error.statusCode ?? error.status ?? String(error) })),
    path,
  );

// app registers the SMART app; its open starts it in a person's browser.
export async function app(server, site) {
  const redirect = `${site.origin}/`;
  await server.command('client', 'add', id, '--auth', 'none', '--name', 'Growth chart', '--redirect', redirect, '--origin', site.origin, '--scope', widest);
  return { id, open: (person, more = {}) => person.page.goto(`${site.origin}/launch.html?${new URLSearchParams({ client: id, scope, iss: server.base, ...more })}`) };
}

// secret registers an app that keeps a secret, since public ones on the loopback
// are asked about each time; its authorize is the address of a request.
export async function secret(server, site) {
  const name = 'secret-app';
  await server.command('client', 'add', name, '--auth', 'client_secret_basic', '--name', 'Portal', '--redirect', `${site.origin}/portal`, '--scope', `${scope} patient/Encounter.rs`);
  const challenge = createHash('sha256').update(randomBytes(32)).digest('base64url');
  const authorize = (asked, prompt) =>
    `${server.issuer}/authorize?${new URLSearchParams({ response_type: 'code', client_id: name, redirect_uri: `${site.origin}/portal`, state: randomUUID(), aud: server.base, scope: asked, code_challenge: challenge, code_challenge_method: 'S256', ...(prompt && { prompt }) })}`;
  return { authorize };
}

// launches returns the steps of the app by name.
export function launches(server, growth, portal, reader, doctor, ehr) {
  let granted;
  return {
    async 'app: standalone launch as a patient'() {
      await growth.open(reader);
      await reader.login();
      await reader.seeButton('Allow');
      await reader.look('consent');
      await reader.press('Allow');
      granted = await reader.arrived();
      assert.equal(granted.patient, server.patient);
      assert.equal(granted.token_type, 'Bearer');
      assert.deepEqual(granted.scope.split(' ').sort(), scope.split(' ').sort());
      const read = await reader.page.evaluate(async () => ({ patient: await client.patient.read(), user: client.user.fhirUser }));
      assert.equal(read.patient.id, server.patient);
      assert.ok(read.user.endsWith(`Patient/${server.patient}`), read.user);
      const found = await get(reader, `Observation?patient=${server.patient}&_count=1`);
      assert.equal(found.resourceType, 'Bundle');
    },
    async 'app: no further than its scopes'() {
      assert.equal((await get(reader, `Encounter?patient=${server.patient}`)).failed, 403);
      assert.equal((await get(reader, 'Patient/nobody-with-this-id')).failed, 404);
    },
    async 'app: refresh'() {
      const after = await reader.page.evaluate(async () => (await client.refresh()).tokenResponse);
      assert.notEqual(after.access_token, granted.access_token);
      assert.notEqual(after.refresh_token, granted.refresh_token);
      assert.equal((await get(reader, `Patient/${server.patient}`)).id, server.patient);
    },
    async 'app: denial of a scope'() {
      await growth.open(reader);
      await reader.untick('Diagnoses and problems');
      await reader.look('consent-declined');
      await reader.press('Allow');
      const { scope: got } = await reader.arrived();
      assert.ok(!got.includes('Condition') && got.includes('patient/Observation.rs'), got);
      assert.equal((await get(reader, `Condition?patient=${server.patient}`)).failed, 403);
      assert.equal((await get(reader, `Observation?patient=${server.patient}&_count=1`)).resourceType, 'Bundle');
    },
    async 'app: denial of everything'() {
      await growth.open(reader);
      await reader.press('Deny');
      await reader.page.waitForFunction(() => document.title === 'Failed');
      assert.match(await reader.page.textContent('p'), /access_denied|declined/);
    },
    async 'app: what was allowed is not asked again'() {
      await reader.page.goto(portal.authorize(scope));
      await reader.press('Allow');
      await reader.page.waitForURL(/[?&]code=/);
      await reader.page.goto(portal.authorize(scope.replace(' offline_access', ''), 'none'));
      assert.ok(new URL(reader.page.url()).searchParams.get('code'), reader.page.url());
      await reader.page.goto(portal.authorize(`${scope} patient/Encounter.rs`, 'none'));
      assert.equal(new URL(reader.page.url()).searchParams.get('error'), 'consent_required');
      await reader.page.goto(portal.authorize(scope, 'consent'));
      await reader.seeButton('Allow');
    },
    async 'app: wrong redirect'() {
      await growth.open(reader, { redirect: './other.html' });
      await reader.page.getByRole('heading', { level: 1 }).waitFor();
      assert.equal(new URL(reader.page.url()).origin, new URL(server.base).origin);
      assert.equal(await reader.page.getByRole('button', { name: 'Allow' }).count(), 0);
      await reader.look('error');
    },
    async 'app: EHR launch as a clinician'() {
      const launch = await ehr({ client_id: id, user: doctor.account, patient: server.patient, need_patient_banner: false });
      await growth.open(doctor, { scope: 'launch openid fhirUser user/Patient.rs user/Practitioner.rs', launch });
      await doctor.login();
      await doctor.seeButton('Allow');
      await doctor.look('consent-clinician');
      await doctor.press('Allow');
      const got = await doctor.arrived();
      assert.equal(got.patient, server.patient);
      assert.equal(got.need_patient_banner, false);
      const read = await doctor.page.evaluate(async () => ({ patient: await client.patient.read(), user: await client.user.read() }));
      assert.equal(read.patient.id, server.patient);
      assert.equal(read.user.resourceType, 'Practitioner');
    },
    async 'app: a clinician picks a patient'() {
      await growth.open(doctor, { scope: 'launch/patient patient/Patient.rs' });
      await doctor.pick(server.patient);
      await doctor.seeButton('Allow');
      await doctor.press('Allow');
      assert.equal((await doctor.arrived()).patient, server.patient);
      assert.equal((await get(doctor, `Patient/${server.patient}`)).id, server.patient);
    },
    async 'app: ended by its user'() {
      await growth.open(reader);
      await reader.press('Allow');
      await reader.arrived();
      const other = await reader.context.newPage();
      await other.goto(server.management);
      await other.getByText('Growth chart').first().waitFor();
      await reader.look('apps', other);
      const ends = other.getByRole('button', { name: /^End access of (Growth chart|Portal)$/ });
      for (let left = await ends.count(); left > 0; left--) {
        await ends.first().click();
        await other.waitForFunction((n) => document.querySelectorAll('button[aria-label^="End access"]').length < n, left);
      }
      await other.getByText('You have authorised no app').waitFor();
      await other.goto(portal.authorize(scope, 'none'));
      assert.equal(new URL(other.url()).searchParams.get('error'), 'consent_required');
      await other.close();
      await reader.until(async () => (await get(reader, `Patient/${server.patient}`)).failed);
    },
    async 'app: logout'() {
      await reader.logout();
      await growth.open(reader);
      await reader.page.getByLabel('Password').waitFor();
    },
  };
}
