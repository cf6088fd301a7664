import { afterAll, beforeAll, describe, expect, test } from "vitest"
import {
  claimRedisDatabase,
  databaseFactory,
  DatabasesForbidden,
  ForeignDatabase,
  NoRedisDatabaseFree,
  RedisClaimLost,
  startServices,
  type Services
} from "../../src/services/index.ts"
import { thisOwner } from "../../src/services/owner.ts"
import { ownTemporaryBase, query, withClient } from "./support.ts"

// These servers play the ones that a URL names, which may hold anything.
const temporary = ownTemporaryBase()
let services: Services
beforeAll(async () => {
  services = await startServices()
}, 240_000)
afterAll(async () => {
  await services?.stop()
  temporary.remove()
})

/** An earlier process that had this one's pid. */
const ended = () => ({ ...thisOwner(), startedAt: "another" })

describe("on a Redis server that others use", () => {
  const url = (index: number) => services.redis.url(index)
  const read = (index: number) => withClient(url(index), (client) => client.get("key"))
  const write = (index: number) => withClient(url(index), (client) => client.set("key", "precious"))
  const claims = (index: number, claim: object) =>
    withClient(url(0), (client) => client.set(`holdfast:testkit:database:${index}`, JSON.stringify(claim)))
  const reset = () => withClient(url(0), (client) => client.flushall())

  test("a database with data of others is neither handed out nor emptied", async () => {
    await reset()
    for (const index of [0, 1, 3]) await write(index)
    const taken = await Promise.all(Array.from({ length: 8 }, () => claimRedisDatabase(url)))
    expect(taken.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual([2, 4, 5, 6, 7, 8, 9, 10])
    for (const claim of taken) {
      await claim.flush()
      await claim.release()
    }
    expect(await Promise.all([0, 1, 3].map(read))).toEqual(["precious", "precious", "precious"])
  })

  test("when every database holds data, the error names the ways out", async () => {
    await reset()
    const reply = await withClient(url(0), (client) => client.config("GET", "databases"))
    const count = Array.isArray(reply) ? reply[1] : 0
    for (let index = 1; index < Number(count); index++) await write(index)
    const refused: unknown = await claimRedisDatabase(url).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(NoRedisDatabaseFree)
    expect(String(refused)).toMatch(/did not write, so it does not empty them.*HOLDFAST_REDIS_URL.*FLUSHDB/)
    expect(await read(1)).toBe("precious")
    await reset()
  })

  test("the database of a process that has ended is taken over at once, that of another host later", async () => {
    await reset()
    await write(1)
    await claims(1, ended())
    const first = await claimRedisDatabase(url)
    expect(first.index).toBe(1)
    expect(await read(1)).toBeNull()

    const elsewhere = { ...ended(), host: "elsewhere" }
    await claims(2, elsewhere)
    const alive = "holdfast:testkit:database:2:alive"
    await withClient(url(0), (client) => client.set(alive, "1", "EX", 60))
    const second = await claimRedisDatabase(url)
    expect(second.index).toBe(3)
    await withClient(url(0), (client) => client.del(alive))
    const third = await claimRedisDatabase(url)
    expect(third.index).toBe(2)
    await Promise.all([first, second, third].map((claim) => claim.release()))
    expect(await withClient(url(0), (client) => client.dbsize())).toBe(0)
  })

  test("a process that lost its claim empties nothing, and kept data stay", async () => {
    await reset()
    const claim = await claimRedisDatabase(url)
    await write(claim.index)
    await claims(claim.index, { ...ended(), keptUntilMs: Date.now() + 60_000 })
    await expect(claim.flush()).rejects.toBeInstanceOf(RedisClaimLost)
    await claim.release()
    const other = await claimRedisDatabase(url)
    expect(other.index).not.toBe(claim.index)
    expect(await read(claim.index)).toBe("precious")
    await other.keep(60)
    await other.release()
    expect(
      await withClient(url(0), (client) => client.exists(`holdfast:testkit:database:${other.index}`))
    ).toBe(1)
  })
})

describe("on a SQL server that others use", () => {
  const databases = async (like: string) =>
    (await query(services.sql.url(), `SHOW DATABASES LIKE '${like}'`)).map((row) =>
      String(Object.values(row)[0])
    )
  const schema = { migrate: (url: string) => query(url, "CREATE TABLE thing (id INT)") }
  const run = (sql: string) => query(services.sql.url(), sql)

  test("a database with the name of the registry that is not the testkit's is not touched", async () => {
    await run("CREATE DATABASE holdfast_testkit")
    await run("CREATE TABLE holdfast_testkit.precious (id INT)")
    await expect(databaseFactory(services.sql)).rejects.toBeInstanceOf(ForeignDatabase)
    expect(await run("SHOW TABLES FROM holdfast_testkit")).toHaveLength(1)
    await run("DROP DATABASE holdfast_testkit")
  })

  test("a database with the name of a template that is not the testkit's is not dropped", async () => {
    await run("CREATE DATABASE hf_template_empty")
    await run("CREATE TABLE hf_template_empty.precious (id INT)")
    await expect(databaseFactory(services.sql)).rejects.toThrow(
      /hf_template_empty that the testkit did not make/
    )
    expect(await run("SHOW TABLES FROM hf_template_empty")).toHaveLength(1)
    await run("DROP DATABASE hf_template_empty")
  })

  test("four runs leave nothing behind, and one that died leaves nothing after the next", async () => {
    for (let time = 0; time < 4; time++) {
      const factory = await databaseFactory(services.sql, { ...schema })
      await (await factory.create()).drop()
      await factory.drop()
    }
    expect(await databases("hf\\_%")).toEqual([])

    const dead = await databaseFactory(services.sql, { ...schema })
    const { name } = await dead.create()
    await run(`UPDATE holdfast_testkit.owned_databases SET owner = '${JSON.stringify(ended())}'`)
    const kept = await (await databaseFactory(services.sql)).create()
    expect(await databases("hf\\_%")).toEqual(expect.not.arrayContaining([name]))
    await kept.keep(60)
    await run(`UPDATE holdfast_testkit.owned_databases SET owner = '${JSON.stringify(ended())}'`)
    await databaseFactory(services.sql)
    expect((await databases("hf\\_%")).toSorted()).toEqual([kept.name, "hf_template_empty"].toSorted())
  })

  test("two functions with the same text have different templates, the same function has one", async () => {
    const migrating = (statement: string) => (url: string) => query(url, statement)
    const [one, two] = [migrating("CREATE TABLE one (id INT)"), migrating("CREATE TABLE two (id INT)")]
    const tables = async (migrate: typeof one) => {
      const database = await (await databaseFactory(services.sql, { migrate })).create()
      return query(database.url, "SHOW TABLES")
    }
    const before = (await databases("hf\\_template\\_%")).length
    expect(Object.values((await tables(one))[0] ?? {})).toEqual(["one"])
    expect(Object.values((await tables(two))[0] ?? {})).toEqual(["two"])
    await tables(one)
    expect(await databases("hf\\_template\\_%")).toHaveLength(before + 2)
  })

  test("a user who may not create databases is told what an administrator must run", async () => {
    await run("CREATE USER clerk@localhost IDENTIFIED BY 'pw'")
    await run("CREATE USER clerk@'%' IDENTIFIED BY 'pw'")
    const clerk = { host: services.sql.host, port: services.sql.port, user: "clerk", password: "pw" }
    const refused: unknown = await databaseFactory(clerk, schema).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(DatabasesForbidden)
    const grants = String(refused).match(/GRANT .*;/g) ?? []
    expect(grants).toHaveLength(2)
    for (const grant of grants) await run(grant)
    const factory = await databaseFactory(clerk, schema)
    const database = await factory.create()
    await database.clean()
    await database.drop()
    await factory.drop()
  })
})
