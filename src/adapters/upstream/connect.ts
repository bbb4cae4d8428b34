import { type LookupAddress, promises } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { LIMITS } from '../../core/limits.ts';
import { isPublicAddress } from './addresses.ts';

/** Where an agent may connect to, and how it learns the addresses of a name. */
export type Reach = {
  readonly mayReach: (address: string) => boolean;
  readonly resolve: (hostname: string) => Promise<readonly LookupAddress[]>;
};

const resolve: Reach['resolve'] = (hostname) => promises.lookup(hostname, { all: true });

/** For servers of the public internet, which is what a payer's is. */
export const PUBLIC: Reach = { mayReach: isPublicAddress, resolve };
/** For sources that their operator has said to be inside, and for loopback. */
export const ANYWHERE: Reach = { mayReach: () => true, resolve };

/** The name leads to an address, or is one, to which this agent does not connect. */
export class AddressRefused extends Error {}

/**
 * Connects only where it may (promise P16). The check stands in the socket's own lookup: the addresses that it has seen are the ones that the socket is
 * given, so that a name which answers differently a moment later (DNS rebinding) gains nothing. A literal address is never looked up and is checked before.
 */
export function createConnector(reach: Reach): buildConnector.connector {
  const connect = buildConnector({
    timeout: LIMITS.connectTimeoutMs,
    // Over HTTP/2 undici puts requests back and sends them again after a GOAWAY, and writes a request's head before its body.
    allowH2: false,
    lookup: createLookup(reach),
  });
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0 && !reach.mayReach(host)) return callback(new AddressRefused(), null);
    connect(options, callback);
  };
}

/**
 * One address that is refused refuses the name. Node tries a name's addresses one after the other, so that "only the allowed ones" would hide, on good
 * days, what is either an attack or a mistake in somebody's DNS; and behind a NAT64 of the operator's own prefix it is the A record beside the made-up
 * AAAA that tells where the name leads.
 */
export function createLookup({ mayReach, resolve }: Reach): LookupFunction {
  return (hostname, { all }, callback) => {
    const give = (addresses: readonly LookupAddress[]) => {
      const [first] = addresses;
      if (first === undefined || !addresses.every(({ address }) => mayReach(address))) {
        return callback(new AddressRefused(), []);
      }
      return all === true ? callback(null, [...addresses]) : callback(null, first.address, first.family);
    };
    void resolve(hostname).then(give, (error) => callback(error, []));
  };
}
