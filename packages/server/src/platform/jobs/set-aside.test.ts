import { RedisUnavailable } from "@holdfast/locks"
import { Cause, Data, Effect, Exit } from "effect"
import type { RowDataPacket } from "mysql2"
import { describe, expect, test } from "vitest"
import type { Shop } from "../../../test/shop.ts"
import { useShop } from "../../../test/use-shop.ts"
import { runJob } from "../../../test/jobs.ts"
import { setAsideCleaner } from "./set-aside-cleaner.ts"
import { aside, attemptEach } from "./set-aside.ts"

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

  test("are none when there are no items", async () => {
    expect((await attempt("none", [], () => Effect.void)).exit).toEqual(Exit.succeed(0))
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

  test("wait ten minutes at most, however often they have failed", async () => {
    for (const failures of [12, 5_000]) {
      await shop.sql.query(
        "REPLACE INTO set_aside (job, item, reason, failures) VALUES ('hopeless', 'x', '', ?)",
        [failures]
      )
      await attempt("hopeless", ["x"], () => Effect.fail(new Error("never")))
      const [row] = await rowsOf("hopeless")
      expect(row).toMatchObject({ failures: failures + 1 })
      expect([598, 599, 600]).toContain(row!["pause_s"])
    }
    await endPauses("hopeless")
    await attempt("hopeless", ["x"], () => Effect.void)
  })

  test("are set aside with a reason of 500 characters at most, and with the fields of an error that has no message", async () => {
    await attempt("reasons", ["long"], () => Effect.fail(new Error("long ".repeat(1_000))))
    class Mute extends Data.TaggedError("Mute")<{ readonly sku: string }> {}
    await attempt("reasons", ["mute"], () => Effect.fail(new Mute({ sku: "tea" })))
    const [long, mute] = await rowsOf("reasons")
    expect(long!["reason"]).toHaveLength(500)
    expect(mute!["reason"]).toContain('"sku":"tea"')
  })

  test("are set aside for one job only", async () => {
    const fails = () => Effect.fail(new Error("not here"))
    for (const job of ["broken", "whole"]) await attempt(job, ["same"], fails)
    await attempt("broken", ["same"], fails)
    for (const job of ["whole", "new"])
      expect((await attempt(job, ["same"], () => Effect.void)).handled).toEqual(["same"])
    expect([await rowsOf("broken"), await rowsOf("whole")]).toMatchObject([[{ failures: 2 }], []])
  })

  test("come back after their pause, the longest waiting first, and no more than asked for", async () => {
    const cause = Cause.fail("not yet")
    const put = (job: string, item: string, pauseS: number) =>
      shop.servers[0].runtime.runPromise(aside.put(job, [{ item: Buffer.from(item), cause }], pauseS))
    await put("returning", "later", 60)
    await put("another job", "b", 0)
    for (const item of ["c", "b", "a"]) await put("returning", item, 0)
    await shop.sql.query(
      "UPDATE set_aside SET next_attempt_at = next_attempt_at - INTERVAL 10 SECOND WHERE job = 'returning' AND item = 'b'"
    )
    const due = (limit: number) => shop.servers[0].runtime.runPromise(aside.dueAgain("returning", limit))
    expect((await due(10)).map(String).toSorted()).toEqual(["a", "b", "c"])
    expect((await due(1)).map(String)).toEqual(["b"])
  })

  test("that are gone leave nothing behind: what no job came back to for an hour is deleted, events excepted", async () => {
    await shop.sql.query(
      `INSERT INTO set_aside (job, item, reason, next_attempt_at) VALUES
        ('leaving', 'gone', '', UTC_TIMESTAMP(3) - INTERVAL 61 MINUTE),
        ('leaving', 'due', '', UTC_TIMESTAMP(3) - INTERVAL 59 MINUTE),
        ('events for leaving', '1', '', UTC_TIMESTAMP(3) - INTERVAL 1 DAY)`
    )
    await runJob(shop.servers[0], setAsideCleaner)
    expect(await rowsOf("leaving")).toMatchObject([{ item: "due" }])
    expect(await rowsOf("events for leaving")).toMatchObject([{ item: "1" }])
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
    expect(await isReported()).toMatchObject([{ job: "reported", item: "broken", failures: 6 }])
    await shop.sql.query("UPDATE set_aside SET next_attempt_at = UTC_TIMESTAMP(3) - INTERVAL 25 HOUR")
    expect(await isReported()).toEqual([])
    await endPauses("reported")
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
