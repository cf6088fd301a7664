import { type FaultProxy, faultProxy } from "@holdfast/testkit/faults"
import { Redacted } from "effect"
import { inject } from "vitest"
import type { ServerSettings } from "../src/config.ts"
import type { RunningServer } from "../src/server.ts"
import { makeRawClient, type RawClient } from "./raw-client.ts"
import type { Shop } from "./shop.ts"

/** A server beside the shop's own that reaches one store through a proxy, which can silence the connections. */
export interface ServerBehindProxy extends AsyncDisposable {
  readonly proxy: FaultProxy
  readonly server: RunningServer
  readonly call: RawClient
}

export const serverBehindProxy = async (
  shop: Shop,
  store: "mysql" | "redis",
  settings: Partial<ServerSettings> = {}
): Promise<ServerBehindProxy> => {
  const url = new URL(inject(store === "mysql" ? "mysqlUrl" : "redisUrl"))
  const proxy = await faultProxy({
    protocol: store,
    upstream: { host: url.hostname, port: Number(url.port) }
  })
  if (store === "mysql") url.pathname = `/${shop.database}`
  const address = Redacted.make(proxy.through(url.href))
  const server = await shop.openBeside({
    ...settings,
    ...(store === "mysql" ? { mysqlUrl: address } : { redisUrl: address })
  })
  return {
    proxy,
    server,
    call: makeRawClient(server.url),
    [Symbol.asyncDispose]: async () => {
      proxy.thaw()
      await server.stop()
      await proxy.close()
    }
  }
}
