/** What is done about values that are not there. */
import { oneOf } from '../program/options.js';

/** `error` refuses them, `skip` leaves their row out, `previous` takes the value of the row before. */
export type Missing = 'error' | 'skip' | 'previous';

export const missingRule = oneOf('error', 'skip', 'previous');

/** Cells that stand for a missing number, in any case: what spreadsheets, R, pandas and databases write. */
const MARKS = new Set(['', 'na', 'n/a', 'nan', 'null', 'none', '?', '-']);

export const isMissingNumber = (cell: string): boolean => MARKS.has(cell.trim().toLowerCase());
