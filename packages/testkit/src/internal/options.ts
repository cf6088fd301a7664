/** An option that does not exist: what it was meant to do would silently not happen. */
export class UnknownOption extends TypeError {
  readonly _tag = "UnknownOption"
  readonly option: string

  constructor(what: string, option: string, known: ReadonlyArray<string>) {
    const nearest = known.toSorted((a, b) => distance(option, a) - distance(option, b))[0]
    const isNear = nearest !== undefined && distance(option, nearest) <= 4
    const hint = isNear ? `; did you mean ${nearest}?` : "."
    super(`${what} has no option ${option}${hint} Its options are ${known.join(", ")}.`)
    this.name = "UnknownOption"
    this.option = option
  }
}

/** Every option of a type, so that none can be forgotten. */
export type OptionNames<Options> = Readonly<Record<keyof Required<Options>, true>>

/**
 * Refuses options that do not exist, and names the nearest one that does.
 *
 * @throws UnknownOption
 */
export function assertOptions<Options extends object>(
  what: string,
  options: Options,
  names: OptionNames<Options>
): void {
  const known = Object.keys(names)
  const unknown = Object.keys(options).find((option) => !known.includes(option))
  if (unknown !== undefined) throw new UnknownOption(what, unknown, known)
}

/** The number of letters to insert, remove or replace (Levenshtein), without regard to case. */
function distance(from: string, to: string): number {
  const [a, b] = [from.toLowerCase(), to.toLowerCase()]
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of a.split("").entries()) {
    const next = [i + 1]
    for (const [j, other] of b.split("").entries())
      next.push(
        Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1))
      )
    row = next
  }
  return row.at(-1) ?? 0
}
