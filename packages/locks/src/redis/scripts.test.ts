import { expect, test } from "vitest"
import { redisFixture } from "../../test/fixture.ts"
import { defineScripts } from "./scripts.ts"

const redis = redisFixture()

const define = () =>
  defineScripts(redis.plain, "test", {
    put: { numberOfKeys: 1, lua: "return redis.call('SET', KEYS[1], ARGV[1])" },
    sum: { numberOfKeys: 2, lua: "return {redis.call('GET', KEYS[1]) + redis.call('GET', KEYS[2]), ARGV[1]}" }
  })

test("scripts take their keys and arguments, and give their replies", async () => {
  const { put, sum } = define()
  await put(["one"], 1)
  await put(["two"], "2")
  expect(await sum(["one", "two"], "argument")).toEqual([3, "argument"])
  // @ts-expect-error the script takes two keys
  await expect(sum(["one"])).rejects.toThrow()
})

test("a server that has forgotten a script gets it again", async () => {
  const { put } = define()
  await put(["one"], 1)
  await redis.plain.script("FLUSH")
  expect(await put(["one"], 2)).toBe("OK")
})
