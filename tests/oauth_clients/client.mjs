// An official TypeScript client that signs in as a user with a browser does, without the browser, and calls find_models.
// Prints {protocol, registered, tools, result}. Arguments: the folder of node_modules, the package, the server's URL.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, name, url] = process.argv.slice(2);
const packages = createRequire(pathToFileURL(join(folder, 'index.js')));
const load = (entry) => import(pathToFileURL(packages.resolve(entry)));
const { Client, StreamableHTTPClientTransport } = name === '@modelcontextprotocol/client'
  ? await load(name)
  : { ...(await load(`${name}/client/index.js`)), ...(await load(`${name}/client/streamableHttp.js`)) };

const CALLBACK = 'http://127.0.0.1:1/callback'; // nobody listens: the redirect is read, not followed

class Person {
  redirectUrl = CALLBACK;
  clientMetadata = {
    client_name: 'test', redirect_uris: [CALLBACK], application_type: 'native', token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
  };
  state = () => 'state-of-this-client';
  clientInformation = () => this.client;
  saveClientInformation = (client) => { this.client = client; };
  tokens = () => this.saved;
  saveTokens = (tokens) => { this.saved = tokens; };
  saveCodeVerifier = (verifier) => { this.verifier = verifier; };
  codeVerifier = () => this.verifier;
  redirectToAuthorization = async (at) => { this.callback = await follow(at); };
}

async function follow(at) {
  const cookies = new Map();
  while (!String(at).startsWith(CALLBACK)) {
    const cookie = [...cookies].map(([key, value]) => `${key}=${value}`).join('; ');
    const response = await fetch(at, { redirect: 'manual', headers: { cookie } });
    for (const set of response.headers.getSetCookie()) {
      const [key, ...value] = set.split(';')[0].split('=');
      cookies.set(key, value.join('='));
    }
    if (!response.headers.get('location')) throw new Error(`${response.status} at ${at}: ${await response.text()}`);
    at = new URL(response.headers.get('location'), at);
  }
  return at.searchParams;
}

const person = new Person();
const connect = async () => {
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: person });
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!person.callback) throw error;
    if (person.callback.get('state') !== person.state()) throw new Error('another state');
    await transport.finishAuth(person.callback.get('code'), person.callback.get('iss') ?? undefined);
    person.callback = undefined;
    return null;
  }
};
const client = (await connect()) ?? (await connect());
const { tools } = await client.listTools();
const result = await client.callTool({ name: 'find_models', arguments: {} });
console.log(JSON.stringify({
  protocol: client.getNegotiatedProtocolVersion?.() ?? null,
  registered: person.client.client_id, token: person.saved.access_token,
  tools: tools.map((tool) => tool.name), result: result.structuredContent,
}));
await client.close();
