import { Cluster, Redis } from "ioredis"
import { expect, test } from "vitest"
import { eventually } from "../race/index.ts"
import { startRedisCluster } from "./redis-cluster.ts"
import { startRedisSentinelGroup } from "./sentinel-group.ts"

// Guarantees: the cluster is a real one: a slot moves under its clients, and a killed master has a successor.
test("a cluster of six moves a slot and survives a master", async () => {
  await using cluster = await startRedisCluster()
  expect(cluster.nodes).toHaveLength(6)
  const client = new Cluster(cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port })))
  try {
    const keys = Array.from({ length: 30 }, (_, n) => `{tag}${n}`)
    await Promise.all(keys.map((key) => client.set(key, key)))
    const before = await cluster.masterOf("{tag}")
    let seenMidway = 0
    await cluster.moveSlotOf("{tag}", async () => {
      seenMidway = (await before.client.keys("{tag}*")).length
      await expect(before.client.get("{tag}unknown")).rejects.toThrow(/^ASK /)
    })
    expect(seenMidway).toBe(29)
    const after = await cluster.masterOf("{tag}")
    expect(after.port).not.toBe(before.port)
    await expect(before.client.get("{tag}1")).rejects.toThrow(/^MOVED /)
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys)

    await after.kill()
    await eventually(async () => expect((await cluster.masterOf("{tag}")).port).not.toBe(after.port), {
      timeoutMs: 20_000
    })
    await eventually(() => client.set("{tag}1", "again"), { timeoutMs: 20_000 })
  } finally {
    client.disconnect()
  }
}, 60_000)

// Guarantees: sentinels elect a new master when theirs is killed, and on demand.
test("a group with sentinels replaces its master", async () => {
  await using group = await startRedisSentinelGroup()
  const ports = group.sentinels.map(({ port }) => ({ host: "127.0.0.1", port }))
  const client = new Redis({ sentinels: ports, name: "main" })
  client.on("error", () => {})
  try {
    await client.set("key", "value")
    const first = await group.master()
    await group.failOver()
    expect((await group.master()).port).not.toBe(first.port)
    const second = await group.master()
    await second.kill()
    await eventually(async () => expect((await group.master()).port).not.toBe(second.port), {
      timeoutMs: 30_000
    })
    expect(await eventually(() => client.get("key"), { timeoutMs: 20_000 })).toBe("value")
  } finally {
    client.disconnect()
  }
}, 90_000)
