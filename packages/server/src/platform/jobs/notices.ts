import { Context, Effect, Layer } from "effect"
import { onCommit, type Tx } from "../db/transaction.ts"

/** Waits for the notices of one topic. A notice that comes while nobody waits is kept: one, however many come. */
export interface Bell {
  readonly rung: Effect.Effect<void>
}

/**
 * Tells the jobs of this process that there is something to do, so that they need not look all the time. A notice may be
 * missed, by a process whose jobs are off for instance: every job also looks unasked, only less often.
 */
export const JobNotices = Context.Reference<{
  readonly give: (topic: string) => void
  readonly makeBell: (topic: string) => Bell
}>("@holdfast/server/JobNotices", {
  defaultValue: () => ({ give: () => {}, makeBell: () => ({ rung: Effect.never }) })
})

interface BellState {
  isRung: boolean
  wake: (() => void) | undefined
}

const makeNotices = () => {
  const bells = new Map<string, Set<BellState>>()
  const ring = (bell: BellState) => {
    bell.isRung = true
    bell.wake?.()
  }
  return {
    give: (topic: string) => bells.get(topic)?.forEach(ring),
    makeBell: (topic: string): Bell => {
      const bell: BellState = { isRung: false, wake: undefined }
      bells.set(topic, (bells.get(topic) ?? new Set()).add(bell))
      return {
        rung: Effect.callback((resume) => {
          bell.wake = () => {
            bell.isRung = false
            bell.wake = undefined
            resume(Effect.void)
          }
          if (bell.isRung) bell.wake()
          return Effect.sync(() => void (bell.wake = undefined))
        })
      }
    }
  }
}

/** The notices of one server. */
export const jobNoticesLayer: Layer.Layer<never> = Layer.sync(JobNotices, makeNotices)

/** Gives a notice once the open transaction has committed. */
export const noticeOnCommit = (topic: string): Effect.Effect<void, never, Tx> =>
  Effect.flatMap(JobNotices, ({ give }) => onCommit(() => give(topic)))
