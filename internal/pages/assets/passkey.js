// The ceremonies of passkeys (WebAuthn), which need a script: the form's
// options stand in its data-create or data-get, the answer is posted by it.
(() => {
  'use strict';
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const named = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));
  const options = (o) => ({
    ...o,
    challenge: bytes(o.challenge),
    ...(o.user && { user: { ...o.user, id: bytes(o.user.id) } }),
    ...(o.allowCredentials && { allowCredentials: named(o.allowCredentials) }),
    ...(o.excludeCredentials && { excludeCredentials: named(o.excludeCredentials) }),
  });
  const answer = (c) => {
    const response = { clientDataJSON: text(c.response.clientDataJSON) };
    for (const part of ['attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
      if (c.response[part]) response[part] = text(c.response[part]);
    }
    if (c.response.getTransports) response.transports = c.response.getTransports();
    return JSON.stringify({ id: c.id, rawId: text(c.rawId), type: c.type, response, clientExtensionResults: c.getClientExtensionResults(),
      authenticatorAttachment: c.authenticatorAttachment || undefined });
  };
  const run = async (form) => {
    const trouble = form.querySelector('[role=alert]');
    trouble.hidden = true;
    try {
      const create = form.dataset.create;
      const credential = create
        ? await navigator.credentials.create({ publicKey: options(JSON.parse(create)) })
        : await navigator.credentials.get({ publicKey: options(JSON.parse(form.dataset.get)) });
      form.elements.response.value = answer(credential);
      form.submit();
    } catch {
      trouble.hidden = false;
      trouble.focus();
    }
  };
  for (const form of document.querySelectorAll('form[data-get], form[data-create]')) {
    if (!window.PublicKeyCredential) continue;
    form.hidden = false;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      run(form);
    });
  }
  for (const missing of document.querySelectorAll('.without-passkeys')) missing.hidden = Boolean(window.PublicKeyCredential);
})();
