// What a person does in the pages. Elements are found as a screen reader finds
// them, by role and label.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { accessible } from './access.mjs';
import { authenticator, openBrowser } from './browser.mjs';

const pictures = process.env.FIELDSEAL_SCREENSHOTS;

// Person has an account, a password, a browser of its own and, later, factors.
export class Person {
  lastStep = 0; // of the authenticator app

  constructor(server, name) {
    Object.assign(this, { server, name, account: `user:${name}`, password: randomBytes(12).toString('base64url') });
  }

  // create makes the account; its person sets the password by the one-time link.
  static async create(server, name, role, ...who) {
    const person = new Person(server, name);
    await server.command('user', 'create', '--role', `role:${role}`, ...who.flatMap((link) => ['--link', link]), '--reason', 'browser session', person.account);
    await person.open();
    await person.accept();
    return person;
  }

  async open() {
    Object.assign(this, await openBrowser());
    this.authenticator = await authenticator(this.page);
  }

  // look measures what the person sees, and keeps a picture of it.
  async look(name, page = this.page) {
    await accessible(page, name);
    if (!pictures) return;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  }

  async see(text) {
    await this.page.getByText(text).first().waitFor();
  }

  seeButton(name) {
    return this.page.getByRole('button', { name }).waitFor();
  }

  press(name) {
    return this.page.getByRole('button', { name, exact: true }).click();
  }

  fill(label, value) {
    return this.page.getByLabel(label).first().fill(value);
  }

  async accept() {
    const printed = await this.server.command('user', 'invite', '--reason', 'browser session', this.account);
    this.link = printed.match(/https?:\/\/\S+/)[0];
    await this.page.goto(this.link);
    await this.look('enrol');
    await this.fill('New password', this.password);
    await this.fill('The same once more', this.password);
    await this.press('Set password');
    await this.see('A second way to prove');
  }

  // login fills in the form that asks for name and password.
  async login() {
    await this.fill('Name', this.name);
    await this.fill('Password', this.password);
    await this.look('login');
    await this.press('Sign in');
  }

  async logout() {
    await this.page.goto(`${this.server.issuer}/logout`);
    await this.look('logout');
    await this.press('Sign out');
    await this.see('You are signed out');
    await this.look('signed-out');
  }

  // pick chooses a patient of the picker.
  async pick(id) {
    await this.press('Search');
    await this.see('Found');
    await this.look('picker');
    const choice = this.page.locator(`button[value="${id}"]`);
    while (!(await choice.count())) {
      await this.page.evaluate(() => (window.before = true));
      await this.press('More');
      await this.page.waitForFunction(() => !window.before && document.readyState === 'complete');
    }
    await choice.click();
  }

  // code is a code of the authenticator app that was not used before
  // (RFC 6238). When the next one is too far away, it waits for it.
  async code() {
    const now = () => Math.floor(Date.now() / 30_000);
    while (now() < this.lastStep) await sleep(250);
    this.lastStep = Math.max(now(), this.lastStep + 1);
    return totp(this.secret, this.lastStep);
  }

  untick(label) {
    return this.page.getByRole('checkbox', { name: label }).first().uncheck();
  }

  // until polls for what no page shows.
  async until(ok) {
    for (const deadline = Date.now() + 60_000; !(await ok()); await sleep(200)) assert.ok(Date.now() < deadline, 'it did not come in time');
  }

  // wrongCode is a code of no step around now.
  wrongCode() {
    const near = [-4, -3, -2, -1, 0, 1, 2, 3, 4].map((d) => totp(this.secret, Math.floor(Date.now() / 30_000) + d));
    return ['000000', '111111', '222222', '333333', '444444', '555555', '666666', '777777', '888888', '999999'].find((code) => !near.includes(code));
  }

  // arrived waits until the app has redeemed its code, and returns what its
  // token answer said.
  async arrived() {
    await this.page.waitForFunction(() => ['Ready', 'Failed'].includes(document.title));
    assert.equal(await this.page.title(), 'Ready', await this.page.textContent('p'));
    return this.page.evaluate(() => window.client.state.tokenResponse);
  }
}

function totp(secret, step) {
  const bits = [...secret.replaceAll(' ', '').replaceAll('=', '').toUpperCase()].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const sum = createHmac('sha1', key).update(counter).digest();
  const number = sum.readUInt32BE(sum[sum.length - 1] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}
