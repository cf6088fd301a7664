import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { startServices, type ServiceOptions } from "../../src/index.ts"
import { engine } from "../../src/services/docker/engine.ts"
import { killRunners, startRunner } from "./killed.ts"
import { concerns, dockerIsWanted, query, withClient } from "./support.ts"

const concerned = concerns("docker")
const docker = { source: ["docker"] } as const satisfies ServiceOptions

afterEach(killRunners)

/** The benchmark requires one second; this allows for a machine that is busy with other tests. */
const GONE_MS = 3_000

describe.runIf(concerned && (await dockerIsWanted()))("services in containers", () => {
  test.each([
    ["mysql", "redis"],
    ["mariadb", "valkey"]
  ] as const)(
    "%s and %s answer, die, come back on the same port, and are removed",
    async (sqlKind, redisKind) => {
      const services = await startServices({ ...docker, sql: { kind: sqlKind }, redis: { kind: redisKind } })
      const { sql, redis } = services
      expect([sql.flavour, redis.flavour]).toEqual([sqlKind, redisKind])
      await sql.createDatabase("shop")
      await query(sql.url("shop"), "CREATE TABLE t (id INT PRIMARY KEY)")
      await query(sql.url("shop"), "INSERT INTO t VALUES (7)")
      await withClient(redis.url(), (client) => client.set("key", "value"))

      await Promise.all([sql.kill(), redis.kill()])
      await expect(query(sql.url("shop"), "SELECT 1")).rejects.toThrow()
      await Promise.all([sql.restart(), redis.restart()])
      expect(await query(sql.url("shop"), "SELECT id FROM t")).toEqual([{ id: 7 }])
      expect(await withClient(redis.url(), (client) => client.get("key"))).toBeNull()

      const ids = [sql.identity.containerId, redis.identity.containerId]
      expect(await containers()).toEqual(expect.arrayContaining(ids))
      await services.stop()
      await services.stop()
      expect((await containers()).filter((id) => ids.includes(id))).toEqual([])
    },
    240_000
  )

  test("answers nothing while frozen and everything afterwards", async () => {
    await using services = await startServices({ ...docker, sql: false })
    await services.redis.freeze()
    const answer = withClient(services.redis.url(), (client) => client.ping())
    const early = await Promise.race([
      answer,
      new Promise<string>((resolve) => setTimeout(() => resolve("silent"), 200))
    ])
    expect(early).toBe("silent")
    await services.redis.thaw()
    expect(await answer).toBe("PONG")
  }, 60_000)

  test("keep their data in a volume when there is a data directory", async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), "kept-"))
    const options = { ...docker, sql: { kind: "mariadb" }, dataDirectory } as const
    const first = await startServices(options)
    await first.sql.createDatabase("shop")
    await withClient(first.redis.url(), (client) => client.set("key", "value"))
    await expect(startServices(options)).rejects.toThrow(/in use/)
    await first.stop()
    const second = await startServices(options)
    try {
      expect(await query(second.sql.url(), "SHOW DATABASES LIKE 'shop'")).toHaveLength(1)
      expect(await withClient(second.redis.url(), (client) => client.get("key"))).toBe("value")
    } finally {
      await second.stop()
      await removeVolumes(dataDirectory)
      rmSync(dataDirectory, { recursive: true, force: true })
    }
  }, 240_000)

  test("name the image that is missing and cannot be pulled", async () => {
    const image = "holdfast.invalid/nothing:1"
    const failure = startServices({ ...docker, sql: { image }, redis: false })
    await expect(failure).rejects.toThrow(
      /image holdfast\.invalid\/nothing:1 is not here and cannot be pulled/
    )
    await expect(failure).rejects.toMatchObject({ _tag: "ServiceUnavailable", tried: [{ source: "docker" }] })
  }, 60_000)

  test("show the output of a server that does not start", async () => {
    const failure = startServices({ ...docker, sql: { image: "redis:8" }, redis: false })
    await expect(failure).rejects.toThrow(/ended with status/)
  }, 60_000)

  test("leave no container a second after their runner was killed, 20 times, including frozen ones", async () => {
    const killOne = async (round: number) => {
      const runner = startRunner(
        { ...docker, ...(round < 2 ? { sql: { kind: "mariadb" } } : { sql: false }) },
        { freeze: round % 4 === 3 }
      )
      const { sql, redis } = await runner.ready
      const ids = [sql?.containerId, redis?.containerId].filter((id) => id !== undefined)
      expect(await containers()).toEqual(expect.arrayContaining(ids))
      await runner.kill()
      const killed = performance.now()
      while ((await containers()).some((id) => ids.includes(id)))
        if (performance.now() - killed > GONE_MS) throw new Error("a container is left")
    }
    for (let round = 0; round < 20; round += 2) await Promise.all([killOne(round), killOne(round + 1)])
  }, 400_000)
})

async function containers(): Promise<ReadonlyArray<string>> {
  const client = await engine()
  return (await client.container.dockerode.listContainers({ all: true })).map(({ Id }) => Id)
}

async function removeVolumes(dataDirectory: string): Promise<void> {
  const { createHash } = await import("node:crypto")
  const { dockerode } = (await engine()).container
  for (const label of ["mariadb", "redis"]) {
    const path = join(dataDirectory, `docker-${label}`)
    const hash = createHash("sha256").update(path).digest("hex").slice(0, 12)
    await dockerode.getVolume(`holdfast-${label}-${hash}`).remove()
  }
}
