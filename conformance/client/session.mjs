// A session that an app has with a FHIR server, through fhir-kit-client.
//
//   node session.mjs PATH_OF_FIELDSEAL      starts a demo server for itself
//   node session.mjs BASE_URL TOKEN         speaks to one that runs
//
// Steps that need an interaction which the CapabilityStatement does not claim
// are named and left out; every other step must succeed.
import assert from 'node:assert/strict';
import { Client } from 'fhir-kit-client';
import { demoServer } from './server.mjs';

const tag = `session-${Date.now().toString(36)}`;
const system = 'urn:client-session';

function patient(number) {
  return {
    resourceType: 'Patient',
    identifier: [{ system, value: `${tag}-${number}` }],
    name: [{ family: `Session${tag.slice(8)}`, given: [`Number${number}`] }],
    gender: 'other',
    birthDate: '1990-05-06',
  };
}

function observation(subject, value) {
  return {
    resourceType: 'Observation',
    status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code: '29463-7' }] },
    subject: { reference: subject },
    effectiveDateTime: '2026-01-02T03:04:05Z',
    valueQuantity: { value, unit: 'kg', system: 'http://unitsofmeasure.org', code: 'kg' },
  };
}

// status is that of the answer behind a promise, thrown or not.
async function status(promise) {
  try {
    return Client.httpFor(await promise).response.status;
  } catch (error) {
    return error.response?.status;
  }
}

async function session(client) {
  const state = {};
  const claims = (code) => state.codes.has(code);
  const steps = {
    async 'capability statement'() {
      const statement = await client.capabilityStatement();
      assert.equal(statement.fhirVersion, '4.0.1');
      const [rest] = statement.rest;
      const resource = rest.resource.find((r) => r.type === 'Patient');
      state.codes = new Set([...rest.interaction, ...resource.interaction].map((i) => i.code));
      state.conditionalUpdate = resource.conditionalUpdate === true;
    },
    async create() {
      state.patient = await client.create({ resourceType: 'Patient', body: patient(0) });
      assert.match(Client.httpFor(state.patient).response.headers.get('location'), /\/Patient\/[^/]+\/_history\/1$/);
    },
    async read() {
      const got = await client.read({ resourceType: 'Patient', id: state.patient.id });
      assert.deepEqual(got, state.patient);
    },
    async 'conditional create'() {
      const options = { headers: { 'If-None-Exist': `identifier=${system}|${tag}-0` } };
      assert.equal(await status(client.create({ resourceType: 'Patient', body: patient(0), options })), 200);
    },
    async update() {
      const { id } = state.patient;
      const changed = await client.update({ resourceType: 'Patient', id, body: { ...state.patient, gender: 'female' } });
      assert.equal(changed.gender, 'female');
      assert.equal(changed.meta.versionId, '2');
    },
    async 'update of a stale version'() {
      const { id } = state.patient;
      const options = { headers: { 'If-Match': 'W/"1"' } };
      assert.equal(await status(client.update({ resourceType: 'Patient', id, body: state.patient, options })), 412);
    },
    async 'conditional update'() {
      if (!state.conditionalUpdate) return 'not served';
      const searchParams = { identifier: `${system}|${tag}-1` };
      assert.equal(await status(client.update({ resourceType: 'Patient', searchParams, body: patient(1) })), 201);
      const body = { ...patient(1), gender: 'male' };
      const changed = await client.update({ resourceType: 'Patient', searchParams, body });
      assert.equal(changed.gender, 'male');
      assert.equal(changed.meta.versionId, '2');
    },
    async transaction() {
      const entry = [{ fullUrl: 'urn:uuid:5e5510a0-0000-4000-8000-000000000001', resource: patient(2), request: { method: 'POST', url: 'Patient' } }];
      for (let kilograms = 60; kilograms < 75; kilograms++) {
        entry.push({ resource: observation(entry[0].fullUrl, kilograms), request: { method: 'POST', url: 'Observation' } });
      }
      const answer = await client.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry } });
      assert.equal(answer.type, 'transaction-response');
      assert.deepEqual([...new Set(answer.entry.map((e) => e.response.status.slice(0, 3)))], ['201']);
      [, state.subject] = answer.entry[0].response.location.match(/(Patient\/[^/]+)/);
    },
    async 'transaction that fails whole'() {
      const entry = [
        { resource: patient(3), request: { method: 'POST', url: 'Patient' } },
        { resource: { resourceType: 'Patient', gender: 'none' }, request: { method: 'POST', url: 'Patient' } },
      ];
      const failed = await status(client.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry } }));
      assert.ok(failed >= 400 && failed < 500, `status ${failed}`);
      const found = await client.search({ resourceType: 'Patient', searchParams: { identifier: `${system}|${tag}-3` } });
      assert.equal(found.entry?.length ?? 0, 0);
    },
    async batch() {
      const entry = [
        { request: { method: 'GET', url: `Patient/${state.patient.id}` } },
        { request: { method: 'GET', url: 'Patient/nobody-with-this-id' } },
      ];
      const answer = await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry } });
      assert.deepEqual(answer.entry.map((e) => e.response.status.slice(0, 3)), ['200', '404']);
    },
    async 'search with paging'() {
      const searchParams = { subject: state.subject, _sort: 'value-quantity', _count: '4' };
      const values = [];
      let bundle = await client.search({ resourceType: 'Observation', searchParams });
      for (let pages = 0; bundle && pages < 10; pages++) {
        values.push(...bundle.entry.map((e) => e.resource.valueQuantity.value));
        bundle = await client.nextPage({ bundle });
      }
      assert.deepEqual(values, Array.from({ length: 15 }, (_, i) => 60 + i));
    },
    async 'search by POST'() {
      const searchParams = { family: patient(0).name[0].family, gender: 'female' };
      const found = await client.search({ resourceType: 'Patient', searchParams, options: { postSearch: true } });
      assert.deepEqual(found.entry.map((e) => e.resource.id), [state.patient.id]);
    },
    async 'compartment search'() {
      const [resourceType, id] = state.subject.split('/');
      const found = await client.search({ resourceType: 'Observation', compartment: { resourceType, id }, searchParams: { _summary: 'count' } });
      assert.equal(found.total, 15);
    },
    async resolve() {
      const found = await client.search({ resourceType: 'Observation', searchParams: { subject: state.subject, _count: '1' } });
      const resolved = await client.resolve({ reference: found.entry[0].resource.subject.reference, context: found });
      assert.equal(`Patient/${resolved.id}`, state.subject);
    },
    async patch() {
      if (!claims('patch')) return 'not served';
      const jsonPatch = [{ op: 'test', path: '/gender', value: 'female' }, { op: 'replace', path: '/gender', value: 'unknown' }];
      const changed = await client.patch({ resourceType: 'Patient', id: state.patient.id, jsonPatch });
      assert.equal(changed.gender, 'unknown');
      assert.equal(changed.meta.versionId, '3');
    },
    async 'history of an instance'() {
      const { id } = state.patient;
      const history = await client.history({ resourceType: 'Patient', id });
      assert.equal(history.type, 'history');
      const versions = history.entry.map((e) => Number(e.resource.meta.versionId));
      assert.deepEqual(versions, claims('patch') ? [3, 2, 1] : [2, 1]);
      const first = await client.vread({ resourceType: 'Patient', id, version: '1' });
      assert.equal(first.gender, 'other');
    },
    async 'history of a type'() {
      if (!claims('history-type')) return 'not served';
      assert.equal((await client.history({ resourceType: 'Patient' })).type, 'history');
    },
    async 'history of the system'() {
      if (!claims('history-system')) return 'not served';
      assert.equal((await client.history()).type, 'history');
    },
    async delete() {
      const { id } = state.patient;
      await client.delete({ resourceType: 'Patient', id });
      assert.equal(await status(client.read({ resourceType: 'Patient', id })), 410);
    },
    async 'errors are OperationOutcomes'() {
      await assert.rejects(client.read({ resourceType: 'Patient', id: 'nobody-with-this-id' }), (error) => {
        assert.equal(error.response.status, 404);
        assert.equal(error.response.data.resourceType, 'OperationOutcome');
        return true;
      });
    },
  };
  for (const [name, step] of Object.entries(steps)) {
    try {
      console.log(`${(await step()) ?? 'ok'}\t${name}`);
    } catch (error) {
      throw new Error(`${name}: ${error.message}`, { cause: error });
    }
  }
}

const [target, token] = process.argv.slice(2);
if (!target) {
  console.error('usage: node session.mjs PATH_OF_FIELDSEAL | BASE_URL TOKEN');
  process.exit(2);
}
const server = target.includes('://') ? { base: target, tokens: { integration: token }, stop: async () => {} } : await demoServer(target);
try {
  await session(new Client({ baseUrl: server.base, bearerToken: server.tokens.integration }));
} finally {
  await server.stop();
}
