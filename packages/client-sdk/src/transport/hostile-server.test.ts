import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { expect, test } from "vitest"
import { createClient, type Fetch } from "../index.ts"
import { failureOf } from "../testing/failure-of.ts"
import { orderId } from "../testing/fixtures.ts"

const serve = async (listener: RequestListener) => {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}

const watch = (client: ReturnType<typeof createClient>) =>
  client.orders.watch({ orderId })[Symbol.asyncIterator]().next()

test("a redirect is not followed: no other origin receives a password or a token", async () => {
  const stolen: Array<string> = []
  await using thief = await serve((request, response) => {
    stolen.push(`${request.method} ${request.url}`)
    response.end()
  })
  await using server = await serve((request, response) => {
    response.writeHead(307, { location: `${thief.url}${request.url}` }).end()
  })
  const client = createClient({ url: server.url, token: "secret" })
  const failures = await Promise.all([
    failureOf(client.auth.login({ email: "ann@example.com", password: "correct horse" })),
    failureOf(client.points.balance()),
    failureOf(watch(client))
  ])
  for (const failure of failures) {
    expect(failure).toMatchObject({ _tag: "TransportError", reason: "unexpected-response", httpStatus: 307 })
    expect(failure).toMatchObject({
      retryable: false,
      cause: { cause: { message: expect.stringContaining(thief.url) } }
    })
  }
  expect(stolen).toEqual([])
})

test("an endless answer is not read to its end", async () => {
  let sent = 0
  await using server = await serve((request, response) => {
    const isStream = request.headers.accept === "text/event-stream"
    response.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/json" })
    if (isStream) response.write(`event: connected\ndata: {}\n\ndata: `)
    const chunk = Buffer.alloc(1024 * 1024, "a")
    const more = () => {
      while (!response.destroyed && response.write(chunk)) sent += 1
    }
    response.on("drain", more)
    more()
  })
  const client = createClient({ url: server.url, token: "t", retry: false })
  for (const failure of [await failureOf(client.points.balance()), await failureOf(watch(client))])
    expect(failure).toMatchObject({
      _tag: "TransportError",
      reason: "unexpected-response",
      cause: { cause: { message: expect.stringMatching(/^the answer is larger than \d+ bytes$/) } }
    })
  expect(sent).toBeLessThan(64)
})

test("an answer without a stream, as in React Native, is measured", async () => {
  const answering =
    (body: string): Fetch =>
    async () => ({
      ok: true,
      status: 200,
      headers: { get: (name) => (name === "content-type" ? "application/json" : null) },
      text: async () => body,
      body: null
    })
  const client = (body: string) =>
    createClient({ url: "http://localhost", token: "t", retry: false, fetch: answering(body) })
  expect(await client(`{"result":{"data":{"balance":5}}}`).points.balance()).toEqual({ balance: 5 })
  expect(await failureOf(client("[".repeat(17 * 1024 * 1024)).points.balance())).toMatchObject({
    reason: "unexpected-response"
  })
})
