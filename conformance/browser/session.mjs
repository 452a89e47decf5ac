// Real clients with a demo server: a backend service (service.mjs), a SMART app
// of the public fhirclient library in Chromium (launch.mjs, app/), and people
// with second factors (factor.mjs).
//
//   node session.mjs PATH_OF_FIELDSEAL
//
// FIELDSEAL_SCREENSHOTS=DIR keeps a picture of every page that a person sees.
import { demoServer } from '../client/server.mjs';
import { factors } from './factor.mjs';
import { app, launches } from './launch.mjs';
import { Person } from './person.mjs';
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
const person = async (name, role, who) => {
  const made = await Person.create(server, name, role, who);
  people.push(made);
  return made;
};

// practitioner creates one, whom an account then is.
async function practitioner(family) {
  const body = JSON.stringify({ resourceType: 'Practitioner', name: [{ family }] });
  const headers = { Authorization: `Bearer ${server.tokens.integration}`, 'Content-Type': 'application/fhir+json' };
  const response = await fetch(`${server.base}/Practitioner`, { method: 'POST', headers, body });
  return `Practitioner/${(await response.json()).id}`;
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
  const doctor = await person('doctor', 'clinician', await practitioner('Doctor'));
  await reader.logout();
  await doctor.logout();
  await run(launches(server, growth, reader, doctor, await launcher(server)));
  const officer = await person('officer', 'security-officer', await practitioner('Officer'));
  await run(factors(server, growth, officer));
} finally {
  for (const p of people) await p.close();
  site.close();
  await server.stop();
}
