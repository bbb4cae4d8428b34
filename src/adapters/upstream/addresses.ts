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
  const address = parsed(text);
  if (address === null || address.range() !== 'unicast') return false;
  return address instanceof ipaddr.IPv6 ? address.match(GLOBAL_UNICAST) : !METADATA.has(address.toString());
}

function parsed(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  switch (isIP(text)) {
    case 4:
      return ipaddr.IPv4.parse(text);
    case 6:
      return unwrapped(ipaddr.IPv6.parse(plainIPv6(text)));
    default:
      return null;
  }
}

/** Without a zone and without dots: the library reads `::8.8.8.8` as `::ffff:8.8.8.8`, which is another address, and getaddrinfo writes both with dots. */
function plainIPv6(text: string): string {
  return new URL(`http://[${text.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
}

function unwrapped(address: ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  const wraps = address.isIPv4MappedAddress() || address.match(NAT64);
  return wraps ? new ipaddr.IPv4(address.toByteArray().slice(-4)) : address;
}
