/** What the soak checks. */
export type CheckName = "books" | "exactly N" | "deadline" | "answer" | "recovery" | "process" | "memory"

/** A failed check. */
export interface Finding {
  readonly check: CheckName
  /** The latest fault that had begun; `none` before the first one. */
  readonly fault: string
  /** Milliseconds from the start of the run. */
  readonly atMs: number
  readonly detail: string
  /** How often the same was found during and after that fault. */
  readonly times: number
}

export interface FindingsOptions {
  readonly seed: number
  readonly nowMs: () => number
  readonly fault: () => string
  readonly onFinding: (line: string) => void
}

/** Collects failed checks. The same finding during one fault is kept once, with a count. */
export class Findings {
  /** Off while the servers warm up: only then may an answer be late. */
  isWatching = false
  readonly #options: FindingsOptions
  readonly #found = new Map<string, Finding>()

  constructor(options: FindingsOptions) {
    this.#options = options
  }

  add(check: CheckName, detail: string): void {
    if (!this.isWatching) return
    const { fault, nowMs, onFinding, seed } = this.#options
    const key = [fault(), check, detail].join("\n")
    const known = this.#found.get(key)
    if (known !== undefined) return void this.#found.set(key, { ...known, times: known.times + 1 })
    const finding = { check, fault: fault(), atMs: Math.round(nowMs()), detail, times: 1 }
    this.#found.set(key, finding)
    onFinding(`FAILED ${findingText(finding, seed)}`)
  }

  get all(): ReadonlyArray<Finding> {
    return [...this.#found.values()]
  }
}

/** A failed check on one line: which, under which fault, when, and how to repeat it. */
export const findingText = ({ atMs, check, detail, fault, times }: Finding, seed: number): string =>
  `${check}: ${detail}${times > 1 ? ` (${times} times)` : ""}; fault ${fault}, at ${(atMs / 1_000).toFixed(1)} s, seed ${seed}`
