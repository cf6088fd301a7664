import { actorOf, choiceOf, MAX_ACTORS } from "./choice.ts"
import { scripted } from "./strategy/scripted.ts"
import { pct, randomWalk } from "./strategy/seeded.ts"
import type { Chooser } from "./strategy/strategy.ts"

const LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZ"
const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

/** `steps:010A2`: client 0, client 1, client 0 on the second of its ready connections, client 2. */
export const encodeSteps = (choices: ReadonlyArray<number>): string =>
  `steps:${choices.map((choice) => `${DIGITS.charAt(actorOf(choice))}${letterOf(choice)}`).join("")}`

const letterOf = (choice: number): string => LETTERS.charAt(Math.floor(choice / MAX_ACTORS)).trim()

const choicesOf = (steps: string): ReadonlyArray<number> =>
  (steps.match(/.[A-Z]?/g) ?? []).map((step) =>
    choiceOf(DIGITS.indexOf(step.charAt(0)), LETTERS.indexOf(step.charAt(1) || " "))
  )

export const encodePct = (depth: number, steps: number, seed: number): string =>
  `pct:${depth}:${steps}:${seed}`

export const encodeRandomWalk = (seed: number): string => `random:${seed}`

/**
 * The chooser that repeats the schedule with this code.
 *
 * @throws InvalidScheduleCodeError when the code has another form
 */
export const decodeSchedule = (code: string, actors: number): Chooser => {
  const steps = /^steps:((?:[0-9a-z][A-Z]?)*)$/.exec(code)?.[1]
  if (steps !== undefined) return scripted({ actors: choicesOf(steps) })
  const walk = /^random:(\d+)$/.exec(code)?.[1]
  if (walk !== undefined) return randomWalk(Number(walk))
  const [, depth, length, seed] = /^pct:(\d+):(\d+):(\d+)$/.exec(code) ?? []
  if (seed === undefined) throw new InvalidScheduleCodeError(code)
  return pct({ seed: Number(seed), depth: Number(depth), steps: Number(length), actors })
}

/** The text is not the code of a schedule: `steps:…`, `random:seed` or `pct:depth:steps:seed`. */
export class InvalidScheduleCodeError extends Error {
  readonly _tag = "InvalidScheduleCode"
  readonly code: string

  constructor(code: string) {
    super(`"${code}" is no schedule: expected steps:0102, random:7 or pct:3:12:7.`)
    this.name = "InvalidScheduleCodeError"
    this.code = code
  }
}
