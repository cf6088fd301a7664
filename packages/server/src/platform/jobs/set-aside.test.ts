import { RedisUnavailable } from "@holdfast/locks"
import { Effect, Exit } from "effect"
import type { RowDataPacket } from "mysql2"
import { describe, expect, test } from "vitest"
import type { Shop } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"
import { attemptEach } from "./set-aside.ts"

describe("items that a job cannot handle", () => {
  let shop: Shop
  useShop({}, (opened) => {
    shop = opened
  })

  /** Handles items of a job by name, and returns those that were handled. */
  const attempt = async <E>(
    job: string,
    items: ReadonlyArray<string>,
    fault: (item: string) => Effect.Effect<void, E>
  ) => {
    const handled: Array<string> = []
    const exit = await shop.servers[0].runtime.runPromiseExit(
      attemptEach(items, {
        job,
        keyOf: (item) => Buffer.from(item),
        handle: (item) =>
          Effect.andThen(
            fault(item),
            Effect.sync(() => Math.min(handled.push(item), 1))
          ),
        concurrency: 2,
        withinMs: 200
      })
    )
    return { handled, exit }
  }
  const rowsOf = async (job: string) => {
    const [rows] = await shop.sql.query<Array<RowDataPacket>>(
      "SELECT CAST(item AS CHAR) AS item, failures, reason, TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(3), next_attempt_at) AS pause_s FROM set_aside WHERE job = ? ORDER BY item",
      [job]
    )
    return rows
  }
  const endPauses = (job: string) =>
    shop.sql.query("UPDATE set_aside SET next_attempt_at = UTC_TIMESTAMP(3) WHERE job = ?", [job])

  test("fail, die or take too long without keeping the others from being handled", async () => {
    const faults: Record<string, Effect.Effect<void, Error>> = {
      fails: Effect.fail(new Error("it fails")),
      dies: Effect.die(new Error("it dies")),
      hangs: Effect.never
    }
    const { exit, handled } = await attempt(
      "faults",
      ["fails", "one", "dies", "hangs", "two"],
      (item) => faults[item] ?? Effect.void
    )
    expect([exit, handled.toSorted()]).toEqual([Exit.succeed(2), ["one", "two"]])
    expect(await rowsOf("faults")).toMatchObject([
      { item: "dies", failures: 1, reason: expect.stringContaining("it dies") },
      { item: "fails", failures: 1, reason: expect.stringContaining("it fails") },
      { item: "hangs", failures: 1, reason: expect.stringContaining("Timeout") }
    ])
  })

  test("are tried again at once, then after pauses that double, and forgotten once they work", async () => {
    const fails = () => Effect.fail(new Error("not yet"))
    await attempt("pauses", ["late"], fails)
    for (const seconds of [1, 2, 4, 8]) {
      await attempt("pauses", ["late"], fails)
      const [row] = await rowsOf("pauses")
      expect([seconds, seconds - 1, seconds - 2]).toContain(row!["pause_s"])
      if (seconds > 1) expect((await attempt("pauses", ["late"], () => Effect.void)).handled).toEqual([])
      await endPauses("pauses")
    }
    expect((await attempt("pauses", ["late"], () => Effect.void)).handled).toEqual(["late"])
    expect(await rowsOf("pauses")).toEqual([])
  })

  test("are reported by the audit when they fail again and again", async () => {
    const isReported = async () => {
      const { checks } = await shop.verify()
      return checks.find(({ name }) => name === "jobs")!.problems
    }
    for (let failures = 1; failures <= 6; failures += 1) {
      expect(await isReported()).toEqual([])
      await attempt("reported", ["broken"], () => Effect.die(new Error("always")))
      await endPauses("reported")
    }
    expect(await isReported()).toMatchObject([{ job: "reported", failures: 6 }])
    await attempt("reported", ["broken"], () => Effect.void)
    expect(await isReported()).toEqual([])
  })

  test("are none of theirs while Redis serves no caller: the run fails and is repeated", async () => {
    const away = new RedisUnavailable({ cause: new Error("Connection is closed.") })
    const { exit } = await attempt("away", ["one"], () => Effect.fail(away))
    expect(exit).toEqual(Exit.fail(away))
    const refused = new RedisUnavailable({
      cause: Object.assign(new Error("WRONGTYPE"), { name: "ReplyError" })
    })
    await attempt("away", ["two"], () => Effect.fail(refused))
    expect(await rowsOf("away")).toMatchObject([{ item: "two" }])
    await attempt("away", ["two"], () => Effect.void)
  })
})
