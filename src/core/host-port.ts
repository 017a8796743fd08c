/** Addresses as they are written in configurations: `host:port`. */

/** An IPv6 address without its brackets, as the downward API gives it, cannot stand in a URL: `fd00::1:8888`. */
export function bracketed(address: string): string {
  const m = UNBRACKETED.exec(address);
  return m ? `[${m[1]}]:${m[2]}` : address;
}

/** What stands before the last colon is an address, with colons of its own. */
const UNBRACKETED = /^([0-9a-f]*:[0-9a-f.:]*:[0-9a-f.]*):(\d+)$/i;
