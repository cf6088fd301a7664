import { describe, expect, test } from "vitest"
import { forEachOf } from "./workers.ts"

/** Work whose items end when the test ends them. */
const controlled = () => {
  const begun: Array<number> = []
  const ends = new Map<number, { end: () => void; fail: (error: Error) => void }>()
  const work = (item: number) =>
    new Promise<void>((resolve, reject) => {
      begun.push(item)
      ends.set(item, { end: resolve, fail: reject })
    })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return { begun, ends, work, turn }
}

describe("workers", () => {
  test("process at most the given number of items at once, until all are done", async () => {
    const { begun, ends, turn, work } = controlled()
    const all = forEachOf([0, 1, 2, 3], 2, work)
    await turn()
    expect(begun).toEqual([0, 1])
    ends.get(1)?.end()
    await turn()
    expect(begun).toEqual([0, 1, 2])
    ends.get(0)?.end()
    ends.get(2)?.end()
    await turn()
    ends.get(3)?.end()
    await all
    expect(begun).toEqual([0, 1, 2, 3])
  })

  test("start no item after a failure, and wait for those in progress", async () => {
    const { begun, ends, turn, work } = controlled()
    const all = forEachOf([0, 1, 2, 3], 2, work)
    let settled = false
    const outcome = all.catch((error: Error) => error.message).finally(() => (settled = true))
    await turn()
    ends.get(0)?.fail(new Error("broken"))
    await turn()
    expect(settled).toBe(false)
    ends.get(1)?.end()
    expect(await outcome).toBe("broken")
    expect(begun).toEqual([0, 1])
  })

  test("stop when the signal aborts", async () => {
    const { begun, ends, turn, work } = controlled()
    const stop = new AbortController()
    const all = forEachOf([0, 1, 2], 1, work, stop.signal)
    await turn()
    stop.abort(new Error("enough"))
    ends.get(0)?.end()
    await expect(all).rejects.toThrow("enough")
    expect(begun).toEqual([0])
  })

  test("finish at once without items", () => forEachOf([], 8, () => Promise.reject(new Error("no"))))
})
