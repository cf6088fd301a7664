import { parse } from "csv-parse"
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { createInterface } from "node:readline"
import { PassThrough, Readable, type Transform } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGunzip } from "node:zlib"
import { type Column, COLUMNS, type MalformedReason, parseRow, type Row } from "./row.ts"

/** The file cannot be read, or is not in the Online Retail format. */
class InvoiceFileError extends Error {
  override readonly name = "InvoiceFileError"
}

export interface InvoiceFile {
  readonly rows: ReadonlyArray<Row>
  /** The number of malformed rows, by reason. */
  readonly malformed: ReadonlyMap<MalformedReason, number>
  /** SHA-256 of the text in hex, the same whether or not the file is compressed. */
  readonly hash: string
}

const MAXIMUM_LINE_LENGTH = 65_536

/**
 * Reads a file of the Online Retail format, plain or gzipped. Fields have no line breaks, so that a stray quote spoils
 * only its own line.
 * @throws InvoiceFileError
 */
export const readInvoiceFile = async (path: string): Promise<InvoiceFile> => {
  const text = await open(path)
  const hash = createHash("sha256")
  const malformed = new Map<MalformedReason, number>()
  const count = (reason: MalformedReason) => void malformed.set(reason, (malformed.get(reason) ?? 0) + 1)
  const rows: Array<Row> = []

  const records = parse({ relax_column_count: true, skip_empty_lines: true })
  const collect = async (source: AsyncIterable<ReadonlyArray<string>>) => {
    let columns: ColumnPositions | undefined
    for await (const record of source) {
      if (columns === undefined) columns = columnPositions(path, record)
      else keep(fieldsOf(columns, record))
    }
    if (columns === undefined) throw new InvoiceFileError(`${path} is empty`)
  }
  const keep = (fields: Readonly<Record<Column, string>> | undefined) => {
    const row = fields === undefined ? "malformed columns" : parseRow(fields)
    if (typeof row === "string") count(row)
    else rows.push(row)
  }
  try {
    const lines = Readable.from(wholeLines(text, hash, () => count("malformed quoting")))
    await pipeline(lines, records, collect)
  } catch (error) {
    throw unreadable(path, error)
  }
  return { rows, malformed, hash: hash.digest("hex") }
}

/** Fields between commas, each without quotes, or quoted as a whole with inner quotes doubled. */
const WELL_QUOTED = /^(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*$/

const isWellQuoted = (line: string): boolean =>
  line.length <= MAXIMUM_LINE_LENGTH && (!line.includes('"') || WELL_QUOTED.test(line))

/** Drops lines with stray quotes, because the parser would take the following lines for a part of the field. */
async function* wholeLines(
  text: Readable,
  hash: { update: (line: string) => unknown },
  onDropped: () => void
): AsyncGenerator<string> {
  let isFirst = true
  for await (const raw of createInterface({ input: text, crlfDelay: Infinity })) {
    const line = isFirst ? raw.replace(/^\uFEFF/, "") : raw
    isFirst = false
    hash.update(`${line}\n`)
    if (isWellQuoted(line)) yield `${line}\n`
    else onDropped()
  }
}

interface ColumnPositions {
  readonly width: number
  readonly of: ReadonlyMap<Column, number>
}

const columnPositions = (path: string, header: ReadonlyArray<string>): ColumnPositions => {
  const names = header.map((name) => name.trim())
  const missing = COLUMNS.filter((column) => !names.includes(column))
  if (missing.length > 0)
    throw new InvoiceFileError(
      `${path} is not in the Online Retail format: its first line lacks ${missing.join(", ")}`
    )
  return { width: names.length, of: new Map(COLUMNS.map((column) => [column, names.indexOf(column)])) }
}

const fieldsOf = (
  columns: ColumnPositions,
  record: ReadonlyArray<string>
): Readonly<Record<Column, string>> | undefined => {
  if (record.length !== columns.width) return undefined
  const fields: Partial<Record<Column, string>> = {}
  for (const [column, position] of columns.of) fields[column] = record[position] ?? ""
  return fields as Record<Column, string>
}

/** The text of the file. Its first bytes, not its name, decide whether it is gzipped. */
const open = async (path: string): Promise<Readable> => {
  const file = createReadStream(path)
  try {
    for await (const chunk of file.iterator({ destroyOnReturn: false })) {
      const start: Buffer = chunk
      const whole = rejoined(start, file)
      const isGzip = start[0] === 0x1f && start[1] === 0x8b
      return isGzip ? unpacked(whole) : whole
    }
  } catch (error) {
    throw unreadable(path, error)
  }
  throw new InvoiceFileError(`${path} is empty`)
}

async function* chunksOf(start: Buffer, rest: Readable): AsyncGenerator<Buffer> {
  yield start
  yield* rest
}

const rejoined = (start: Buffer, rest: Readable): Readable =>
  Readable.from(chunksOf(start, rest), { objectMode: false })

const unpacked = (packed: Readable): Readable => {
  const text: Transform = new PassThrough()
  pipeline(packed, createGunzip(), text).catch((error: Error) => text.destroy(error))
  return text
}

const unreadable = (path: string, error: unknown): InvoiceFileError => {
  if (error instanceof InvoiceFileError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === "ENOENT") return new InvoiceFileError(`there is no file ${path}`)
  if (code === "EISDIR") return new InvoiceFileError(`${path} is a directory, not a file`)
  if (code === "EACCES") return new InvoiceFileError(`${path} may not be read`)
  if (code?.startsWith("Z_")) return new InvoiceFileError(`${path} is damaged: ${message}`)
  return new InvoiceFileError(`${path} cannot be read: ${message}`)
}
