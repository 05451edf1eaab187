// A certified authorization server (oidc-provider) on a free loopback port, which it prints as its issuer. Clients
// register themselves. Whoever comes to sign in is the account of ?login_hint, or anna, and consents to everything.
// Arguments: the folder of node_modules, the audience of its access tokens.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, audience] = process.argv.slice(2);
const packages = createRequire(pathToFileURL(join(folder, 'index.js')));
const { Provider } = await import(pathToFileURL(packages.resolve('oidc-provider')));

let handle = (_, response) => response.writeHead(503).end();
const server = createServer((request, response) => handle(request, response));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => {
        if (resource !== audience) throw new Error(`unknown resource ${resource}`);
        return { scope: 'models', audience, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } };
      },
    },
  },
  scopes: ['openid', 'offline_access', 'models'],
  clientDefaults: { grant_types: ['authorization_code', 'refresh_token'] },
  cookies: { keys: ['only for tests'] },
  ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 300, Interaction: 60, Session: 300 },
  interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

async function signIn(request, response) {
  const { params, prompt, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login')
    return provider.interactionFinished(request, response, { login: { accountId: params.login_hint ?? 'anna' } });
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (params.scope) grant.addOIDCScope(params.scope);
  if (params.scope) grant.addResourceScope(audience, params.scope);
  return provider.interactionFinished(
    request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true },
  );
}

handle = (request, response) =>
  request.url.startsWith('/sign-in/') ? signIn(request, response) : provider.callback()(request, response);
console.log(issuer);
