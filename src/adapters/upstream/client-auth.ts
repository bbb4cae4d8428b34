import * as oauth from 'oauth4webapi';
import { LIMITS, UNITS } from '../../core/limits.ts';
import { Secret } from '../../core/secret.ts';
import type { ClientAuthConfig } from './client-auth-config.ts';
import { basic } from './credentials.ts';

/** Makes the proof of who we are for one request; `tokenUrl` is the audience of a signed one, also at the server's other endpoints. */
export type ClientAuthAt = (request: { readonly tokenUrl: string }) => oauth.ClientAuth;

/** How a client authenticates itself, as its registration says. */
export function clientAuthOf(auth: ClientAuthConfig): ClientAuthAt {
  switch (auth.method) {
    case 'client_secret_basic': {
      const { encoding } = auth;
      const password = new Secret(auth.clientSecret);
      return () => (_as, client, _body, headers) => {
        headers.set('authorization', basic({ user: client.client_id, password, encoding }));
      };
    }
    case 'client_secret_post': {
      const post = oauth.ClientSecretPost(auth.clientSecret);
      return () => post;
    }
    case 'none': {
      const none = oauth.None();
      return () => none;
    }
    case 'private_key_jwt':
      return ({ tokenUrl }) => signedAssertion({ auth, tokenUrl });
  }
}

/**
 * A signed assertion as SMART has it (contract, 8.5), with a `jti` of its own for each request: oauth4webapi draws a new one each time it is asked, and a
 * server refuses one that it has seen.
 */
function signedAssertion({
  auth: { key, keyId, jwksUrl },
  tokenUrl,
}: {
  readonly auth: Extract<ClientAuthConfig, { readonly method: 'private_key_jwt' }>;
  readonly tokenUrl: string;
}): oauth.ClientAuth {
  return oauth.PrivateKeyJwt(
    { key, kid: keyId },
    {
      [oauth.modifyAssertion]: (header, payload) => {
        header['typ'] = 'JWT';
        if (jwksUrl !== undefined) header['jku'] = jwksUrl;
        payload['aud'] = tokenUrl;
        payload['exp'] = Number(payload['iat']) + LIMITS.assertionLifetimeMs / UNITS.SECOND_MS;
        // Servers whose clocks are a second behind ours refuse what is not valid yet; nobody asks for it.
        delete payload['nbf'];
      },
    },
  );
}
