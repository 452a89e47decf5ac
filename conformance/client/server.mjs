// A demo server of its own for a session of a client.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const startLimit = 60_000; // milliseconds

// env keeps settings of whoever runs the session away from the server.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FIELDSEAL_')));

// demoServer starts the binary on a folder of its own. Its command runs another
// subcommand with that folder.
export async function demoServer(binary, host = '127.0.0.1') {
  const dir = mkdtempSync(join(tmpdir(), 'fieldseal-client-'));
  const data = join(dir, 'data');
  const args = ['serve', '--demo', '--data', data, '--listen', `${host}:0`, '--metrics='];
  const child = spawn(binary, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((done) => child.once('exit', done));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(dir, { recursive: true, force: true });
  };
  const command = async (...words) => (await promisify(execFile)(binary, [...words, '--data', data], { env })).stdout.trim();
  for (const deadline = Date.now() + startLimit; Date.now() < deadline && child.exitCode === null; await sleep(50)) {
    try {
      const credentials = JSON.parse(readFileSync(join(data, 'demo-credentials.json')));
      if ((await fetch(credentials.base.replace(/\/fhir$/, '/readyz'))).ok) return { ...credentials, dir, command, stop };
    } catch {
      // not there yet
    }
  }
  await stop();
  throw new Error('the server was not ready in time');
}
