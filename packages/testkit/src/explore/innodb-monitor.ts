import type { SqlRow } from "../services/service.ts"

const MOST_BYTES = 1024 ** 2 - 1

/**
 * The text of the InnoDB monitor, from the row of SHOW ENGINE INNODB STATUS.
 *
 * @throws Error when the server truncated the text, which it does after a megabyte; locks may be missing then
 */
export const innodbMonitor = (row: SqlRow | undefined): string => {
  const text = String(row?.["Status"])
  if (text.includes("... truncated...") || Buffer.byteLength(text) >= MOST_BYTES)
    throw new Error(
      "There are more locks than the InnoDB monitor shows: its text is limited to one megabyte."
    )
  return text
}
