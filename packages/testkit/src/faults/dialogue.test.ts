import { describe, expect, it } from "vitest"
import { type Dialogue, ProtocolNotUnderstood } from "./dialogue.ts"
import { capability } from "./mysql-packets.ts"
import { mysqlDialogue } from "./mysql.ts"
import { respDialogue } from "./resp.ts"

type Feed = (dialogue: Dialogue, chunk: Buffer) => ReadonlyArray<{ readonly bytes: Buffer }>
const toServer: Feed = (dialogue, chunk) => dialogue.requests(chunk)
const toClient: Feed = (dialogue, chunk) => dialogue.replies(chunk)

/** The same bytes in chunks of one size; what comes out, by command. */
const replay = (dialogue: Dialogue, script: ReadonlyArray<readonly [Feed, Buffer]>, chunkBytes: number) => {
  const out: Array<string> = []
  for (const [feed, bytes] of script) {
    const frames: Array<Buffer> = []
    for (let offset = 0; offset < bytes.length; offset += chunkBytes)
      for (const frame of feed(dialogue, bytes.subarray(offset, offset + chunkBytes))) {
        frames.push(frame.bytes)
        const { command, ends } = frame as { command?: { text: string }; ends?: boolean }
        if (command !== undefined && ends !== false) out.push(`${ends ? "answered" : "sent"} ${command.text}`)
      }
    expect(Buffer.concat(frames).equals(bytes)).toBe(true)
  }
  return out
}

const packet = (sequence: number, payload: Buffer | ReadonlyArray<number>) => {
  const body = Buffer.from(payload as Buffer)
  const header = Buffer.alloc(4)
  header.writeUIntLE(body.length, 0, 3)
  header[3] = sequence
  return Buffer.concat([header, body])
}

const greeting = (capabilities: number) => {
  const payload = Buffer.alloc(64)
  payload[0] = 10
  payload.write("11.4.2-test", 1)
  payload.writeUInt16LE(capabilities & 0xffff, 1 + 12 + 4 + 8 + 1)
  payload.writeUInt16LE(capabilities >>> 16, 1 + 12 + 4 + 8 + 1 + 5)
  return packet(0, payload)
}

const login = (capabilities: number) => {
  const payload = Buffer.alloc(64)
  payload.writeUInt32LE(capabilities)
  return packet(1, payload)
}

describe("the dialogue of RESP", () => {
  const bulk = (...words: ReadonlyArray<string>) =>
    `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`
  const script = [
    [
      toServer,
      Buffer.from(bulk("SET", "schlüssel", "a\r\nb") + "PING\r\n" + bulk("HGETALL", "h") + bulk("GET", "k"))
    ],
    [
      toClient,
      Buffer.from(
        "+OK\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n+PONG\r\n" +
          "|1\r\n+ttl\r\n:9\r\n%2\r\n+a\r\n*2\r\n:1\r\n_\r\n+b\r\n=5\r\ntxt:x\r\n$-1\r\n"
      )
    ]
  ] as const

  it("is the same however the bytes are cut, and loses none", () => {
    const expected = ["sent SET schlüssel a\r\nb", "sent PING", "sent HGETALL h", "sent GET k"].concat(
      ["SET schlüssel a\r\nb", "PING", "HGETALL h", "GET k"].map((text) => `answered ${text}`)
    )
    for (let chunkBytes = 1; chunkBytes < 130; chunkBytes += 1)
      expect(replay(respDialogue(), script, chunkBytes)).toEqual(expected)
  })
})

describe("the dialogue of MySQL", () => {
  const column = packet(2, Buffer.from("def"))
  const eof = (sequence: number, flags: number) => packet(sequence, [0xfe, 0, 0, flags, 0])
  const ok = (sequence: number, header: number, flags: number) =>
    packet(sequence, [header, 0, 0, flags, 0, 0, 0])
  const query = (sql: string) => packet(0, Buffer.from(`\u0003${sql}`))
  const { PROTOCOL_41, DEPRECATE_EOF } = capability

  it.each([
    ["with EOF packets", PROTOCOL_41, [column, eof(3, 0), packet(4, [1, 49]), eof(5, 8), ok(6, 0, 0)]],
    [
      "without EOF packets",
      PROTOCOL_41 | DEPRECATE_EOF,
      [column, packet(3, [1, 49]), ok(4, 0xfe, 8), ok(5, 0, 0)]
    ],
    ["with a cursor", PROTOCOL_41, [column, eof(3, 0x40)]],
    [
      "that fails between its rows",
      PROTOCOL_41,
      [column, eof(3, 0), packet(4, [1, 49]), packet(5, [0xff, 1, 4])]
    ]
  ])("knows the end of a result %s, however the bytes are cut", (_name, capabilities, result) => {
    const script = [
      [toClient, greeting(capabilities)],
      [toServer, login(capabilities)],
      [toClient, Buffer.concat([packet(2, [0xfe, 97]), ok(3, 0, 0)])],
      [toServer, query("SELECT 1")],
      [toClient, Buffer.concat([packet(1, [1]), ...result])],
      [toServer, query("DO 1")],
      [toClient, ok(1, 0, 0)]
    ] as const
    for (let chunkBytes = 1; chunkBytes < 90; chunkBytes += 1)
      expect(replay(mysqlDialogue(), script, chunkBytes)).toEqual([
        "sent SELECT 1",
        "answered SELECT 1",
        "sent DO 1",
        "answered DO 1"
      ])
  })

  it.each([
    ["TLS", PROTOCOL_41 | capability.SSL, /asked for TLS/],
    ["compression", PROTOCOL_41 | capability.COMPRESS, /asked for compression/],
    ["the old protocol", 0, /version 4\.1/]
  ])("refuses %s, in which it would see nothing", (_name, capabilities, message) => {
    const dialogue = mysqlDialogue()
    dialogue.replies(greeting(0xffffffff | 0))
    expect(() => dialogue.requests(login(capabilities))).toThrow(message)
    expect(() => mysqlDialogue().requests(login(capability.SSL))).toThrow(ProtocolNotUnderstood)
  })
})
