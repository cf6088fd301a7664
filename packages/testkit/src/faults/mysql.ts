import {
  type Command,
  type Dialogue,
  framedDialogue,
  ProtocolNotUnderstood,
  type RequestFrame
} from "./dialogue.ts"
import { Framer } from "./framer.ts"
import {
  capability,
  commandCodes,
  headerBytes,
  isMaximal,
  measurePacket,
  sequenceOffset
} from "./mysql-packets.ts"
import { MysqlReplies } from "./mysql-replies.ts"

/**
 * The client/server protocol of MySQL and MariaDB, as far as the command packets:
 * https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html, https://mariadb.com/kb/en/clientserver-protocol/.
 * The handshake passes through. TLS and compression hide the commands, so they are refused.
 */
export const mysqlDialogue = (): Dialogue => {
  const reader = new MysqlReplies()
  let loggedIn = false
  let continues = false

  const readRequest = (bytes: Buffer): RequestFrame => {
    const passing = { bytes, expectsReply: false }
    const isContinuation = continues
    continues = isMaximal(bytes)
    if (!loggedIn) {
      loggedIn = true
      reader.clientCapabilities = readCapabilities(bytes, reader.serverCapabilities)
      return passing
    }
    // Only commands begin with sequence number 0; other packets continue one, or carry a file or authentication.
    if (isContinuation || bytes[sequenceOffset] !== 0) return passing
    const command = toCommand(bytes, reader)
    const code = bytes[headerBytes] ?? 0
    if (code === commandCodes.COM_STMT_CLOSE) reader.forgetStatement(bytes.readUInt32LE(headerBytes + 1))
    const expectsReply = !withoutReply.has(code)
    if (expectsReply) reader.expect(command, code)
    return { bytes, command, expectsReply }
  }

  return framedDialogue(
    { framer: new Framer(measurePacket), read: readRequest },
    { framer: new Framer(measurePacket), read: (bytes) => reader.read(bytes) }
  )
}

/** Reads the capabilities from the client's first packet, and refuses those that would hide its commands. */
const readCapabilities = (bytes: Buffer, serverCapabilities: number): number => {
  const flags = bytes.length >= headerBytes + 4 ? bytes.readUInt32LE(headerBytes) : 0
  if ((flags & capability.SSL) !== 0)
    throw new ProtocolNotUnderstood(
      "the client asked for TLS, in which no command can be seen; connect without TLS"
    )
  if ((flags & serverCapabilities & (capability.COMPRESS | capability.ZSTD)) !== 0)
    throw new ProtocolNotUnderstood(
      "the client asked for compression, in which no command can be seen; turn it off"
    )
  if ((flags & capability.PROTOCOL_41) === 0)
    throw new ProtocolNotUnderstood("the client does not speak the MySQL protocol of version 4.1 or later")
  return flags
}

const commandNames = new Map<number, string>(Object.entries(commandCodes).map(([name, code]) => [code, name]))
const withoutReply = new Set<number>([
  commandCodes.COM_QUIT,
  commandCodes.COM_STMT_CLOSE,
  commandCodes.COM_STMT_SEND_LONG_DATA
])
const withSql = new Set<number>([commandCodes.COM_QUERY, commandCodes.COM_STMT_PREPARE])
const withStatement = new Set<number>([
  commandCodes.COM_STMT_EXECUTE,
  commandCodes.COM_STMT_BULK_EXECUTE,
  commandCodes.COM_STMT_FETCH,
  commandCodes.COM_STMT_SEND_LONG_DATA,
  commandCodes.COM_STMT_CLOSE,
  commandCodes.COM_STMT_RESET
])
const executing = new Set<number>([
  commandCodes.COM_QUERY,
  commandCodes.COM_STMT_EXECUTE,
  commandCodes.COM_STMT_BULK_EXECUTE
])

/** The beginning of a statement suffices to recognise it. */
const readSqlBytes = 64 * 1024

const toCommand = (packet: Buffer, reader: MysqlReplies): Command => {
  const code = packet[headerBytes] ?? 0
  const name = commandNames.get(code) ?? `COM_${code}`
  const text = sqlOf(packet, code, reader) ?? name
  const executes = executing.has(code)
  return { name, verb: executes ? (firstWord(text) ?? name) : name, text, args: [], executes }
}

const sqlOf = (packet: Buffer, code: number, reader: MysqlReplies): string | undefined => {
  const body = headerBytes + 1
  if (withSql.has(code)) {
    const start = hasEmptyAttributes(packet, code, body) ? body + 2 : body
    return packet.toString("utf8", start, start + readSqlBytes)
  }
  if (withStatement.has(code) && packet.length >= body + 4)
    return reader.statementText(packet.readUInt32LE(body))
  return undefined
}

const leadingComments = /^(?:\s+|\/\*[^]*?\*\/|(?:--\s|#)[^\n]*\n)*/

const firstWord = (sql: string): string | undefined =>
  /^[a-z]+/i.exec(sql.replace(leadingComments, "").replace(/^\(+/, ""))?.[0].toUpperCase()

/**
 * Clients of MySQL 8 send query attributes before the SQL (CLIENT_QUERY_ATTRIBUTES), here an empty set. No SQL begins
 * with these two bytes.
 */
const hasEmptyAttributes = (packet: Buffer, code: number, body: number): boolean =>
  code === commandCodes.COM_QUERY && packet[body] === 0 && packet[body + 1] === 1
