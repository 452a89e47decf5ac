// Real clients with a demo server: a backend service (service.mjs) and a SMART
// app of the public fhirclient library in Chromium (app/).
//
//   node session.mjs PATH_OF_FIELDSEAL [WORD]    only steps with the word in their name
//
// FIELDSEAL_SCREENSHOTS=DIR keeps a picture of every page that a person sees.
import { demoServer } from '../client/server.mjs';
import { service } from './service.mjs';

const [binary, word = ''] = process.argv.slice(2);
if (!binary) {
  console.error('usage: node session.mjs PATH_OF_FIELDSEAL [WORD]');
  process.exit(2);
}
const server = await demoServer(binary, 'localhost');
try {
  const steps = { ...(await service(server)) };
  for (const [name, step] of Object.entries(steps).filter(([name]) => name.includes(word))) {
    try {
      await step();
      console.log(`ok\t${name}`);
    } catch (error) {
      throw new Error(`${name}: ${error.message}`, { cause: error });
    }
  }
} finally {
  await server.stop();
}
