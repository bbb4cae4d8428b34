import { randomBytes } from 'node:crypto';

/** Strings that occur nowhere else: whoever meets one knows what has leaked. */
export type Canaries = { readonly new: (what: string) => string; readonly all: () => readonly string[] };

export function createCanaries(): Canaries {
  const all: string[] = [];
  return {
    new: (what) => {
      const canary = `${what}-${randomBytes(12).toString('hex')}`;
      all.push(canary);
      return canary;
    },
    all: () => all,
  };
}
