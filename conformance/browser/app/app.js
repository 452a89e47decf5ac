// Redeems the code and leaves the client where the test finds it.
FHIR.oauth2
  .ready()
  .then((client) => {
    window.client = client;
    document.title = 'Ready';
    document.querySelector('p').textContent = client.getState('tokenResponse.scope');
  })
  .catch((error) => {
    document.title = 'Failed';
    document.querySelector('p').textContent = error.message;
  });
