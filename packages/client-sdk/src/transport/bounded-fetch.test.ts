import { expect, test } from "vitest"
import { failureOf } from "../testing/failure-of.ts"
import { makeBoundedFetch } from "./bounded-fetch.ts"
import type { Fetch } from "./responses.ts"

const bounds = { maxConnections: 1, maxWaiting: 10, attemptTimeoutMs: 30 }
const url = "http://localhost/"
const JSON_TYPE = "application/json"

/** Starts a request that can be cancelled. */
const start = (fetch: ReturnType<typeof makeBoundedFetch>) => {
  const controller = new AbortController()
  const answer = fetch(url, { signal: controller.signal })
  return { answer, cancel: () => controller.abort() }
}

test("a request ends in time even if `fetch` ignores its signal", async () => {
  const deaf = makeBoundedFetch(() => new Promise(() => {}), bounds)
  const [first, second] = [start(deaf), start(deaf)]
  expect(await failureOf(first.answer)).toMatchObject({ reason: "timeout", maybeSent: true })
  second.cancel()
  expect(await failureOf(second.answer)).toMatchObject({ reason: "connection-lost" })
})

test("a request that is cancelled in the queue is not sent, and one that is cancelled in flight aborts its signal", async () => {
  const signals: Array<AbortSignal> = []
  const silent: Fetch = (_url, { signal }) => {
    signals.push(signal)
    return new Promise((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason as Error))
    )
  }
  const fetch = makeBoundedFetch(silent, { ...bounds, attemptTimeoutMs: 60_000 })
  const [first, second, third] = [start(fetch), start(fetch), start(fetch)]
  second.cancel()
  await failureOf(second.answer)
  first.cancel()
  await failureOf(first.answer)
  expect(signals[0]?.aborted).toBe(true)
  await expect.poll(() => signals.length).toBe(2)
  third.cancel()
  await failureOf(third.answer)
  expect(signals).toHaveLength(2)
})

test("a truncated answer and a foreign answer are told apart", async () => {
  const answering = (body: string, type: string, status = 200) =>
    makeBoundedFetch(
      () => Promise.resolve(new Response(body, { status, headers: { "content-type": type } })),
      bounds
    )(url)
  expect(await (await answering('{"result":{}}', JSON_TYPE)).json()).toEqual({ result: {} })
  const half = await failureOf(answering('{"result":', JSON_TYPE))
  expect(half).toMatchObject({ reason: "connection-lost", retryable: true })
  const page = await failureOf(answering("<h1>", "text/html", 503))
  expect(page).toMatchObject({ reason: "unexpected-response", retryable: true, httpStatus: 503 })
})
