import type { SlicedEntry } from '../core/bundle-page.ts';
import type { Ownership } from './ownership.ts';
import { count, type Reading, type Tally } from './reading.ts';
import type { Offered } from './record-writer.ts';

/** One entry: stored, known, or refused by name and counted. A refusal makes the request partial; the rest of the pages is still read. A promise only where one must wait. */
export function takeEntry({
  reading,
  entry,
  tally,
}: {
  readonly reading: Reading;
  readonly entry: SlicedEntry;
  readonly tally: Tally;
}): Promise<void> | null {
  tally.entries += 1;
  if (entry.kind === 'fault') {
    tally.faulty = true;
    count(reading, entry.fault);
    return null;
  }
  const { resourceType: type, id, bytes } = entry;
  if (type === 'OperationOutcome') {
    tally.faulty ||= tellsOfErrors(bytes);
    return null;
  }
  const { writer, ownership } = reading;
  let verdict: ReturnType<Ownership['judge']> = 'own';
  const admit = () => {
    verdict = ownership.judge({ type, id, bytes });
    return verdict === 'own';
  };
  const judged = (offered: Offered): null => {
    if (offered === 'duplicate') count(reading, 'duplicate');
    if (offered === 'conflicting_duplicate' || (offered === 'not_admitted' && isForeign(verdict))) {
      tally.faulty = true;
      count(reading, offered === 'not_admitted' ? 'another_patient' : offered);
    }
    return null;
  };
  const offered = writer.offer({ type, id, bytes, admit });
  return typeof offered === 'string' ? judged(offered) : offered.then((one) => void judged(one));
}

function isForeign(verdict: ReturnType<Ownership['judge']>): boolean {
  return verdict === 'foreign';
}

/** An OperationOutcome among the entries is a remark, unless it says that something went wrong. */
function tellsOfErrors(outcome: Uint8Array): boolean {
  return /"severity"\s*:\s*"(?:error|fatal)"/.test(new TextDecoder().decode(outcome));
}
