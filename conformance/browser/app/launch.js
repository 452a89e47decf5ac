// Starts the authorization: iss and launch are in the address when an EHR
// launches the app; the test says in it which client it is and what it asks.
const asked = new URLSearchParams(location.search);
FHIR.oauth2
  .authorize({
    clientId: asked.get('client'),
    scope: asked.get('scope'),
    iss: asked.get('iss'),
    redirectUri: asked.get('redirect') ?? './',
    pkceMode: 'required',
  })
  .catch((error) => {
    document.title = 'Failed';
    document.querySelector('p').textContent = error.message;
  });
