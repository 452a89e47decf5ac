// A web site on the loopback that serves the app's files and nothing else.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

const files = {
  '/': ['app/index.html', 'text/html'],
  '/portal': ['app/portal.html', 'text/html'],
  '/launch.html': ['app/launch.html', 'text/html'],
  '/launch.js': ['app/launch.js', 'text/javascript'],
  '/app.js': ['app/app.js', 'text/javascript'],
  '/fhir-client.js': ['node_modules/fhirclient/build/fhir-client.min.js', 'text/javascript'],
};

export async function openSite() {
  const server = createServer((request, response) => {
    const found = files[new URL(request.url, 'http://localhost').pathname];
    if (!found) return response.writeHead(404).end();
    const [name, type] = found;
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8`, 'Cache-Control': 'no-store' });
    response.end(readFileSync(fileURLToPath(new URL(name, import.meta.url))));
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  const origin = `http://localhost:${server.address().port}`;
  return { origin, close: () => (server.closeAllConnections(), server.close()) };
}
