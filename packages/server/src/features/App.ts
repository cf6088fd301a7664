import { Layer } from "effect"
import type { ServerConfig } from "../config/ServerConfig.ts"
import { Database } from "../db/Database.ts"
import { Transactions } from "../db/transaction.ts"
import type { makeImplement } from "../rpc/implement.ts"
import { Passwords } from "./register/passwords.ts"
import { Tokens } from "./register/tokens.ts"

/** Every service that a handler may ask for. */
export type App = Database | Transactions | Passwords | Tokens | ServerConfig

/** The services, built of the settings. */
export const appLayer: Layer.Layer<Exclude<App, ServerConfig>, never, ServerConfig> = Layer.mergeAll(
  Transactions.layer.pipe(Layer.provideMerge(Database.layer)),
  Passwords.layer,
  Tokens.layer
)

/** Turns a contract's procedure and its handler into a tRPC procedure of this application. */
export type Implement = ReturnType<typeof makeImplement<App>>
