/** How one caller's call ended. `durationMs` counts from the common start. */
export type Outcome<A> = FulfilledOutcome<A> | RejectedOutcome

/** A call that fulfilled. */
export interface FulfilledOutcome<A> {
  readonly status: "fulfilled"
  readonly caller: number
  readonly durationMs: number
  readonly value: A
}

/** A call that rejected. */
export interface RejectedOutcome {
  readonly status: "rejected"
  readonly caller: number
  readonly durationMs: number
  readonly reason: unknown
}

const stringField = (value: unknown, field: string): string | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const found: unknown = Reflect.get(value, field)
  return typeof found === "string" && found !== "" ? found : undefined
}

/**
 * The tag under which an outcome is counted: the `_tag` of a value or error, else an error's `code` or `name`, else the
 * string or boolean itself, else "fulfilled" or "rejected".
 */
export const tagOf = (outcome: Outcome<unknown>): string => {
  const subject = outcome.status === "fulfilled" ? outcome.value : outcome.reason
  const tag = stringField(subject, "_tag")
  if (tag !== undefined) return tag
  if (typeof subject === "string" || typeof subject === "boolean") return String(subject)
  if (outcome.status === "fulfilled") return "fulfilled"
  return stringField(subject, "code") ?? stringField(subject, "name") ?? "rejected"
}

/** Groups outcomes by their tag, the most frequent first. */
export const groupByTag = <A>(
  outcomes: ReadonlyArray<Outcome<A>>
): Map<string, ReadonlyArray<Outcome<A>>> => {
  const groups = Map.groupBy(outcomes, tagOf)
  return new Map([...groups].toSorted(([, left], [, right]) => right.length - left.length))
}

/** The counts in one line, such as "sold 50, OutOfStock 150". */
export const describeCounts = (outcomes: ReadonlyArray<Outcome<unknown>>): string =>
  [...groupByTag(outcomes)].map(([tag, group]) => `${tag} ${group.length}`).join(", ") || "no outcomes"
