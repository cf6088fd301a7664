import { describe, expect, test } from "vitest"
import type { Command } from "../faults/dialogue.ts"
import { LockGraph } from "./lock-graph.ts"
import { RedisLocks } from "./redis-locks.ts"

const command = (...[name = "", ...args]: ReadonlyArray<string>): Command => ({
  name,
  verb: name,
  text: [name, ...args].join(" "),
  args,
  executes: true
})

/** What the client holds after the commands and their replies. */
const heldAfter = (...exchanges: ReadonlyArray<readonly [Command, string]>): ReadonlyArray<string> => {
  const graph = new LockGraph()
  const locks = new RedisLocks(graph)
  for (const [sent, reply] of exchanges) {
    locks.sends("client", sent)
    locks.answered("client", sent, Buffer.from(reply))
  }
  return graph.heldBy("client")
}

const taken = [command("SET", "mutex:a", "me", "PX", "1000", "NX"), "+OK\r\n"] as const

describe("RedisLocks", () => {
  test("recognises SET with NX, SETNX and scripts with them as an acquisition", () => {
    expect(heldAfter(taken)).toEqual(["redis mutex:a"])
    expect(heldAfter([command("SETNX", "mutex:a", "me"), ":1\r\n"])).toEqual(["redis mutex:a"])
    const lua = "if redis.call('SET', KEYS[1], ARGV[1], 'NX') then return {1, 7} end return {0, 0}"
    expect(heldAfter([command("EVAL", lua, "1", "mutex:a", "me"), "*2\r\n:1\r\n:7\r\n"])).toEqual([
      "redis mutex:a"
    ])
    expect(heldAfter([command("EVAL", lua, "1", "mutex:a", "me"), "*2\r\n:0\r\n:0\r\n"])).toEqual([])
  })

  test("recognises nothing else as an acquisition", () => {
    expect(heldAfter([command("SET", "mutex:a", "me", "XX"), "+OK\r\n"])).toEqual([])
    expect(heldAfter([command("SET", "seen:a", "me", "NX"), "+OK\r\n"])).toEqual([])
    expect(
      heldAfter([command("EVAL", "return redis.call('get', KEYS[1])", "1", "mutex:a"), "$2\r\nme\r\n"])
    ).toEqual([])
    expect(heldAfter([command("SET", "mutex:a", "me", "NX"), "$-1\r\n"])).toEqual([])
    expect(heldAfter([command("SET", "mutex:a", "me", "NX"), "-OOM no memory\r\n"])).toEqual([])
  })

  test("recognises the locks of redlock 5, and does not take their extension for an acquisition", () => {
    const acquire = `for i, key in ipairs(KEYS) do
        if redis.call("exists", key) == 1 then return 0 end
      end
      for i, key in ipairs(KEYS) do redis.call("set", key, ARGV[1], "PX", ARGV[2]) end
      return #KEYS`
    const extend = `if redis.call("get", KEYS[1]) ~= ARGV[1] then return 0 end
      redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2])
      return #KEYS`
    const release = `if redis.call("get", KEYS[1]) == ARGV[1] then redis.pcall("del", KEYS[1]) end return 1`
    const call = (lua: string, ...keys: ReadonlyArray<string>) =>
      command("EVAL", lua, String(keys.length), ...keys, "me", "1000")
    const both = [call(acquire, "mutex:a", "mutex:b"), ":2\r\n"] as const
    expect(heldAfter(both)).toEqual(["redis mutex:a", "redis mutex:b"])
    expect(heldAfter([call(acquire, "mutex:a"), ":0\r\n"])).toEqual([])
    expect(heldAfter([call(extend, "mutex:a"), ":1\r\n"])).toEqual([])
    expect(heldAfter(both, [call(release, "mutex:a"), ":1\r\n"])).toEqual(["redis mutex:b"])
  })

  test("recognises DEL, UNLINK and scripts with them as a release, if they deleted a key", () => {
    const lua = 'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0'
    expect(heldAfter(taken, [command("DEL", "mutex:a"), ":1\r\n"])).toEqual([])
    expect(heldAfter(taken, [command("UNLINK", "x", "mutex:a"), ":1\r\n"])).toEqual([])
    expect(heldAfter(taken, [command("EVAL", lua, "1", "mutex:a", "me"), ":1\r\n"])).toEqual([])
    expect(heldAfter(taken, [command("EVAL", lua, "1", "mutex:a", "you"), ":0\r\n"])).toEqual([
      "redis mutex:a"
    ])
    expect(heldAfter(taken, [command("DEL", "mutex:b"), ":1\r\n"])).toEqual(["redis mutex:a"])
  })
})
