import { Presets, SingleBar } from "cli-progress"

/** Shows how far a command is. */
export interface Progress {
  /** Begins a phase of so many steps; the one before has ended. */
  readonly phase: (name: string, total: number) => void
  readonly step: () => void
  /** Sets the text that follows the phase's numbers. */
  readonly tally: (text: string) => void
  /** Prints a line of its own. */
  readonly note: (line: string) => void
  readonly stop: () => void
}

/** What a measurement is given to report its progress, a line at a time. */
export interface Reporting {
  readonly onProgress: (line: string) => void
}

/**
 * Progress on stderr: a bar on a terminal, elsewhere a line every five seconds, or every `HOLDFAST_PROGRESS_MS`
 * milliseconds.
 */
export const showProgress = (): Progress => (process.stderr.isTTY ? bar() : lines())

const bar = (): Progress => {
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

const lines = (): Progress => {
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
