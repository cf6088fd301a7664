import {
  type Command,
  type Dialogue,
  framedDialogue,
  type ReplyFrame,
  type RequestFrame
} from "./dialogue.ts"
import { Framer, type Measure } from "./framer.ts"

/**
 * The protocol of Redis and Valkey, RESP2 and RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec/).
 * Replies arrive in the order of their commands; messages pushed by the server belong to no command. CLIENT REPLY
 * OFF|SKIP, which suppresses replies, is not supported.
 */
export const respDialogue = (): Dialogue => {
  const waiting: Array<{ readonly command: Command; repliesLeft: number }> = []
  const subscriptions = new Map<string, Set<string>>()

  const readRequest = (bytes: Buffer): RequestFrame => {
    const command = toCommand(bytes)
    if (command === undefined) return { bytes, expectsReply: false }
    waiting.push({ command, repliesLeft: repliesTo(command, subscriptions) })
    return { bytes, command, expectsReply: true }
  }

  const readReply = (bytes: Buffer): ReplyFrame => {
    const head = waiting[0]
    if (head === undefined || isOutOfBand(bytes, head.command)) return { bytes, ends: false }
    head.repliesLeft -= 1
    const ends = head.repliesLeft <= 0
    if (ends) waiting.shift()
    return { bytes, command: head.command, ends }
  }

  return framedDialogue(
    { framer: new Framer(requestMeasure()), read: readRequest },
    { framer: new Framer(valueMeasure()), read: readReply }
  )
}

const subscribing = new Set(["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"])
const unsubscribing = new Set(["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"])

/** One reply per command, except that subscriptions are confirmed per channel. */
const repliesTo = (command: Command, subscriptions: Map<string, Set<string>>): number => {
  const { name, args } = command
  if (name === "RESET") subscriptions.clear()
  if (subscribing.has(name)) {
    const kind = subscriptions.get(name) ?? new Set()
    subscriptions.set(name, kind)
    for (const channel of args) kind.add(channel)
    return Math.max(1, args.length)
  }
  if (!unsubscribing.has(name)) return 1
  const kind = subscriptions.get(name.replace("UNSUB", "SUB")) ?? new Set()
  const left = args.length === 0 ? [...kind] : args
  for (const channel of left) kind.delete(channel)
  return Math.max(1, left.length)
}

const pushedKinds = new Set(["message", "pmessage", "smessage"])
/** What a RESP2 client may send while subscribed. Arrays that answer other commands may begin with any word. */
const sentWhileSubscribed = new Set([...subscribing, ...unsubscribing, "PING", "QUIT", "RESET"])

/** Whether the server pushed this unasked. In RESP3, confirmations of subscriptions are pushes that answer a command. */
const isOutOfBand = (bytes: Buffer, head: Command): boolean => {
  const isPush = bytes[0] === code(">")
  if (!isPush && bytes[0] !== code("*")) return false
  const kind = firstElement(bytes)
  if (!isPush) return pushedKinds.has(kind) && sentWhileSubscribed.has(head.name)
  return kind.toUpperCase() !== head.name
}

const code = (character: string) => character.charCodeAt(0)
const integerAt = (buffer: Buffer, start: number, end: number) =>
  Number(buffer.toString("latin1", start, end))
const lineEnd = (buffer: Buffer, offset: number) => buffer.indexOf("\r\n", offset, "latin1")

/** The first element of an array or push, if it is a bulk or simple string. */
const firstElement = (bytes: Buffer): string => {
  const start = lineEnd(bytes, 0) + 2
  const end = lineEnd(bytes, start)
  if (end < 0) return ""
  if (bytes[start] === code("+")) return bytes.toString("latin1", start + 1, end)
  if (bytes[start] !== code("$")) return ""
  return bytes.toString("latin1", end + 2, end + 2 + Math.max(0, integerAt(bytes, start + 1, end)))
}

/** A request is an array of bulk strings, or one line ("inline command"). */
const requestMeasure = (): Measure => {
  const measureArray = valueMeasure()
  return (buffer, offset) => {
    if (buffer[offset] === code("*")) return measureArray(buffer, offset)
    const end = buffer.indexOf("\n", offset, "latin1")
    return end < 0 ? -(buffer.length - offset + 1) : end + 1 - offset
  }
}

/** Measures one value with all nested values, without recursion, and resumes where the last call stopped. */
const valueMeasure = (): Measure => {
  let measured = 0
  let valuesLeft = 1
  return (buffer, offset) => {
    while (valuesLeft > 0) {
      const { end, values } = measureHead(buffer, offset + measured)
      if (end === undefined) return -(buffer.length - offset + 1)
      if (end > buffer.length) return -(end - offset)
      measured = end - offset
      valuesLeft += values - 1
    }
    const length = measured
    measured = 0
    valuesLeft = 1
    return length
  }
}

/** Where the value at `position` ends, without its nested values, and how many of those follow. */
const measureHead = (
  buffer: Buffer,
  position: number
): { readonly end: number | undefined; readonly values: number } => {
  const line = lineEnd(buffer, position)
  if (line < 0) return { end: undefined, values: 0 }
  const type = String.fromCharCode(buffer[position] ?? 0)
  const size = "$=!*~>%|".includes(type) ? integerAt(buffer, position + 1, line) : 0
  const end = line + 2
  if ("$=!".includes(type)) return { end: size >= 0 ? end + size + 2 : end, values: 0 }
  if ("*~>".includes(type)) return { end, values: Math.max(0, size) }
  if (type === "%") return { end, values: 2 * size }
  // Attributes precede the value they describe.
  return { end, values: type === "|" ? 2 * size + 1 : 0 }
}

/** The beginning of a long argument suffices to recognise a command. */
const readArgumentBytes = 64 * 1024
const readArguments = 1_024

const toCommand = (bytes: Buffer): Command | undefined => {
  const [verb, ...args] =
    bytes[0] === code("*") ? bulkStrings(bytes) : bytes.toString("utf8").trim().split(/\s+/)
  if (verb === undefined || verb === "") return undefined
  const name = verb.toUpperCase()
  return { name, verb: name, text: [name, ...args].join(" "), args, executes: true }
}

const bulkStrings = (bytes: Buffer): Array<string> => {
  const strings: Array<string> = []
  let position = lineEnd(bytes, 0) + 2
  while (position < bytes.length && strings.length < readArguments) {
    const end = lineEnd(bytes, position)
    const size = integerAt(bytes, position + 1, end)
    strings.push(bytes.toString("utf8", end + 2, end + 2 + Math.min(size, readArgumentBytes)))
    position = end + 2 + size + 2
  }
  return strings
}
