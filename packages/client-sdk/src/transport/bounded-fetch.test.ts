import { expect, it } from "vitest"
import { failureOf } from "../testing/failure-of.ts"
import { type Fetch, makeBoundedFetch } from "./bounded-fetch.ts"

const bounds = { maxConnections: 1, maxWaiting: 10, attemptTimeoutMs: 30 }
const message = { url: "http://localhost/", method: "GET", headers: {} }
const JSON_TYPE = "application/json"

it("ends in time, also when the fetch it was given takes no notice of its signal", async () => {
  const deaf = makeBoundedFetch(() => new Promise(() => {}), bounds)
  const [first, second] = [deaf(message), deaf(message)]
  expect(await failureOf(first.answer)).toMatchObject({ reason: "timeout", maybeSent: true })
  second.cancel()
  expect(await failureOf(second.answer)).toMatchObject({ reason: "connection-lost" })
})

it("sends nothing for a caller who left while waiting for a turn, and tells fetch of one who leaves later", async () => {
  const signals: Array<AbortSignal> = []
  const silent: Fetch = (_url, { signal }) => {
    signals.push(signal)
    return new Promise((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason as Error))
    )
  }
  const fetch = makeBoundedFetch(silent, { ...bounds, attemptTimeoutMs: 60_000 })
  const [first, second, third] = [fetch(message), fetch(message), fetch(message)]
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

it("tells half an answer and a stranger's answer from its own", async () => {
  const answering = (body: string, type: string, status = 200) =>
    makeBoundedFetch(
      () => Promise.resolve(new Response(body, { status, headers: { "content-type": type } })),
      bounds
    )(message).answer
  expect(await answering('{"result":{}}', JSON_TYPE)).toEqual({ result: {} })
  const half = await failureOf(answering('{"result":', JSON_TYPE))
  expect(half).toMatchObject({ reason: "connection-lost", retryable: true })
  const page = await failureOf(answering("<h1>", "text/html", 503))
  expect(page).toMatchObject({ reason: "unexpected-response", retryable: true, httpStatus: 503 })
})
