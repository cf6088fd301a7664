import { settler, type Settler } from "../internal/promises.ts"
import type { Command } from "./dialogue.ts"
import { type RandomStream, randomStream } from "../internal/random.ts"

/** Selects commands: a RegExp on `command.text`, or a function. */
export type CommandMatch = RegExp | ((command: Command) => boolean)

/**
 * "before": the server has not received the command. "after": the server has executed it and the proxy has its reply,
 * but the client does not.
 */
export type When = "before" | "after"

/** How the client's side ends: by FIN, by RST, or not at all ("halfOpen": only the server's side closes). */
export type CutHow = "close" | "reset" | "halfOpen"

/** Which command a rule is about. */
export interface RuleOptions {
  readonly when: When
  /** Default: all commands. */
  readonly match?: CommandMatch
  /** Fires first at the nth match, counted over all connections since the rule was made. Default 1. */
  readonly nth?: number
  /** Deadline of `fired`, at which an unfired rule is disarmed, and longest time of a hold. Default 10,000. */
  readonly timeoutMs?: number
  /** Only commands of the connection with this number. */
  readonly connection?: number
}

/** Which command's connection to cut, and how. */
export interface CutOptions extends RuleOptions {
  /** Default "close". */
  readonly how?: CutHow
  /** Fires at this many matches from the nth on. Default 1, or unlimited with a `chance`. */
  readonly times?: number
  /**
   * Probability (0 to 1) of firing at each match from the nth on, drawn from the proxy's seed. Such a rule has no
   * deadline unless `timeoutMs` is set.
   */
  readonly chance?: number
}

/** When and for which command a rule fired. */
export interface Firing {
  readonly connection: number
  readonly command: Command
  /** Milliseconds since the proxy started. */
  readonly atMs: number
}

/** A rule that was set. */
export interface RuleHandle {
  /** The first firing. Rejects with `RuleNotFired` at the deadline and when the proxy closes. */
  readonly fired: Promise<Firing>
  /** How many commands have matched while the rule was armed. */
  readonly matched: number
  /** How often the rule has fired. */
  readonly firings: number
  /** Disarms the rule. A pending `fired` rejects. */
  remove(): void
}

/** A rule that holds a command. */
export interface HoldHandle extends RuleHandle {
  /** Lets the held command or reply continue, and disarms the rule. */
  release(): void
}

/** No command matched a rule in time. The message lists the commands that the proxy saw. */
export class RuleNotFired extends Error {
  readonly _tag = "RuleNotFired"
  readonly matched: number

  constructor(rule: string, matched: number, why: string, seen: string) {
    super(`${rule} did not fire ${why} (${matched} commands matched); the proxy saw: ${seen}`)
    this.name = "RuleNotFired"
    this.matched = matched
  }
}

type Action =
  | { readonly kind: "cut"; readonly how: CutHow }
  | { readonly kind: "hold"; readonly held: Settler<void> }

interface RuleContext {
  readonly seed: number | string
  readonly now: () => number
  /** What the proxy has seen, in one line, for the error of a rule that did not fire. */
  readonly describeSeen: () => string
}

/** A rule that counts its matches and knows when it is due. */
export class Rule implements RuleHandle {
  readonly when: When
  readonly action: Action
  readonly timeoutMs: number
  readonly #options: CutOptions
  readonly #context: RuleContext
  readonly #fired = settler<Firing>()
  readonly #draws = new Map<number, RandomStream>()
  readonly #timer: NodeJS.Timeout | undefined
  readonly #name: string
  #matched = 0
  #due = 0
  #firings = 0
  #armed = true
  #takenBack = false

  constructor(name: string, action: Action, options: CutOptions, context: RuleContext) {
    this.when = options.when
    this.action = action
    this.#options = options
    this.#context = context
    this.#name = `${name} ${options.when} ${String(options.match ?? "any command")}, nth ${options.nth ?? 1},`
    this.timeoutMs = options.timeoutMs ?? 10_000
    const isBounded = options.chance === undefined || options.timeoutMs !== undefined
    if (isBounded) this.#timer = setTimeout(() => this.disarm(`within ${this.timeoutMs} ms`), this.timeoutMs)
  }

  get fired(): Promise<Firing> {
    return this.#fired.promise
  }
  get matched(): number {
    return this.#matched
  }
  get firings(): number {
    return this.#firings
  }

  /**
   * Counts the command and returns whether the rule is due for it. Called once per command, in order of arrival. When
   * another rule has `taken` the command, this one fires at its next match.
   */
  isDue(command: Command, connection: number, taken: boolean): boolean {
    const { nth = 1, chance } = this.#options
    if (!this.#armed || (this.#options.connection ?? connection) !== connection) return false
    if (!matches(command, this.#options.match)) return false
    this.#matched += 1
    if (taken || this.#matched < nth || this.#due >= this.#times) return false
    if (chance !== undefined && this.#draw(connection) >= chance) return false
    this.#due += 1
    return true
  }

  /** A message when the rule should have fired and has not; undefined for a rule with a `chance` or a removed one. */
  get overdue(): string | undefined {
    const mayNotFire = this.#options.chance !== undefined || this.#takenBack
    if (mayNotFire || this.#firings > 0) return undefined
    return `${this.#name} never fired (${this.#matched} commands matched)`
  }

  /** Whether the rule can neither fire nor fail any more. */
  get isFinished(): boolean {
    return !this.#armed || this.#firings >= this.#times
  }

  get #times(): number {
    return this.#options.times ?? (this.#options.chance === undefined ? 1 : Infinity)
  }

  /** Records that the action was carried out. */
  fire(connection: number, command: Command): void {
    clearTimeout(this.#timer)
    this.#firings += 1
    this.#fired.resolve({ connection, command, atMs: this.#context.now() })
  }

  disarm(why: string): void {
    this.#armed = false
    clearTimeout(this.#timer)
    if (this.action.kind === "hold") this.action.held.resolve()
    const pending = this.#due > this.#firings ? `${why}, its command was not answered yet` : why
    this.#fired.reject(new RuleNotFired(this.#name, this.#matched, pending, this.#context.describeSeen()))
  }

  remove(): void {
    this.#takenBack = true
    this.disarm("before it was removed")
  }

  release(): void {
    this.#takenBack = true
    this.disarm("before it was released")
  }

  /** One stream per connection, so that the draws of one do not depend on the traffic of the others. */
  #draw(connection: number): number {
    const stream =
      this.#draws.get(connection) ?? randomStream(this.#context.seed, `${this.#name} ${connection}`)
    this.#draws.set(connection, stream)
    return stream()
  }
}

const matches = (command: Command, match: CommandMatch | undefined): boolean => {
  if (typeof match === "function") return match(command)
  // `search` ignores the state that a global RegExp carries.
  return command.executes && (match === undefined || command.text.search(match) !== -1)
}
