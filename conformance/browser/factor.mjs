// Second factors: a passkey at enrolment and at login, the authenticator app as
// fallback, recovery codes, and what is refused.
import assert from 'node:assert/strict';

// factors returns the steps of a person whose role demands a second factor and
// who has a password only.
export function factors(server, growth, officer) {
  const { page } = officer;
  const account = `${server.issuer}/account`;
  const start = () => growth.open(officer, { scope: 'openid fhirUser user/Patient.rs' });
  const login = async () => {
    await officer.logout();
    await start();
    await officer.login();
    await officer.see('Second step');
  };
  const outside = async () => assert.equal(await page.getByRole('button', { name: 'Allow', exact: true }).count(), 0);
  const inside = async (method) => {
    await officer.press('Allow');
    const { id_token: token } = await officer.arrived();
    const { amr } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    assert.ok(amr.includes('mfa') && amr.includes(method), amr.join());
  };
  const recovery = async (code) => {
    await page.getByText('Use a recovery code').click();
    await officer.fill('Recovery code', code);
    await officer.press('Use this code');
  };
  let codes;
  return {
    async 'factor: a role that needs one gets nowhere without'() {
      await start();
      await officer.see('Your role needs one before anything else');
      await officer.look('factor-needed');
      await outside();
    },
    async 'factor: a passkey is enrolled'() {
      await page.getByRole('listitem').filter({ hasText: 'Passkey' }).getByRole('link', { name: 'Set up' }).click();
      await officer.fill('What you call it', 'Laptop');
      await officer.look('passkey');
      await officer.press('Make a passkey');
      await officer.see('Recovery codes');
      assert.equal(await officer.authenticator.count(), 1);
    },
    async 'factor: recovery codes are shown once'() {
      await officer.press('Show ten codes');
      await officer.see('Your recovery codes');
      codes = await page.getByRole('listitem').locator('code').allTextContents();
      assert.equal(new Set(codes).size, 10);
      await officer.look('recovery-codes');
      await page.getByRole('link', { name: 'I have kept them' }).click();
      await officer.seeButton('Allow'); // back on the way to the app
    },
    async 'factor: login with the passkey'() {
      await login();
      await officer.look('factor');
      await outside();
      await officer.press('Use your passkey');
      await inside('pop');
    },
    async 'factor: a passkey that does not verify its user is refused'() {
      await login();
      await officer.authenticator.verifies(false);
      await officer.press('Use your passkey');
      await officer.see('The passkey was not used');
      await outside();
      await officer.authenticator.verifies(true);
      await officer.press('Use your passkey');
      await inside('pop');
    },
    async 'factor: an authenticator app is set up'() {
      await page.goto(`${account}/totp`);
      await page.getByText('Type the secret instead').click();
      officer.secret = await page.locator('code').textContent();
      await officer.look('authenticator-app');
      await officer.fill('Code', await officer.code());
      await officer.press('Finish');
      await page.goto(account);
      await officer.see('Authenticator app');
      await officer.see('Laptop');
      await officer.look('account');
    },
    async 'factor: the authenticator app instead of the passkey'() {
      await login();
      await officer.fill('Code from your authenticator app', officer.wrongCode());
      await officer.press('Continue');
      await page.getByRole('alert').filter({ hasText: /code/i }).first().waitFor();
      await outside();
      await officer.fill('Code from your authenticator app', await officer.code());
      await officer.press('Continue');
      await inside('otp');
    },
    async 'factor: a recovery code works once'() {
      await login();
      await recovery(codes[0]);
      await inside('otp');
      await login();
      await recovery(codes[0]);
      await page.getByRole('alert').filter({ hasText: /code/i }).first().waitFor();
      await outside();
    },
  };
}
