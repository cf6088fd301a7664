import { spawnSync } from "node:child_process"
import { rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, "../../..")

const misuses = `
import { defineLockOrder, lockScope } from "@holdfast/domain/locks"
import { Context, Effect } from "effect"
import { makeInTransaction, type TransactionBackend } from "./transaction.ts"
import { withLock } from "./with-lock.ts"

const subject = (id: string) => id
const { order, user } = defineLockOrder([
  lockScope({ name: "user", prefix: "user:", subject, mode: "pessimistic" }),
  lockScope({ name: "order", prefix: "order:", subject, mode: "optimistic" })
]).scopes
class Tx extends Context.Service<Tx, number>()("Tx") {}
class Transactions extends Context.Service<Transactions, TransactionBackend<number, never>>()("Transactions") {}
const inTransaction = makeInTransaction(Tx, Transactions)

export const wrongOrder = withLock(order, "o1")(withLock(user, "u1")(Effect.void))
export const lockInside = inTransaction(withLock(user, "u1")(Effect.void))
export const nested = inTransaction(inTransaction(Effect.void))
`

const compilerOptions =
  "--noEmit --ignoreConfig --strict --exactOptionalPropertyTypes --skipLibCheck --target ES2024 --module NodeNext " +
  "--lib ES2024,ESNext.Disposable --types node --customConditions holdfast-source --allowImportingTsExtensions"

/** Compiles the misuses beside the modules that they import, and returns the sentences that the compiler prints. */
const compilerSays = (source: string): ReadonlyArray<string> => {
  // TypeScript projects ignore files whose names begin with a dot.
  const file = join(here, `.misuses-${process.pid}.ts`)
  writeFileSync(file, source)
  try {
    const typeRoots = ["--typeRoots", join(root, "packages/locks/node_modules/@types")]
    const arguments_ = [
      join(root, "node_modules/typescript/bin/tsc"),
      ...compilerOptions.split(" "),
      ...typeRoots
    ]
    const { error, stdout } = spawnSync(process.execPath, [...arguments_, file], {
      cwd: here,
      encoding: "utf8"
    })
    if (error !== undefined) throw error
    return [...stdout.matchAll(/Property '"(.*?)"' is missing/g)].map(([, sentence]) => sentence ?? "")
  } finally {
    rmSync(file)
  }
}

test("the compiler says in a sentence what is wrong with the order of locks", () => {
  expect(compilerSays(misuses)).toMatchInlineSnapshot(`
    [
      "LOCK ORDER: 'user' is taken while 'order' is held (order: user < order)",
      "LOCK IN TRANSACTION: 'user' must be taken before the transaction begins",
      "NESTED TRANSACTION: this body opens a transaction of its own",
    ]
  `)
}, 60_000)
