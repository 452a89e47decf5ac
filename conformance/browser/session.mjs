// Real clients with a demo server: a backend service (service.mjs), a SMART app
// of the public fhirclient library in Chromium (launch.mjs, app/), and people
// with second factors (factor.mjs), by keyboard alone (keyboard.mjs) and in
// states that are rare (rare.mjs). Every state of a page is measured (access.mjs).
//
//   node session.mjs PATH_OF_FIELDSEAL
//
// FIELDSEAL_SCREENSHOTS=DIR keeps a picture of every page that a person sees.
import assert from 'node:assert/strict';
import { demoServer } from '../client/server.mjs';
import { accessibleStates, broken } from './access.mjs';
import { factors } from './factor.mjs';
import { keyboard } from './keyboard.mjs';
import { app, launches, secret } from './launch.mjs';
import { Person } from './person.mjs';
import { rare } from './rare.mjs';
import { launcher, service } from './service.mjs';
import { openSite } from './site.mjs';

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error('usage: node session.mjs PATH_OF_FIELDSEAL');
  process.exit(2);
}

const server = await demoServer(binary, 'localhost');
const { issuer, management_endpoint: management } = await (await fetch(`${server.base}/.well-known/smart-configuration`)).json();
Object.assign(server, { issuer, management });
const site = await openSite();
const people = [];
const person = async (name, role, ...who) => {
  const made = await Person.create(server, name, role, ...who);
  people.push(made);
  return made;
};

// create makes a resource, whom an account then is or acts for.
async function create(resourceType, family) {
  const body = JSON.stringify({ resourceType, name: [{ family }], ...(resourceType === 'RelatedPerson' && { patient: { reference: `Patient/${server.patient}` } }) });
  const headers = { Authorization: `Bearer ${server.tokens.integration}`, 'Content-Type': 'application/fhir+json' };
  const response = await fetch(`${server.base}/${resourceType}`, { method: 'POST', headers, body });
  return `${resourceType}/${(await response.json()).id}`;
}

async function run(steps) {
  for (const [name, step] of Object.entries(steps)) {
    const began = Date.now();
    try {
      await step();
      console.log(`ok\t${name}\t${Date.now() - began} ms`);
    } catch (error) {
      for (const p of people) console.error(`${p.name} sees ${p.page.url()}\n${(await p.page.textContent('body')).replace(/\s+/g, ' ').slice(0, 1000)}`);
      throw new Error(`${name}: ${error.message}`, { cause: error });
    }
  }
}

try {
  await run(await service(server));
  const growth = await app(server, site);
  const reader = await person('reader', 'patient', `Patient/${server.patient}`);
  const doctor = await person('doctor', 'clinician', await create('Practitioner', 'Doctor'));
  await reader.logout();
  await doctor.logout();
  const ehr = await launcher(server);
  await run(launches(server, growth, await secret(server, site), reader, doctor, ehr));
  const officer = await person('officer', 'security-officer', await create('Practitioner', 'Officer'));
  await run(factors(server, growth, officer));
  await run(keyboard(growth, officer));
  const child = await create('Patient', 'Child');
  const proxy = await person('proxy', 'patient', await create('Patient', 'Parent'), await create('RelatedPerson', 'Parent'));
  const until = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, '');
  await server.command('user', 'delegate', '--scope', 'patient/Patient.rs', '--until', until, '--reason', 'browser session', proxy.account, child.split('/')[1]);
  const stranger = await person('stranger', 'patient', await create('RelatedPerson', 'Stranger'));
  await proxy.logout();
  await stranger.logout();
  await run(rare(server, growth, { reader, doctor, proxy, stranger }, ehr));
  assert.deepEqual(broken, []);
  console.log(`accessible in three views: ${accessibleStates().join(' ')}`);
} finally {
  for (const p of people) await p.close();
  site.close();
  await server.stop();
}
