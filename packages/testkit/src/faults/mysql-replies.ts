import { type Command, ProtocolNotUnderstood, type ReplyFrame } from "./dialogue.ts"
import { capability, commandCodes, headerBytes, isMaximal } from "./mysql-packets.ts"

/** How far the reply to the current command has been read. */
type Phase =
  | {
      readonly at:
        | "greeting"
        | "authentication"
        | "single"
        | "result"
        | "columnsEnd"
        | "rows"
        | "prepared"
        | "endless"
    }
  | { readonly at: "columns" | "definitions"; readonly left: number }

interface Expected {
  readonly command: Command
  readonly code: number
}

const firstByte = { OK: 0x00, LOCAL_INFILE: 0xfb, EOF: 0xfe, ERROR: 0xff }
const status = { MORE_RESULTS: 0x08, CURSOR_EXISTS: 0x40 }

/**
 * Follows the packets of a MySQL server closely enough to know which command each belongs to and where its reply ends,
 * and to learn the text of prepared statements.
 * Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html and its siblings.
 */
export class MysqlReplies {
  clientCapabilities = 0
  serverCapabilities = 0
  #phase: Phase = { at: "greeting" }
  #current: Command | undefined
  #continues = false
  readonly #expected: Array<Expected> = []
  readonly #statements = new Map<number, string>()
  #lastPrepared: string | undefined

  /** Registers a command whose reply follows those of earlier commands. */
  expect(command: Command, code: number): void {
    this.#expected.push({ command, code })
    // A client that pipelines sends the execution before the preparation is answered.
    if (code === commandCodes.COM_STMT_PREPARE) this.#lastPrepared = command.text
  }

  /** MariaDB's clients may execute the last prepared statement, whose number they do not know yet, as -1. */
  statementText(id: number): string | undefined {
    return id === 0xff_ff_ff_ff ? this.#lastPrepared : this.#statements.get(id)
  }

  forgetStatement(id: number): void {
    this.#statements.delete(id)
  }

  read(packet: Buffer): ReplyFrame {
    const isContinuation = this.#continues
    this.#continues = isMaximal(packet)
    if (!isContinuation && this.#phase.at === "single" && this.#current === undefined)
      this.#begin(packet[headerBytes] ?? 0)
    const command = this.#current
    const payload = packet.subarray(headerBytes)
    if (!isContinuation && !isProgress(payload)) this.#advance(payload, isMaximal(packet))
    const ends = command !== undefined && this.#current === undefined
    return command === undefined ? { bytes: packet, ends } : { bytes: packet, command, ends }
  }

  /** Handles the first packet of a reply, whose form depends on the command. */
  #begin(first: number): void {
    const next = this.#expected.shift()
    if (next === undefined) {
      // A server that shuts down or times out sends an error unasked; any other packet means a lost synchronisation.
      if (first === firstByte.ERROR) return
      throw new ProtocolNotUnderstood(
        `the server sent a packet (0x${first.toString(16)}...) that answers no command`
      )
    }
    this.#current = next.command
    this.#phase = firstPhase(next.code)
  }

  #end(): void {
    this.#current = undefined
    this.#phase = { at: "single" }
  }

  get #withoutEof(): boolean {
    return (this.clientCapabilities & this.serverCapabilities & capability.DEPRECATE_EOF) !== 0
  }

  #advance(payload: Buffer, maximal: boolean): void {
    const first = payload[0] ?? 0
    const { at } = this.#phase
    if (at === "greeting") {
      this.serverCapabilities = greetingCapabilities(payload)
      this.#phase = { at: "authentication" }
    } else if (at === "authentication") {
      if (first === firstByte.OK || first === firstByte.ERROR) this.#end()
    } else if (at === "single") this.#end()
    else if (at === "result") this.#readResult(payload, first)
    else if (at === "columns" || at === "definitions") this.#countDown(at, this.#phase.left - 1)
    else if (at === "columnsEnd") {
      const flags = eofStatus(payload)
      if ((flags & status.CURSOR_EXISTS) === 0) this.#phase = { at: "rows" }
      else this.#afterResult(flags)
    } else if (at === "rows") this.#readRow(payload, first, maximal)
    else if (at === "prepared") this.#readPrepared(payload, first)
  }

  #readResult(payload: Buffer, first: number): void {
    if (first === firstByte.ERROR) this.#end()
    else if (first === firstByte.OK) this.#afterResult(okStatus(payload))
    // After LOCAL INFILE the client sends a file, and the server answers with OK or an error.
    else if (first !== firstByte.LOCAL_INFILE) {
      const { value: columns, end } = readLengthEncoded(payload, 0)
      // For clients that cache column definitions, MariaDB adds a byte that tells whether they are sent again.
      const sent = payload.length === end || payload[end] !== 0
      this.#countDown("columns", sent ? columns : 0)
    }
  }

  #countDown(at: "columns" | "definitions", left: number): void {
    if (left > 0) this.#phase = { at, left }
    else if (at === "definitions") this.#end()
    else this.#phase = { at: this.#withoutEof ? "rows" : "columnsEnd" }
  }

  #readRow(payload: Buffer, first: number, maximal: boolean): void {
    if (first === firstByte.ERROR) this.#end()
    // A row may begin with this byte, too, but only if it is longer than a packet.
    else if (first === firstByte.EOF && !maximal && (this.#withoutEof || payload.length < 9))
      this.#afterResult(this.#withoutEof ? okStatus(payload) : eofStatus(payload))
  }

  #afterResult(flags: number): void {
    if ((flags & status.MORE_RESULTS) === 0) this.#end()
    else this.#phase = { at: "result" }
  }

  #readPrepared(payload: Buffer, first: number): void {
    if (first === firstByte.ERROR) return this.#end()
    const id = payload.readUInt32LE(1)
    const eof = this.#withoutEof ? 0 : 1
    const groups = [payload.readUInt16LE(5), payload.readUInt16LE(7)]
    if (this.#current !== undefined) this.#statements.set(id, this.#current.text)
    const definitions = groups.reduce((sum, count) => sum + (count === 0 ? 0 : count + eof), 0)
    return this.#countDown("definitions", definitions)
  }
}

const firstPhase = (code: number): Phase => {
  switch (code) {
    case commandCodes.COM_QUERY:
    case commandCodes.COM_STMT_EXECUTE:
    case commandCodes.COM_STMT_BULK_EXECUTE:
    case commandCodes.COM_PROCESS_INFO:
      return { at: "result" }
    case commandCodes.COM_STMT_PREPARE:
      return { at: "prepared" }
    case commandCodes.COM_STMT_FETCH:
    case commandCodes.COM_FIELD_LIST:
      return { at: "rows" }
    case commandCodes.COM_CHANGE_USER:
      return { at: "authentication" }
    case commandCodes.COM_BINLOG_DUMP:
      return { at: "endless" }
    default:
      return { at: "single" }
  }
}

/** MariaDB reports the progress of a long statement as errors with this number, before the reply. */
const isProgress = (payload: Buffer): boolean =>
  payload[0] === firstByte.ERROR && payload.length >= 3 && payload.readUInt16LE(1) === 0xff_ff

/** Protocol 10: version, NUL, thread (4), salt (8), filler, capabilities (2), charset, status (2), capabilities (2). */
const greetingCapabilities = (payload: Buffer): number => {
  const low = payload.indexOf(0, 1) + 1 + 4 + 8 + 1
  if (payload[0] !== 10 || payload.length < low + 7) return 0
  return payload.readUInt16LE(low) | (payload.readUInt16LE(low + 5) << 16)
}

/** 0xfe, warnings (2), status (2). */
const eofStatus = (payload: Buffer): number => (payload.length >= 5 ? payload.readUInt16LE(3) : 0)

/** Header, affected rows, last id (both length-encoded), status (2). */
const okStatus = (payload: Buffer): number => {
  const rows = readLengthEncoded(payload, 1)
  const lastId = readLengthEncoded(payload, rows.end)
  return payload.length >= lastId.end + 2 ? payload.readUInt16LE(lastId.end) : 0
}

const readLengthEncoded = (
  payload: Buffer,
  offset: number
): { readonly value: number; readonly end: number } => {
  const first = payload[offset] ?? 0
  if (first < 0xfb) return { value: first, end: offset + 1 }
  const bytes = first === 0xfc ? 2 : first === 0xfd ? 3 : 8
  const end = offset + 1 + bytes
  if (end > payload.length) return { value: 0, end }
  return {
    value: bytes === 8 ? Number(payload.readBigUInt64LE(offset + 1)) : payload.readUIntLE(offset + 1, bytes),
    end
  }
}
