// Debian's Chromium, headless, with a profile of its own for every person, that
// reaches nothing but the loopback.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const patience = 60_000; // milliseconds; a step takes one on a quiet machine

const flags = [
  '--no-sandbox', // the process may be root in a container
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
];

// openBrowser is a new person's browser.
export async function openBrowser(executablePath = '/usr/bin/chromium') {
  const profile = mkdtempSync(join(tmpdir(), 'fieldseal-browser-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: flags });
  context.setDefaultTimeout(patience);
  const page = context.pages()[0] ?? (await context.newPage());
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 30 }); // its last processes may still write
  };
  return { context, page, close };
}

// authenticator gives a page a platform authenticator that verifies its user
// (Chrome DevTools Protocol, WebAuthn). Its count tells how many passkeys it
// keeps.
export async function authenticator(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const options = {
    protocol: 'ctap2',
    transport: 'internal',
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
    automaticPresenceSimulation: true,
  };
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', { options });
  return {
    count: async () => (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials.length,
    verifies: (isUserVerified) => devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }),
    remove: () => devtools.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId }),
  };
}
