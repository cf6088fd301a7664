import {
  situation,
  stay,
  type ChoicePoint,
  type Divergence,
  type Proposal,
  type Strategy
} from "./strategy.ts"

interface Node {
  readonly situation: string
  /** The choices left, in the order in which they are tried; the first is the current one. */
  readonly untried: Array<number>
}

/**
 * All schedules, depth first. The first one interrupts no client; each later one differs as late as possible. A repeated
 * prefix that offers other candidates is a {@link Divergence}.
 */
export const depthFirst = (): Strategy => {
  let path: Array<Node> = []
  let started = false
  const divergences: Array<Divergence> = []

  const choose = (point: ChoicePoint): number => {
    const now = situation(point)
    const known = path[point.depth]
    if (known !== undefined && known.situation !== now) {
      divergences.push({ depth: point.depth, expected: known.situation, actual: now })
      path = path.slice(0, point.depth)
    }
    const node = path[point.depth] ?? { situation: now, untried: inOrder(point) }
    path[point.depth] = node
    return node.untried[0] ?? stay(point)
  }

  /** Drops exhausted choices from the end; the rest is the beginning of the next schedule. */
  const advance = (): boolean => {
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      node.untried.shift()
      if (node.untried.length > 0) return true
      path.pop()
    }
    return false
  }

  const next = (): Proposal | undefined => {
    if (started && !advance()) return undefined
    started = true
    return {
      choose,
      finished: (steps) => {
        path = path.slice(0, steps)
      }
    }
  }

  return { next, divergences: () => divergences }
}

const inOrder = (point: ChoicePoint): Array<number> => {
  const first = stay(point)
  return [first, ...point.candidates.map(({ actor }) => actor).filter((actor) => actor !== first)]
}
