import type { RedisClient } from "./client.ts"

/** A Lua script, and how many of its arguments are keys. */
export interface ScriptDefinition {
  readonly numberOfKeys: number
  readonly lua: string
}

type TupleOf<Length extends number, Tuple extends ReadonlyArray<string> = []> = number extends Length
  ? ReadonlyArray<string>
  : Tuple["length"] extends Length
    ? Tuple
    : TupleOf<Length, readonly [...Tuple, string]>

/** Runs a script: its keys, then its other arguments. Resolves to the reply, which the script alone knows the type of. */
export type RunScript<Keys extends number> = <Reply = unknown>(
  keys: TupleOf<Keys>,
  ...args: ReadonlyArray<string | number>
) => Promise<Reply>

type Command = (...keysAndArgs: ReadonlyArray<string | number>) => Promise<never>

/**
 * Registers scripts on a client under `<prefix>.<name>` and gives a function for each. A script is sent by its digest,
 * and in full to a server that does not know it yet.
 */
export const defineScripts = <const Definitions extends { readonly [name: string]: ScriptDefinition }>(
  client: RedisClient,
  prefix: string,
  definitions: Definitions
): { readonly [Name in keyof Definitions]: RunScript<Definitions[Name]["numberOfKeys"]> } => {
  const run = ([name, { lua, numberOfKeys }]: [string, ScriptDefinition]) => {
    const command = `${prefix}.${name}`
    client.defineCommand(command, { lua, numberOfKeys })
    const send = (client as unknown as { readonly [name: string]: Command })[command]!.bind(client)
    const runScript: RunScript<number> = (keys, ...args) => send(...keys, ...args)
    return [name, runScript]
  }
  return Object.fromEntries(Object.entries(definitions).map(run)) as {
    readonly [Name in keyof Definitions]: RunScript<Definitions[Name]["numberOfKeys"]>
  }
}
