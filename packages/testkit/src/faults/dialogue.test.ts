import { describe, expect, test } from "vitest"
import { type Command, type Dialogue, ProtocolNotUnderstood } from "./dialogue.ts"
import { capability } from "./mysql-packets.ts"
import { mysqlDialogue } from "./mysql.ts"
import { respDialogue } from "./resp.ts"

type Feed = (
  dialogue: Dialogue,
  chunk: Buffer
) => ReadonlyArray<{ readonly bytes: Buffer; readonly command?: Command; readonly ends?: boolean }>
const toServer: Feed = (dialogue, chunk) => dialogue.requests(chunk)
const toClient: Feed = (dialogue, chunk) => dialogue.replies(chunk)

/** Feeds the bytes in chunks of one size. Returns what was sent, and the bytes of each reply by its command. */
const replay = (dialogue: Dialogue, script: ReadonlyArray<readonly [Feed, Buffer]>, chunkBytes: number) => {
  const out: Array<string> = []
  const replies = new Map<string, string>()
  for (const [feed, bytes] of script) {
    const frames: Array<Buffer> = []
    for (let offset = 0; offset < bytes.length; offset += chunkBytes)
      for (const frame of feed(dialogue, bytes.subarray(offset, offset + chunkBytes))) {
        frames.push(frame.bytes)
        const text = frame.command?.text ?? "nobody"
        if (frame.ends !== undefined)
          replies.set(text, (replies.get(text) ?? "") + frame.bytes.toString("latin1"))
        else if (frame.command !== undefined) out.push(`sent ${text}`)
        if (frame.ends === true) out.push(`answered ${text}`)
      }
    expect(Buffer.concat(frames).equals(bytes)).toBe(true)
  }
  return { out, replies: Object.fromEntries(replies) }
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
  const replayAll = (script: ReadonlyArray<readonly [Feed, string]>, expected: Record<string, string>) => {
    const bytes = script.map(([feed, text]) => [feed, Buffer.from(text)] as const)
    for (let chunkBytes = 1; chunkBytes < 200; chunkBytes += 1)
      expect(replay(respDialogue(), bytes, chunkBytes).replies).toEqual(expected)
    return replay(respDialogue(), bytes, 1).out
  }

  test("finds each reply however the bytes are chunked: pushes, attributes, maps, nested and missing values", () => {
    const invalidation = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
    const map = "|1\r\n+ttl\r\n:9\r\n%2\r\n+a\r\n*2\r\n:1\r\n_\r\n+b\r\n=5\r\ntxt:x\r\n"
    const requests = [
      bulk("SET", "key", "a\r\nb"),
      "PING\r\n",
      bulk("hgetall", "h"),
      bulk("GET", "k"),
      bulk("TYPE", "k")
    ]
    const replies = ["+OK\r\n", invalidation, "+PONG\r\n", map, "$-1\r\n", "+none\r\n"]
    const out = replayAll(
      [
        [toServer, requests.join("")],
        [toClient, replies.join("")]
      ],
      {
        "SET key a\r\nb": "+OK\r\n",
        nobody: invalidation,
        PING: "+PONG\r\n",
        "HGETALL h": map,
        "GET k": "$-1\r\n",
        "TYPE k": "+none\r\n"
      }
    )
    expect(out).toEqual(
      ["sent", "answered"].flatMap((what) =>
        ["SET key a\r\nb", "PING", "HGETALL h", "GET k", "TYPE k"].map((text) => `${what} ${text}`)
      )
    )
  })

  test.each(["*", ">"])("expects one confirmation per subscription (%s)", (kind) => {
    const confirm = (what: string, channel: string, left: number) =>
      `${kind}3\r\n$${what.length}\r\n${what}\r\n$1\r\n${channel}\r\n:${left}\r\n`
    const message = `${kind}3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n`
    const [subscribed, subscribedToo] = [confirm("subscribe", "a", 1), confirm("subscribe", "b", 2)]
    const [left, leftToo] = [confirm("unsubscribe", "b", 1), confirm("unsubscribe", "a", 0)]
    replayAll(
      [
        [toServer, bulk("SUBSCRIBE", "a", "b") + bulk("PING", "1") + bulk("UNSUBSCRIBE") + bulk("PING", "2")],
        [toClient, `${subscribed}${message}${subscribedToo}+1\r\n${left}${message}${leftToo}+2\r\n`]
      ],
      {
        "SUBSCRIBE a b": subscribed + subscribedToo,
        nobody: message + message,
        "PING 1": "+1\r\n",
        UNSUBSCRIBE: left + leftToo,
        "PING 2": "+2\r\n"
      }
    )
  })

  test("reads a long reply once, however many chunks it arrives in", { timeout: 5_000 }, () => {
    const length = 800_000
    const reply = Buffer.from(`*${length}\r\n${"$10\r\n0123456789\r\n".repeat(length)}`)
    const script = [
      [toServer, Buffer.from(bulk("LRANGE", "a", "0", "-1"))],
      [toClient, reply]
    ] as const
    expect(replay(respDialogue(), script, 64 * 1024).out).toEqual([
      "sent LRANGE a 0 -1",
      "answered LRANGE a 0 -1"
    ])
  })

  test("recognises a list reply that begins like a message", () => {
    const list = "*2\r\n$7\r\nmessage\r\n$2\r\nhi\r\n"
    replayAll(
      [
        [toServer, bulk("LRANGE", "inbox", "0", "1")],
        [toClient, list]
      ],
      { "LRANGE inbox 0 1": list }
    )
  })
})

describe("the dialogue of MySQL", () => {
  const column = packet(2, Buffer.from("def"))
  const eof = (sequence: number, flags: number) => packet(sequence, [0xfe, 0, 0, flags, 0])
  const ok = (sequence: number, header: number, flags: number) =>
    packet(sequence, [header, 0, 0, flags, 0, 0, 0, 4, 100, 111, 110, 101])
  const query = (sql: string) => packet(0, Buffer.from(`\u0003${sql}`))
  const { PROTOCOL_41, DEPRECATE_EOF } = capability

  test.each([
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
  ])("finds the end of a result %s, however the bytes are chunked", (_name, capabilities, result) => {
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
      expect(replay(mysqlDialogue(), script, chunkBytes).out).toEqual([
        "sent SELECT 1",
        "answered SELECT 1",
        "sent DO 1",
        "answered DO 1"
      ])
  })

  test("knows the text of a statement that is executed before its preparation is answered", () => {
    const prepare = (sql: string) => packet(0, Buffer.from(`\u0016${sql}`))
    const executeLast = packet(0, [0x17, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0])
    const dialogue = mysqlDialogue()
    dialogue.replies(greeting(PROTOCOL_41))
    dialogue.requests(login(PROTOCOL_41))
    dialogue.replies(ok(2, 0, 0))
    const sent = dialogue.requests(
      Buffer.concat([prepare("DO 1"), executeLast, prepare("DO 2"), executeLast])
    )
    expect(sent.map(({ command }) => command?.text)).toEqual(["DO 1", "DO 1", "DO 2", "DO 2"])
  })

  test("does not mistake MariaDB's progress reports for the end", () => {
    const dialogue = mysqlDialogue()
    dialogue.replies(greeting(PROTOCOL_41))
    dialogue.requests(login(PROTOCOL_41))
    dialogue.replies(ok(2, 0, 0))
    dialogue.requests(query("ALTER TABLE products FORCE"))
    const report = packet(1, [0xff, 0xff, 0xff, 1, 1, 2, 0, 0, 0, 4, 99, 111, 112, 121])
    const frames = [...dialogue.replies(report), ...dialogue.replies(ok(2, 0, 0))]
    expect(frames.map(({ command, ends }) => [command?.verb, ends])).toEqual([
      ["ALTER", false],
      ["ALTER", true]
    ])
  })

  test("throws when a packet answers no command, unless it is the server's farewell error", () => {
    const dialogue = mysqlDialogue()
    const feed = (...parts: ReadonlyArray<Buffer>) => parts.flatMap((bytes) => dialogue.replies(bytes))
    feed(greeting(PROTOCOL_41))
    dialogue.requests(login(PROTOCOL_41))
    feed(ok(2, 0, 0))
    expect(feed(packet(0, [0xff, 1, 4]))).toHaveLength(1)
    expect(() => feed(ok(1, 0, 0))).toThrow(ProtocolNotUnderstood)
  })

  test.each([
    ["TLS", PROTOCOL_41 | capability.SSL, /asked for TLS/],
    ["compression", PROTOCOL_41 | capability.COMPRESS, /asked for compression/],
    ["the old protocol", 0, /version 4\.1/]
  ])("refuses %s, which hides the commands", (_name, capabilities, message) => {
    const dialogue = mysqlDialogue()
    dialogue.replies(greeting(0xffffffff | 0))
    expect(() => dialogue.requests(login(capabilities))).toThrow(message)
    expect(() => mysqlDialogue().requests(login(capability.SSL))).toThrow(ProtocolNotUnderstood)
  })
})
