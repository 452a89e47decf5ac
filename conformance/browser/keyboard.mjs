// A login with a second factor and a decision about an app, by keyboard alone:
// Tab, Space, Enter and typing.
import assert from 'node:assert/strict';

// stop tells what has the focus: that it can be seen, and that it comes after
// the stop before in the order of the page (WCAG 2.4.3, 2.4.7).
const stop = (page) =>
  page.evaluate(() => {
    const at = document.activeElement;
    const style = getComputedStyle(at);
    const box = at.getBoundingClientRect();
    const before = window.stopBefore;
    window.stopBefore = at;
    return {
      what: at.tagName.toLowerCase(),
      name: (at.labels?.[0]?.textContent ?? at.getAttribute('aria-label') ?? at.textContent).replace(/\s+/g, ' ').trim(),
      nowhere: at === document.body,
      ringed: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
      inView: box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
      onward: !before || before === document.body || Boolean(before.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING),
    };
  });

// walk presses Tab until the focus is on what is looked for, which is at most so
// many stops away.
async function walk(page, what, name, most = 60) {
  const passed = [];
  await page.waitForLoadState();
  for (let i = 0; i < most; i++) {
    await page.keyboard.press('Tab');
    const at = await stop(page);
    passed.push(`${at.what} "${at.name}"`);
    assert.ok(!at.nowhere, `the focus left the page: ${passed.join(', ')}`);
    assert.ok(at.ringed, `no visible focus on ${passed.at(-1)}`);
    assert.ok(at.inView, `the focus is out of sight on ${passed.at(-1)}`);
    assert.ok(at.onward, `the focus goes back to ${passed.at(-1)}`);
    if (at.what === what && at.name.startsWith(name)) return;
  }
  assert.fail(`no ${what} "${name}" among ${passed.join(', ')}`);
}

// keyboard returns the steps of somebody who has an authenticator app.
export function keyboard(growth, officer) {
  const { page } = officer;
  const keys = page.keyboard;
  return {
    async 'keyboard: the way to the content is offered first'() {
      await officer.logout();
      await page.reload();
      await walk(page, 'a', 'Skip to the content', 1);
      await keys.press('Enter');
      await page.waitForFunction(() => location.hash);
      await page.evaluate(() => delete window.stopBefore);
      await walk(page, 'a', 'Sign in again', 1);
    },
    async 'keyboard: login'() {
      await growth.open(officer, { scope: 'openid fhirUser user/Patient.rs user/Observation.rs' });
      await page.waitForFunction(() => document.activeElement?.name === 'username'); // it waits there
      await keys.type(officer.name);
      await walk(page, 'input', 'Password');
      await keys.type(officer.password);
      await keys.press('Enter');
      await officer.see('Second step');
    },
    async 'keyboard: second factor'() {
      await walk(page, 'input', 'Code from your authenticator app');
      await keys.type(await officer.code());
      await keys.press('Enter');
      await officer.seeButton('Allow');
    },
    async 'keyboard: a scope is declined and the rest allowed'() {
      const box = page.getByRole('checkbox', { name: /^Measurements/ });
      await walk(page, 'input', 'Measurements');
      await keys.press('Space');
      assert.equal(await box.first().isChecked(), false);
      await walk(page, 'button', 'Allow');
      await keys.press('Enter');
      const { scope } = await officer.arrived();
      assert.ok(scope.includes('user/Patient.rs') && !scope.includes('Observation'), scope);
    },
  };
}
