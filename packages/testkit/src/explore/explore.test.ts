import { createHash } from "node:crypto"
import { readFileSync, rmSync, mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Redis } from "ioredis"
import { createConnection } from "mysql2/promise"
import { Mutex } from "redis-semaphore"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { crashOf, cutOf, lostReplyOf } from "./actors.ts"
import {
  expectExploration,
  IncompleteExplorationError,
  ScheduleViolationError
} from "./expect-exploration.ts"
import { explore, replay } from "./explore.ts"
import type { Ports } from "./gate/lane.ts"
import type { ClientResult, Scenario, ScheduleControl } from "./scenario.ts"
import { InvalidScheduleCodeError } from "./schedule-code.ts"
import { PlantedWorld } from "./testing/planted-world.ts"
import { count, numberOf, rowsOf, type Client, type PlantedBug } from "./testing/planted/planted.ts"

let world: PlantedWorld
beforeAll(async () => {
  world = await PlantedWorld.start()
  await world.admin.sql.query("CREATE TABLE items (id INT PRIMARY KEY, stock INT) ENGINE=InnoDB")
})
afterAll(() => world.stop())
beforeEach(() => world.admin.redis.flushall())

/** How long nothing may happen before the explorer ends a schedule as stuck. */
const STUCK_MS = 5_000

type Parts = Pick<PlantedBug, "uses"> & Partial<Omit<PlantedBug, "fixed" | "buggy" | "uses">>

/** A scenario of two clients by default that checks nothing. */
const scenarioOf = (parts: Parts, run: PlantedBug["buggy"]): Promise<Scenario<Client, string>> =>
  world.scenario(
    {
      name: "scenario",
      clients: 2,
      setup: async ({ redis, sql }) => {
        await redis.del("a", "b", "lock", "done")
        await sql.query("REPLACE INTO items VALUES (1, 5), (2, 5)")
      },
      check: async () => undefined,
      ...parts,
      buggy: run,
      fixed: run
    },
    "fixed"
  )

describe("steps", () => {
  test("are all commands with visible effects: two clients of two steps have six schedules", async () => {
    const scenario = await scenarioOf({ uses: ["redis"] }, async ({ redis }) => {
      await redis.incr("a")
      await redis.incr("b")
      return "done"
    })
    expect(await explore(scenario, { strategy: "dfs" })).toMatchObject({ schedules: 6, exhaustive: true })
  })

  test("are EXEC with all its commands, and each command of a pipeline", async () => {
    const scenario = await scenarioOf({ uses: ["redis"], clients: 1 }, async ({ redis }) => {
      await redis.multi().incr("a").incr("b").exec()
      await redis.pipeline().get("a").get("b").exec()
      return "done"
    })
    const [run] = await replay(scenario, "steps:")
    expect(run?.steps.map(({ label }) => label)).toEqual(["EXEC [INCR a; INCR b]", "GET a", "GET b"])
  })

  test("exclude those of the warm-up, which fills caches", async () => {
    const lua = "return redis.call('INCR', KEYS[1])"
    const digest = createHash("sha1").update(lua).digest("hex")
    await world.admin.redis.script("FLUSH")
    const scenario = await scenarioOf({ uses: ["redis"] }, async ({ redis }) => {
      // As client libraries do: by digest, then by text if the server does not know it.
      const answer = await redis.evalsha(digest, 1, "a").catch(() => redis.eval(lua, 1, "a"))
      return String(answer)
    })
    const exploration = await explore(scenario, { strategy: "dfs" })
    expect(exploration).toMatchObject({ exhaustive: true, schedules: 2 })
    expect(exploration.nondeterminism).toBeUndefined()
  })

  test("keep their order on a connection: commands that are not steps do not overtake", async () => {
    const scenario = await scenarioOf({ uses: ["redis"], clients: 1 }, async ({ redis }) => {
      const replies = await redis.pipeline([["set", "a", "1"], ["multi"], ["incr", "a"], ["exec"]]).exec()
      return JSON.stringify(replies?.map(([, reply]) => reply))
    })
    const results: Array<ClientResult<string>> = []
    const check = async (ended: ReadonlyArray<ClientResult<string>>) => void results.push(...ended)
    const [run] = await replay({ ...scenario, check }, "steps:")
    expect(run?.steps.map(({ label }) => label)).toEqual(["SET a 1", "EXEC [INCR a]"])
    expect(results.at(-1)).toEqual({ status: "fulfilled", value: '["OK","OK","QUEUED",[2]]' })
  })

  test("are the statements of a transaction except its beginning, also when prepared", async () => {
    const scenario = await scenarioOf({ uses: ["sql"], clients: 1 }, async ({ sql }) => {
      await sql.query("SET SESSION lock_wait_timeout = 10")
      await sql.beginTransaction()
      await sql.execute("UPDATE items SET stock = ? WHERE id = 1", [3])
      await sql.commit()
      return "done"
    })
    const [run] = await replay(scenario, "steps:")
    expect(run?.steps.map(({ label }) => label)).toEqual([
      "UPDATE items SET stock = ? WHERE id = 1",
      "COMMIT"
    ])
    expect(run?.steps.every(({ toMs }) => toMs !== undefined)).toBe(true)
  })
})

describe("hidden traffic", () => {
  test("is refused with a reason: compression and TLS hide the commands", async () => {
    const scenario = await scenarioOf({ uses: ["sql"] }, async () => "done")
    const { user, password } = world.services.sql
    const connect = async (ports: Ports): Promise<Client> => {
      await createConnection({ host: "127.0.0.1", port: ports.sql, user, password, compress: true })
      throw new Error("The gate let it in.")
    }
    await expect(explore({ ...scenario, connect })).rejects.toThrow(/asked for compression/)
  })
})

describe("a statement longer than a packet", () => {
  test("is one step, and arrives complete", async () => {
    const longer = 17 * 1024 ** 2
    await world.admin.sql.query("SET GLOBAL max_allowed_packet = 64 * 1024 * 1024")
    const scenario = await scenarioOf({ uses: ["sql"] }, async ({ sql }) =>
      String(await numberOf(sql, "SELECT LENGTH(?) AS arrived", "x".repeat(longer)))
    )
    const results: Array<ClientResult<string>> = []
    const check = async (ended: ReadonlyArray<ClientResult<string>>) => void results.push(...ended)
    const [run] = await replay({ ...scenario, check }, "steps:10")
    expect(run?.steps.map(({ actor }) => actor)).toEqual([1, 0])
    expect(results.slice(-2)).toMatchObject([{ value: String(longer) }, { value: String(longer) }])
  })
})

describe("waiting", () => {
  test("for a row lock is recognised: the other clients continue", async () => {
    const scenario = await scenarioOf({ uses: ["sql"], clients: 3 }, async ({ sql }) => {
      await sql.beginTransaction()
      await sql.query("SELECT stock FROM items WHERE id = 1 FOR UPDATE")
      await sql.commit()
      return "done"
    })
    const exploration = await explore(scenario, { strategy: "dfs" })
    expect(exploration).toMatchObject({ exhaustive: true, truncated: 0 })
    expect(exploration.schedules).toBeGreaterThan(6)
  })

  test("for a named lock is recognised", async () => {
    const scenario = await scenarioOf({ uses: ["sql"] }, async ({ sql }) => {
      await numberOf(sql, "SELECT GET_LOCK('sale', 10)")
      await numberOf(sql, "SELECT RELEASE_LOCK('sale')")
      return "done"
    })
    const exploration = await explore(scenario, { strategy: "dfs" })
    // Each order of the two sections, with the other's GET_LOCK before, within or after.
    expect(exploration).toMatchObject({ exhaustive: true, schedules: 4 })
  })

  test("for a named lock is recognised while others wait for a row", async () => {
    const scenario = await scenarioOf({ uses: ["sql"], clients: 3 }, async ({ sql }, number) => {
      await sql.beginTransaction()
      if (number < 2) await sql.query("SELECT stock FROM items WHERE id = 1 FOR UPDATE")
      if (number !== 1) await numberOf(sql, "SELECT GET_LOCK('sale', 10)")
      await sql.commit()
      if (number !== 1) await numberOf(sql, "SELECT RELEASE_LOCK('sale')")
      return "done"
    })
    // Client 2 holds the name, 0 the row; 1 waits for the row, 0 for the name.
    const [run] = await replay(scenario, "steps:20102")
    expect(run?.violation).toBeUndefined()
    const order = run?.steps.map(({ actor, label }) => `${actor} ${label.split(" ")[0]}`)
    expect(order?.slice(0, 5)).toEqual(["2 SELECT", "0 SELECT", "1 SELECT", "0 SELECT", "2 COMMIT"])
    expect((run?.steps.at(3)?.toMs ?? 0) > (run?.steps.at(4)?.toMs ?? 0)).toBe(true)
    expect(Math.max(...(run?.steps.map(({ toMs = 0 }) => toMs) ?? []))).toBeLessThan(STUCK_MS)
  })

  test("for each other, in the program and at the server, is a violation", async () => {
    let opened = Promise.withResolvers<void>()
    const scenario = await scenarioOf(
      {
        uses: ["sql"],
        setup: async () => {
          opened = Promise.withResolvers()
        }
      },
      async ({ sql }, number) => {
        await sql.query("SET SESSION innodb_lock_wait_timeout = 1")
        await sql.beginTransaction()
        await sql.query("SELECT stock FROM items WHERE id = 1 FOR UPDATE")
        if (number === 0) await opened.promise
        else opened.resolve()
        await sql.commit()
        return "done"
      }
    )
    const options = { strategy: "dfs", patienceMs: 20, stuckMs: 300, shrinkRuns: 3, replays: 1 } as const
    const { failure } = await explore(scenario, options)
    expect(failure?.message).toBe(
      'No client can continue: client 1 waits for "SELECT stock FROM items WHERE id = 1 FOR UPDATE".'
    )
  })

  test("for a message lets the other clients continue", async () => {
    const scenario = await scenarioOf({ uses: ["redis"] }, async ({ redis }, number) => {
      if (number === 1) return String(await redis.rpush("a", "hello"))
      return (await redis.blpop("a", 10))?.[1] ?? "nothing"
    })
    const exploration = await explore(scenario, { strategy: "dfs", patienceMs: 20 })
    expect(exploration).toMatchObject({ exhaustive: true, schedules: 2 })
  })

  test("for a slow server never lets the others continue without the client", async () => {
    const scenario = await scenarioOf({ uses: ["sql"] }, async ({ sql }, number) => {
      if (number === 0) await sql.query("SET @slow = SLEEP(0.1)")
      await rowsOf(sql, "UPDATE items SET stock = stock - 1 WHERE id = 1")
      return "done"
    })
    const exploration = await explore(scenario, { strategy: "dfs", patienceMs: 20 })
    expect(exploration).toMatchObject({ exhaustive: true, schedules: 2 })
  })

  test("by polling ends: redis-semaphore's mutex excludes under every schedule", async () => {
    const scenario = await scenarioOf(
      {
        uses: ["redis"],
        check: async ({ redis }) => {
          const done = Number(await redis.get("done"))
          return done === 2 ? undefined : `${done} of 2 updates arrived.`
        }
      },
      async ({ redis }) => {
        const mutex = new Mutex(redis, "sale", { retryInterval: 1, refreshInterval: 0, lockTimeout: 60_000 })
        await mutex.acquire()
        await redis.set("done", Number(await redis.get("done")) + 1)
        await mutex.release()
        return "done"
      }
    )
    const exploration = await explore(scenario, { schedules: 60 })
    expect(exploration.failure).toBeUndefined()
    expect(exploration.truncated).toBe(0)
  })
})

describe("actors", () => {
  const reserve = async ({ redis, sql }: Client): Promise<string> => {
    await redis.decr("a")
    await sql.query("INSERT IGNORE INTO items VALUES (9, 0)")
    return "done"
  }

  test("kill a process between two of its steps; the next schedule has a new one", async () => {
    const scenario = await scenarioOf(
      {
        uses: ["redis", "sql"],
        setup: async ({ redis, sql }) => {
          await redis.set("a", 2)
          await sql.query("DELETE FROM items WHERE id = 9")
        },
        actors: () => [crashOf(1)],
        check: async ({ redis }, results) => {
          const gone = 2 - Number(await redis.get("a"))
          const done = count(results, "done")
          return gone === done ? undefined : `${gone} slots are gone, ${done} clients were served.`
        }
      },
      reserve
    )
    const { failure } = await explore(scenario, { strategy: "random", schedules: 50 })
    expect(failure?.message).toBe("2 slots are gone, 1 clients were served.")
    expect(failure?.steps.map(({ name }) => name)).toContain("client 1 dies")
    expect(failure?.replays).toEqual({ same: 5, of: 5 })
  })

  test("kill a process in its transaction: the server rolls it back before the others continue", async () => {
    const scenario = await scenarioOf(
      {
        uses: ["sql"],
        actors: () => [crashOf(0)],
        check: async ({ sql }, results) => {
          const left = await numberOf(sql, "SELECT stock FROM items WHERE id = 1")
          const done = count(results, "done")
          return left === 5 - done ? undefined : `${left} left after ${done}.`
        }
      },
      async ({ sql }) => {
        await sql.beginTransaction()
        await rowsOf(sql, "UPDATE items SET stock = stock - 1 WHERE id = 1")
        await sql.commit()
        return "done"
      }
    )
    const exploration = await explore(scenario, { strategy: "dfs" })
    expect(exploration).toMatchObject({ exhaustive: true })
    expect(exploration.failure).toBeUndefined()
  })

  test("kill a process and wait until the server has released its locks, however many", async () => {
    const rows = Array.from({ length: 20_000 }, (_, id) => `(${id}, 5)`)
    await world.admin.sql.query("CREATE TABLE many (id INT PRIMARY KEY, stock INT) ENGINE=InnoDB")
    await world.admin.sql.query(`INSERT INTO many VALUES ${rows.join()}`)
    const scenario = await scenarioOf(
      {
        uses: ["sql"],
        actors: () => [crashOf(0)],
        check: async (_admin, [, result]) =>
          result?.status === "rejected"
            ? `Client 1 met a lock of the dead: ${String(result.reason)}`
            : undefined
      },
      async ({ sql }, number) => {
        await sql.beginTransaction()
        if (number === 0) await sql.query("UPDATE many SET stock = stock + 1")
        else await sql.query("SELECT stock FROM many WHERE id IN (0, 19999) FOR UPDATE NOWAIT")
        await sql.commit()
        return "done"
      }
    )
    const runs = await replay(scenario, "steps:021", { times: 5 })
    expect(runs.map(({ violation }) => violation)).toEqual(Array(5).fill(undefined))
  })

  test("lose a reply: a client that retries the command applies it twice", async () => {
    const scenario = await scenarioOf(
      {
        uses: ["redis"],
        clients: 1,
        actors: () => [lostReplyOf(0, /^INCR/)],
        check: async ({ redis }) => {
          const value = Number(await redis.get("a"))
          return value === 1 ? undefined : `Counted ${value} times.`
        }
      },
      async ({ redis }) => String(await redis.incr("a"))
    )
    // ioredis reconnects by itself and retries unanswered commands.
    const { failure } = await explore(scenario, { strategy: "dfs", patienceMs: 500 })
    expect(failure?.message).toBe("Counted 2 times.")
    expect(failure?.steps.map(({ label }) => label)).toEqual(["client 0 loses a reply", "INCR a"])
  })

  /** Client 1 holds the row in a transaction; client 0 waits for it with an autocommit statement. */
  const waitsForRow = async ({ sql }: Client, number: number): Promise<string> => {
    if (number === 1) await sql.beginTransaction()
    await rowsOf(sql, "UPDATE items SET stock = stock - 1 WHERE id = 1")
    if (number === 1) await sql.commit()
    return "done"
  }
  /** What is left and how the clients ended, for each run of the schedule. */
  const endsOf = async (scenario: Scenario<Client, string>, code: string) => {
    const ends = new Set<string>()
    for (let time = 0; time < 3; time++) {
      let end = ""
      const check = async (results: ReadonlyArray<ClientResult<string>>) => {
        const left = await numberOf(world.admin.sql, "SELECT stock FROM items WHERE id = 1")
        end = [left, ...results.map(({ status }) => status)].join(", ")
        return undefined
      }
      await replay({ ...scenario, check, reset: async () => {} }, code)
      ends.add(end)
    }
    return [...ends]
  }

  test("lose the reply of a statement that has to wait for a lock first", async () => {
    const scenario = await scenarioOf({ uses: ["sql"], actors: () => [lostReplyOf(0)] }, waitsForRow)
    expect(await endsOf(scenario, "steps:121")).toEqual(["3, rejected, fulfilled"])
  })

  test("kill a process that waits for a lock: the server executes its statement after the lock is granted", async () => {
    const dies = { name: "client 0 dies waiting", run: ({ kill }: ScheduleControl) => kill(0) }
    const scenario = await scenarioOf({ uses: ["sql"], actors: () => [dies] }, waitsForRow)
    expect(await endsOf(scenario, "steps:1021")).toEqual(["3, died, fulfilled"])
  })

  test("kill the holder of a lock: its waiter gets the lock before the others continue", async () => {
    const scenario = await scenarioOf({ uses: ["sql"], actors: () => [crashOf(1)] }, waitsForRow)
    const [run] = await replay(scenario, "steps:102")
    expect(run?.steps.map(({ name }) => name)).toEqual(["client 1", "client 0", "client 1 dies"])
    expect(await endsOf(scenario, "steps:102")).toEqual(["4, fulfilled, died"])
  })

  test("cut a client off: its command fails without effect", async () => {
    const results: Array<ReadonlyArray<ClientResult<string>>> = []
    const scenario = await scenarioOf(
      {
        uses: ["sql"],
        clients: 1,
        actors: () => [cutOf(0)],
        check: async ({ sql }, ended) => {
          results.push(ended)
          const left = await numberOf(sql, "SELECT stock FROM items WHERE id = 1")
          const expected = ended[0]?.status === "fulfilled" ? 4 : 5
          return left === expected ? undefined : `${left} left.`
        }
      },
      async ({ sql }) => {
        await rowsOf(sql, "UPDATE items SET stock = stock - 1 WHERE id = 1")
        return "done"
      }
    )
    const withoutReset: typeof scenario = { ...scenario, reset: async () => {} }
    const [run] = await replay(withoutReset, "steps:1")
    expect(run?.violation).toBeUndefined()
    expect(results.map(([result]) => result?.status)).toEqual(["fulfilled", "rejected"])
  })
})

describe("an outcome that depends on more than the schedule", () => {
  test("is reported by depth-first search and by repeated random schedules", async () => {
    let calls = 0
    const scenario = await scenarioOf({ uses: ["redis"] }, async ({ redis }) => {
      await redis.get("a")
      await (calls++ % 3 === 0 ? redis.get("b") : redis.get("a"))
      return "done"
    })
    const searched = await explore(scenario, { strategy: "dfs", schedules: 20 })
    const walked = await explore(scenario, { strategy: "random", schedules: 20, repeatEvery: 2 })
    for (const exploration of [searched, walked]) {
      expect(exploration.nondeterminism?.count).toBeGreaterThan(0)
      expect(exploration.exhaustive).toBe(false)
      expect(() => expectExploration(exploration).safe()).toThrow(IncompleteExplorationError)
      expectExploration(exploration).safe({ allowNondeterminism: true })
    }
    expect(searched.nondeterminism?.first.expected).not.toBe(searched.nondeterminism?.first.actual)
  })
})

describe("expectExploration", () => {
  test("throws with the steps, the code that repeats them and a timeline", async () => {
    const timelineDirectory = mkdtempSync(join(tmpdir(), "timelines-"))
    const scenario = await scenarioOf(
      {
        name: "counter",
        uses: ["redis"],
        check: async ({ redis }) => ((await redis.get("a")) === "2" ? undefined : "One update was lost.")
      },
      async ({ redis }) => redis.set("a", Number(await redis.get("a")) + 1)
    )
    const exploration = await explore(scenario)
    let error: unknown
    try {
      expectExploration(exploration).safe({ timelineDirectory })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(ScheduleViolationError)
    const { message, code, timelinePath } = error as ScheduleViolationError
    expect(message).toContain("counter (fixed): One update was lost.")
    expect(message).toContain("1. client 0: GET a\n  2. client 1: GET a")
    expect(message).toContain('repeats as "steps:0110" (5 of 5 times)')
    expect(readFileSync(timelinePath, "utf8")).toContain("<b>3</b>SET a 1")
    rmSync(timelineDirectory, { recursive: true })
    const replayed = await replay(scenario, code, { times: 3 })
    expect(replayed.map(({ violation }) => violation)).toEqual(Array(3).fill("One update was lost."))
  })

  test("requires at least one judged schedule, and all of them on request", async () => {
    const scenario = await scenarioOf({ uses: ["redis"] }, async ({ redis }) => {
      for (let time = 0; time < 4; time++) await redis.incr("a")
      return "done"
    })
    const cutOff = await explore(scenario, { schedules: 3, maxSteps: 2 })
    expect(cutOff.truncated).toBe(3)
    expect(() => expectExploration(cutOff).safe()).toThrow(/no schedule came to its end/)
    const allCutOff = await explore(scenario, { strategy: "dfs", maxSteps: 2 })
    expect(allCutOff).toMatchObject({ schedules: 4, exhaustive: false })
    const some = await explore(scenario, { strategy: "dfs", schedules: 3 })
    expectExploration(some).safe()
    expect(() => expectExploration(some).safe({ exhaustive: true })).toThrow(/there are more/)
    expectExploration(await explore(scenario, { strategy: "dfs" })).safe({ exhaustive: true })
  })

  test("treats a rejected check as a violation", async () => {
    const scenario = await scenarioOf(
      { uses: ["redis"], check: () => Promise.reject(new Error("expected 1 to be 2")) },
      async ({ redis }) => String(await redis.incr("a"))
    )
    expect((await explore(scenario)).failure?.message).toBe("expected 1 to be 2")
  })
})

describe("a failing schedule", () => {
  test("is reported in its simplest form", async () => {
    const check: PlantedBug["check"] = async ({ redis }) =>
      (await redis.get("a")) === "3" ? undefined : "An update was lost."
    const scenario = await scenarioOf({ uses: ["redis"], clients: 3, check }, async ({ redis }) =>
      redis.set("a", Number(await redis.get("a")) + 1)
    )
    for (let seed = 1; seed <= 10; seed++) {
      const { failure } = await explore(scenario, { strategy: "random", seed, schedules: 20, replays: 0 })
      // Six steps, in three uninterrupted sequences without a lost update, and at least four with one.
      const [, steps = ""] = failure?.code.split(":") ?? []
      expect(steps).toHaveLength(6)
      expect(steps.match(/(.)\1*/g)).toHaveLength(4)
    }
  })
})

describe("replay", () => {
  test("refuses a text that is not a schedule", async () => {
    const scenario = await scenarioOf({ uses: ["redis"] }, async () => "done")
    await expect(replay(scenario, "0102")).rejects.toBeInstanceOf(InvalidScheduleCodeError)
  })
})

describe("after a schedule", () => {
  test("connections are reset, so that no transaction stays open", async () => {
    const scenario = await scenarioOf({ uses: ["sql"] }, async ({ sql }, number) => {
      await sql.beginTransaction()
      await sql.query("UPDATE items SET stock = 0 WHERE id = ?", [number + 1])
      throw new Error("forgot to roll back")
    })
    expect(await explore(scenario, { strategy: "dfs" })).toMatchObject({ exhaustive: true, schedules: 2 })
  })
})

describe("after an exploration", () => {
  test("the gate no longer listens", async () => {
    let port = 0
    const scenario = await scenarioOf({ uses: ["redis"] }, async ({ redis }) => {
      port = redis.options.port ?? 0
      return String(await redis.incr("a"))
    })
    await explore(scenario, { schedules: 1 })
    const client = new Redis({ port, lazyConnect: true, retryStrategy: () => null })
    client.on("error", () => {})
    await expect(client.connect()).rejects.toThrow()
  })
})
