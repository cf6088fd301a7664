import { joinAdjacent, type Framer } from "./framer.ts"

/** One command of a client, as the proxy read it from the wire. */
export interface Command {
  /** Redis: the command in upper case ("EVALSHA"). MySQL: the name of the packet ("COM_QUERY"). */
  readonly name: string
  /** The name it is counted under. Redis: `name`. MySQL: the first word of the SQL ("COMMIT"), else `name`. */
  readonly verb: string
  /** The text that a RegExp tests. Redis: command and arguments, joined by spaces. MySQL: the (prepared) SQL. */
  readonly text: string
  /** Redis: the arguments of the command. MySQL: none. */
  readonly args: ReadonlyArray<string>
  /** False for a command that only prepares or cleans up. A RegExp never matches those; a function may. */
  readonly executes: boolean
}

/** Bytes from the client: a command, a part of one, or bytes that belong to none, such as a handshake. */
export interface RequestFrame {
  readonly bytes: Buffer
  readonly command?: Command
  readonly expectsReply: boolean
}

/** Bytes from the server. `command` is the one they answer; `ends` tells that its reply is complete. */
export interface ReplyFrame {
  readonly bytes: Buffer
  readonly command?: Command
  readonly ends: boolean
}

/** Reads both directions of one connection as frames of its protocol. */
export interface Dialogue {
  requests(chunk: Buffer): ReadonlyArray<RequestFrame>
  replies(chunk: Buffer): ReadonlyArray<ReplyFrame>
  /** Bytes of an incomplete frame, passed on when their sender has closed. */
  leftoverRequests(): Buffer
  leftoverReplies(): Buffer
}

/** The proxy cannot read the connection: it uses TLS, compression or another protocol. */
export class ProtocolNotUnderstood extends Error {
  readonly _tag = "ProtocolNotUnderstood"
  constructor(message: string) {
    super(message)
    this.name = "ProtocolNotUnderstood"
  }
}

/** One direction of a connection: how its bytes are cut into frames, and what a frame says. */
interface Reader<Frame> {
  readonly framer: Framer
  readonly read: (bytes: Buffer) => Frame
}

/** The dialogue of a protocol whose frames are read one at a time. */
export const framedDialogue = (requests: Reader<RequestFrame>, replies: Reader<ReplyFrame>): Dialogue => ({
  requests: (chunk) => requests.framer.push(chunk).map(requests.read),
  replies: (chunk) => joinByCommand(replies.framer.push(chunk).map(replies.read)),
  leftoverRequests: () => requests.framer.leftover(),
  leftoverReplies: () => replies.framer.leftover()
})

/** Joins adjacent frames of the same reply, such as the many small packets of rows, so that they travel together. */
const joinByCommand = (frames: ReadonlyArray<ReplyFrame>): ReadonlyArray<ReplyFrame> => {
  const joined: Array<ReplyFrame> = []
  for (const frame of frames) {
    const last = joined.at(-1)
    const both =
      last !== undefined && !last.ends && last.command === frame.command
        ? joinAdjacent(last.bytes, frame.bytes)
        : undefined
    if (both === undefined) joined.push(frame)
    else joined[joined.length - 1] = { ...frame, bytes: both }
  }
  return joined
}

/** Passes all bytes on without reading commands. */
export const rawDialogue = (): Dialogue => ({
  requests: (bytes) => [{ bytes, expectsReply: false }],
  replies: (bytes) => [{ bytes, ends: false }],
  leftoverRequests: () => Buffer.alloc(0),
  leftoverReplies: () => Buffer.alloc(0)
})
