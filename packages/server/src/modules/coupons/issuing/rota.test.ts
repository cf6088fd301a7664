import { CouponId } from "@holdfast/domain"
import { expect, test } from "vitest"
import { makeRota } from "./rota.ts"

const idOf = (n: number) => CouponId.make(`01890a5d-ac96-774b-bcce-${String(n).padStart(12, "0")}`)

/** A rota with a clock of its own, over campaigns by their numbers and how many of their coupons are issued. */
const start = () => {
  let nowMs = 0
  const rota = makeRota(() => nowMs)
  const turn = (issued: Readonly<Record<number, number>>, asked: ReadonlyArray<number> = []) =>
    rota(
      Object.entries(issued).map(([n, count]) => ({ id: idOf(Number(n)), issued: count })),
      new Set(asked.map(idOf))
    ).map(({ id }) => Number(id.slice(-12)))
  return { turn, advance: (ms: number) => void (nowMs += ms) }
}

test("the first turn has all campaigns, and a new campaign is due at once", () => {
  const { turn } = start()
  expect(turn({ 1: 0, 2: 0, 3: 7 })).toEqual([1, 2, 3])
  expect(turn({ 1: 0, 2: 0, 3: 7, 4: 9 })).toEqual([4, 1])
})

test("campaigns that nobody uses take turns, one at a time, those that waited longest first", () => {
  const { turn } = start()
  const idle = { 1: 0, 2: 0, 3: 0 }
  turn(idle)
  expect(Array.from({ length: 7 }, () => turn(idle))).toEqual([[1], [2], [3], [1], [2], [3], [1]])
})

// Guarantees: whatever the others do, no campaign is left out for ever.
test("a campaign gets its turn also when the number of idle ones changes all the time", () => {
  const { turn } = start()
  const idle = { 1: 0, 2: 0, 3: 0, 4: 0 }
  turn(idle)
  const looked = Array.from({ length: 8 }, (_, n) => turn(idle, n % 2 === 0 ? [1] : []))
  for (const n of [2, 3, 4]) expect(looked.filter((due) => due.includes(n)).length).toBeGreaterThan(1)
})

test("a campaign that this process is asked for is due each time, beside one of the others", () => {
  const { turn } = start()
  const running = { 1: 0, 2: 0, 3: 0 }
  turn(running)
  expect([turn(running, [2]), turn(running, [2]), turn(running, [2, 3])]).toEqual([
    [2, 1],
    [2, 3],
    [2, 3, 1]
  ])
})

test("a campaign whose coupons another process issues is due for ten seconds", () => {
  const { advance, turn } = start()
  turn({ 1: 0, 2: 0, 3: 0 })
  const sold = { 1: 0, 2: 0, 3: 1 }
  expect(turn(sold)).toEqual([3, 1])
  advance(9_999)
  expect(turn(sold)).toEqual([3, 2])
  advance(1)
  expect([turn(sold), turn(sold), turn(sold)]).toEqual([[1], [2], [3]])
})

test("a campaign that has ended is forgotten, and due at once if it comes back", () => {
  const { turn } = start()
  turn({ 1: 0, 2: 0 })
  expect(turn({ 1: 0 })).toEqual([1])
  expect(turn({ 1: 0, 2: 0 })).toEqual([2, 1])
})

test("without campaigns nobody has a turn", () => {
  expect(start().turn({}, [1])).toEqual([])
})
