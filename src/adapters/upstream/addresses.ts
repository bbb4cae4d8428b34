import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** What IANA routes at all in IPv6 (RFC 4291, 2.4). `::/96` and whatever else lies outside has no name in the library, which then calls it unicast. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');
/** The well-known prefix of NAT64, behind which a host without IPv4 finds every server that has nothing else (RFC 6052). */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
/** Azure's WireServer, the one metadata service at an address that looks public; the others lie in ranges that are refused as such. */
const METADATA: ReadonlySet<string> = new Set(['168.63.129.16']);

/**
 * Whether an IP address is one of the public internet (promise P16): none of this host or its networks, none of a metadata service, and none in the
 * dress of another (IPv4-mapped and NAT64 addresses are judged by what they carry). 6to4, Teredo and local NAT64 are refused whatever they carry:
 * no payer is there, and a relay would take us to addresses that nobody here has looked at.
 */
export function isPublicAddress(text: string): boolean {
  const address = isIP(text) === 0 ? null : unwrapped(parsed(text));
  if (address === null || address.range() !== 'unicast') return false;
  return address instanceof ipaddr.IPv6 ? address.match(GLOBAL_UNICAST) : !METADATA.has(address.toString());
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

function parsed(text: string): Address | null {
  try {
    return ipaddr.parse(text);
  } catch {
    // A zone that Node takes and the library does not: link-local in any case.
    return null;
  }
}

function unwrapped(address: Address | null): Address | null {
  if (!(address instanceof ipaddr.IPv6)) return address;
  const wraps = address.isIPv4MappedAddress() || address.match(NAT64);
  return wraps ? new ipaddr.IPv4(address.toByteArray().slice(-4)) : address;
}
