/** One command of a client, as the proxy read it from the wire. */
export interface Command {
  /** Redis: the command in upper case ("EVALSHA"). MySQL: the packet's name ("COM_QUERY"). */
  readonly name: string
  /** What it is counted under. Redis: as `name`. MySQL: the first word of the SQL ("COMMIT"), else as `name`. */
  readonly verb: string
  /** What a RegExp is tested against. Redis: command and arguments, joined by blanks. MySQL: the SQL, also of a prepared statement. */
  readonly text: string
  /** Redis: the arguments behind the command. MySQL: none. */
  readonly args: ReadonlyArray<string>
  /** False for a command that only prepares or cleans up; a RegExp never matches those, a function may. */
  readonly executes: boolean
}

/** Bytes from the client: a command, a part of one, or bytes that belong to none (a handshake). */
export interface RequestFrame {
  readonly bytes: Buffer
  readonly command?: Command
  readonly expectsReply: boolean
}

/** Bytes from the server. `command` is the one that they answer; with `ends` its reply is complete. */
export interface ReplyFrame {
  readonly bytes: Buffer
  readonly command?: Command
  readonly ends: boolean
}

/** What one connection's two directions say, in the terms of its protocol. */
export interface Dialogue {
  requests(chunk: Buffer): ReadonlyArray<RequestFrame>
  replies(chunk: Buffer): ReadonlyArray<ReplyFrame>
  /** Bytes that form no whole frame, to be passed on when their sender has closed. */
  leftoverRequests(): Buffer
  leftoverReplies(): Buffer
}

/** The connection speaks something that the proxy cannot read: TLS, compression, or another protocol. */
export class ProtocolNotUnderstood extends Error {
  readonly _tag = "ProtocolNotUnderstood"
  constructor(message: string) {
    super(message)
    this.name = "ProtocolNotUnderstood"
  }
}

/** Passes all bytes on and sees no commands in them. */
export const rawDialogue = (): Dialogue => ({
  requests: (bytes) => [{ bytes, expectsReply: false }],
  replies: (bytes) => [{ bytes, ends: false }],
  leftoverRequests: () => Buffer.alloc(0),
  leftoverReplies: () => Buffer.alloc(0)
})
