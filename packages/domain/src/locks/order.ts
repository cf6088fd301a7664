import { type LockPolicy, type LockScope, type LockScopeDefinition, placeScope } from "./scope.ts"

/** The names of a tuple of definitions, in order. */
export type NamesOf<Definitions extends ReadonlyArray<LockScopeDefinition>> = {
  readonly [I in keyof Definitions]: Definitions[I]["name"]
}

type SubjectOf<D> = D extends { readonly subject: (subject: infer S) => string } ? S : never
type ModeOf<D> = D extends { readonly mode: infer M extends LockPolicy["mode"] } ? M : never
type FencedOf<D> = D extends { readonly fenced: true } ? true : false

/** The scopes of an order, by name. */
export type ScopesOf<Definitions extends ReadonlyArray<LockScopeDefinition>> = {
  readonly [D in Definitions[number] as D["name"]]: LockScope<
    D["name"],
    NamesOf<Definitions>,
    SubjectOf<D>,
    ModeOf<D>,
    FencedOf<D>
  >
}

/** All locks of a program and the order in which they may be taken. */
export interface LockOrder<
  Definitions extends ReadonlyArray<LockScopeDefinition> = ReadonlyArray<LockScopeDefinition>
> {
  /** Lets another order extend this one: `defineLockOrder([...mine, ...commerceLocks.definitions])`. */
  readonly definitions: Definitions
  /** Outermost first. */
  readonly names: NamesOf<Definitions>
  readonly scopes: ScopesOf<Definitions>
}

/** Defines a lock scope and keeps the literal types of its name, mode and fence, and the type of its subject. */
export const lockScope = <
  const Name extends string,
  Subject,
  const Mode extends LockPolicy["mode"],
  const Fenced extends boolean = false
>(
  definition: LockScopeDefinition<Name, Subject, Mode, Fenced>
): LockScopeDefinition<Name, Subject, Mode, Fenced> & { readonly fenced: Fenced } => ({
  ...definition,
  fenced: (definition.fenced ?? false) as Fenced
})

/**
 * Puts the locks of a program into one order, outermost first: while a lock is held, only later ones may be taken.
 * Callers that follow one total order cannot wait for each other in a cycle, so they cannot deadlock (Havender, 1968).
 *
 * Throws `RangeError` if two scopes share a name or their keys could be confused.
 */
export const defineLockOrder = <const Definitions extends ReadonlyArray<LockScopeDefinition>>(
  definitions: Definitions
): LockOrder<Definitions> => {
  const names = definitions.map(({ name }) => name)
  assertDistinct(definitions)
  return {
    definitions,
    names: names as unknown as NamesOf<Definitions>,
    scopes: Object.fromEntries(
      definitions.map((definition) => [definition.name, placeScope(definition, names)])
    ) as ScopesOf<Definitions>
  }
}

const assertDistinct = (definitions: ReadonlyArray<LockScopeDefinition>): void => {
  for (const [index, a] of definitions.entries()) {
    if (a.prefix === "") throw new RangeError(`lock '${a.name}' has an empty prefix`)
    for (const b of definitions.slice(index + 1)) {
      if (a.name === b.name) throw new RangeError(`two locks are named '${a.name}'`)
      if (a.prefix.startsWith(b.prefix) || b.prefix.startsWith(a.prefix)) {
        throw new RangeError(
          `keys of '${a.name}' and '${b.name}' can be mistaken: '${a.prefix}', '${b.prefix}'`
        )
      }
    }
  }
}
