import { PerennialError } from '../core/errors.ts';

/** What fails while something is opened, under the name of the setting that leads there. */
export async function named<T>(field: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (error instanceof PerennialError && error.field === undefined) throw new PerennialError(error.code, { field });
    throw error;
  }
}
