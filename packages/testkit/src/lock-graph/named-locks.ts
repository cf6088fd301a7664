import type { Command } from "../faults/dialogue.ts"
import type { LockGraph } from "./lock-graph.ts"

const GET_LOCK = /\bGET_LOCK\s*\(\s*'([^']+)'/gi
const RELEASE_LOCK = /\bRELEASE_LOCK\s*\(\s*'([^']+)'/gi

/**
 * Reads named locks from the GET_LOCK statements of a SQL client whose text contains the name. An answered GET_LOCK
 * counts as granted, because one that timed out requested the lock all the same.
 */
export class NamedLocks {
  readonly #graph: LockGraph

  constructor(graph: LockGraph) {
    this.#graph = graph
  }

  sends(owner: string, { text }: Command): void {
    for (const lock of names(GET_LOCK, text)) this.#graph.requests(owner, lock)
  }

  answered(owner: string, { text }: Command): void {
    for (const lock of names(GET_LOCK, text)) this.#graph.acquired(owner, lock)
    for (const lock of names(RELEASE_LOCK, text)) this.#graph.released(owner, lock)
    if (/\bRELEASE_ALL_LOCKS\b/i.test(text)) {
      for (const lock of this.#graph.heldBy(owner))
        if (lock.startsWith(PREFIX)) this.#graph.released(owner, lock)
    }
  }
}

const PREFIX = "named "

const names = (pattern: RegExp, text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(pattern), ([, name = ""]) => PREFIX + name)
