import { settler, type Settler } from "../race/deadline.ts"
import type { Command } from "./dialogue.ts"
import { type RandomStream, randomStream } from "./random.ts"

/** Which commands a rule is about: a RegExp on `command.text`, or a function. */
export type CommandMatch = RegExp | ((command: Command) => boolean)

/**
 * "before": the server never sees the command. "after": the server has executed it and its reply has arrived at the
 * proxy, but the client does not get it.
 */
export type When = "before" | "after"

/** How the client's side is ended: by FIN, by RST, or not at all while the server's side is dead. */
export type CutHow = "close" | "reset" | "halfOpen"

export interface RuleOptions {
  readonly when: When
  /** All commands unless told. */
  readonly match?: CommandMatch
  /** Fires first at the nth match, counted over all connections since the rule was made; 1 unless told. */
  readonly nth?: number
  /** For `fired`, and for how long a command is held; 10 s unless told. A rule that did not fire is disarmed then. */
  readonly deadlineMs?: number
  /** Only commands of this connection. */
  readonly connection?: number
}

export interface CutOptions extends RuleOptions {
  /** "close" unless told. */
  readonly how?: CutHow
  /** Fires at this many matches from the nth on; 1 unless told, without end under `chance`. */
  readonly times?: number
  /**
   * Fires at a match from the nth on only with this probability (0 to 1), drawn from the proxy's seed. Such a rule
   * has a deadline only when it is told one.
   */
  readonly chance?: number
}

/** When and for which command a rule fired. */
export interface Firing {
  readonly connection: number
  readonly command: Command
  /** Since the proxy was started. */
  readonly atMs: number
}

export interface RuleHandle {
  /** The first firing; rejects with `RuleNotFired` at the deadline and when the proxy is closed. */
  readonly fired: Promise<Firing>
  /** How many commands matched while it was armed, and how often it fired. */
  readonly matched: number
  readonly firings: number
  /** Disarms the rule; a `fired` that still waits rejects. */
  remove(): void
}

export interface HoldHandle extends RuleHandle {
  /** Lets the command (or its reply) that is held go on, and disarms the rule. */
  release(): void
}

/** No command came that a rule waited for; the message tells which commands did come. */
export class RuleNotFired extends Error {
  readonly _tag = "RuleNotFired"
  readonly matched: number

  constructor(rule: string, matched: number, why: string, seen: string) {
    super(`${rule} did not fire ${why} (${matched} commands matched); the proxy saw: ${seen}`)
    this.name = "RuleNotFired"
    this.matched = matched
  }
}

export type Action =
  | { readonly kind: "cut"; readonly how: CutHow }
  | { readonly kind: "hold"; readonly held: Settler<void> }

export interface RuleContext {
  readonly seed: number | string
  readonly now: () => number
  /** What the proxy has seen, in one line, for the error of a rule that did not fire. */
  readonly describeSeen: () => string
}

/** An armed rule: counts its matches and says when it is its turn. */
export class Rule implements RuleHandle {
  readonly when: When
  readonly action: Action
  readonly deadlineMs: number
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
    this.deadlineMs = options.deadlineMs ?? 10_000
    const isBounded = options.chance === undefined || options.deadlineMs !== undefined
    if (isBounded)
      this.#timer = setTimeout(() => this.disarm(`within ${this.deadlineMs} ms`), this.deadlineMs)
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
   * Counts the command; true when the rule's action is due for it. Asked once a command, in order of arrival. When
   * another rule has `taken` the command, this one's turn is the next match.
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

  /** Why somebody has to hear that it never fired: it had to, and its maker did not take it back. Else undefined. */
  get overdue(): string | undefined {
    const mayNotFire = this.#options.chance !== undefined || this.#takenBack
    if (mayNotFire || this.#firings > 0) return undefined
    return `${this.#name} never fired (${this.#matched} commands matched)`
  }

  /** True when it can neither fire nor fail any more. */
  get isFinished(): boolean {
    return !this.#armed || this.#firings >= this.#times
  }

  get #times(): number {
    return this.#options.times ?? (this.#options.chance === undefined ? 1 : Infinity)
  }

  /** Notes that the action was carried out. */
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

  /** A stream a connection: what one connection draws does not depend on the traffic of the others. */
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
