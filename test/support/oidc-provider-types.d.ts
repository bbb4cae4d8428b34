/** The part of oidc-provider (which ships no types) that the tests use. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  type ClientMetadata = {
    readonly client_id: string;
    readonly client_secret?: string;
    readonly token_endpoint_auth_method: string;
    readonly token_endpoint_auth_signing_alg?: string;
    readonly jwks?: { readonly keys: readonly object[] };
  };

  type TokenInput = {
    readonly client: object;
    readonly accountId: string;
    readonly grantId: string;
    readonly scope: string;
    readonly gty: string;
    readonly expiresWithSession: false;
  };

  type Context = {
    readonly oidc?: { readonly route?: string; readonly entities: Entities };
    status: number;
    body: unknown;
  };
  type Entities = { readonly Account?: { readonly accountId: string } };

  class Token {
    constructor(input: TokenInput);
    readonly accountId: string;
    readonly grantId: string;
    readonly isValid: boolean;
    static find(value: string): Promise<Token | undefined>;
    static revokeByGrantId(grantId: string): Promise<void>;
    save(): Promise<string>;
  }

  class Grant {
    constructor(input: { readonly clientId: string; readonly accountId: string });
    static find(id: string): Promise<Grant | undefined>;
    addOIDCScope(scope: string): void;
    save(): Promise<string>;
    destroy(): Promise<void>;
  }

  export class Provider {
    constructor(issuer: string, configuration: object);
    readonly AccessToken: typeof Token;
    readonly RefreshToken: typeof Token;
    readonly Grant: typeof Grant;
    readonly Client: { readonly find: (id: string) => Promise<object | undefined> };
    use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): void;
    on(event: 'grant.error' | 'server_error', listener: (context: Context, error: Error) => void): void;
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  }

  export type { ClientMetadata };
}
