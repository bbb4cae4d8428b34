/** A label is a name from a closed set; what is longer or stranger would make new series without end. */
const LABEL = /^[A-Za-z0-9_.-]{1,64}$/;

/** The value as a label may have it. */
export function label(value: string): string {
  return LABEL.test(value) ? value : 'other';
}
