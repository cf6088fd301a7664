import { Presets, SingleBar } from "cli-progress"
import type { Progress } from "./run.ts"

export interface ShownProgress extends Progress {
  /** What the phase has come to so far, beside its numbers. */
  readonly tally: (text: string) => void
  /** A line of its own, above the bar. */
  readonly note: (line: string) => void
  readonly stop: () => void
}

/**
 * A bar on a terminal; a line every few seconds (or every `HOLDFAST_PROGRESS_MS`) elsewhere. Both on stderr, so that
 * stdout is the result's alone.
 */
export const showProgress = (): ShownProgress => (process.stderr.isTTY ? bar() : lines())

const bar = (): ShownProgress => {
  let current: SingleBar | undefined
  const stop = () => current?.stop()
  return {
    phase: (name, total) => {
      stop()
      current = new SingleBar(
        {
          format: `${name.padEnd(12)} {bar} {percentage}% | {value}/{total} | {duration_formatted} | {eta_formatted} left{tally}`,
          stream: process.stderr,
          etaBuffer: 500,
          hideCursor: true
        },
        Presets.shades_classic
      )
      current.start(total, 0, { tally: "" })
    },
    step: () => current?.increment(),
    tally: (text) => current?.update({ tally: ` | ${text}` }),
    note: (line) => {
      stop()
      process.stderr.write(`${line}\n`)
    },
    stop
  }
}

const DEFAULT_LINE_EVERY_MS = 5_000

const lines = (): ShownProgress => {
  const lineEveryMs = Number(process.env["HOLDFAST_PROGRESS_MS"]) || DEFAULT_LINE_EVERY_MS
  let phase = { name: "", total: 0, done: 0, tally: "", startedAt: performance.now() }
  const note = (line: string) => void process.stderr.write(`${line}\n`)
  const write = () => {
    const seconds = (performance.now() - phase.startedAt) / 1000
    const rate = seconds > 0.5 ? `, ${Math.round(phase.done / seconds)}/s` : ""
    note(`${phase.name}: ${phase.done}/${phase.total}${rate}${phase.tally}`)
  }
  const finish = () => {
    if (phase.name !== "") write()
    phase = { ...phase, name: "" }
  }
  const timer = setInterval(() => phase.name !== "" && write(), lineEveryMs)
  timer.unref()
  return {
    phase: (name, total) => {
      finish()
      phase = { name, total, done: 0, tally: "", startedAt: performance.now() }
    },
    step: () => void phase.done++,
    tally: (text) => void (phase.tally = ` | ${text}`),
    note,
    stop: () => {
      finish()
      clearInterval(timer)
    }
  }
}
