// States of pages that few people ever see.
import assert from 'node:assert/strict';

// rare returns the steps. proxy acts for the demo's patient, stranger for nobody.
export function rare(server, growth, { reader, doctor, proxy, stranger }, ehr) {
  const scope = 'launch/patient patient/Patient.rs';
  return {
    async 'rare: whose record?'() {
      await growth.open(proxy, { scope });
      await proxy.login();
      await proxy.see('Whose record?');
      await proxy.look('choose');
    },
    async 'rare: no patient is available'() {
      await growth.open(stranger, { scope });
      await stranger.login();
      await stranger.see('No patient is available');
      await stranger.look('no-patient');
    },
    async 'rare: opened for somebody else'() {
      const launch = await ehr({ client_id: growth.id, user: doctor.account, patient: server.patient });
      await growth.open(reader, { scope: 'launch openid patient/Patient.rs', launch });
      await reader.login();
      await reader.see('Opened for somebody else');
      await reader.look('other-person');
    },
    async 'rare: an answer is given once'() {
      await growth.open(reader, { scope });
      await reader.seeButton('Allow');
      const { page } = reader;
      const form = await page.evaluate(() => [...new FormData(document.querySelector('form:has(button[value="allow"])'))]);
      const address = page.url();
      await reader.press('Allow');
      await reader.arrived();
      await page.goto(address);
      await reader.seeButton('Allow');
      await page.evaluate((old) => { // as a page that was kept by the browser
        document.querySelector('input[name="form"]').value = old.find(([name]) => name === 'form')[1];
      }, form);
      await reader.press('Allow');
      await reader.see('This page was used already');
      await reader.look('used');
    },
    async 'rare: a password is changed, or mistyped'() {
      const { page } = reader;
      await page.goto(`${server.issuer}/account/password`);
      await reader.see('Change your password');
      await reader.look('password');
      await reader.logout();
      await growth.open(reader, { scope });
      await reader.fill('Name', reader.name);
      await reader.fill('Password', `not ${reader.password}`);
      await reader.press('Sign in');
      await page.getByRole('alert').first().waitFor();
      await reader.look('login-refused');
    },
    async 'rare: there is no such page'() {
      await reader.page.goto(`${server.issuer}/account/nothing`);
      await reader.see('There is no such page');
      await reader.look('not-found');
    },
    async 'rare: a link is used once'() {
      await reader.page.goto(reader.link);
      await reader.see('This link does not work any more');
      await reader.look('link-used');
      assert.equal(await reader.page.getByLabel('New password').count(), 0);
    },
  };
}
