import { getEventListeners } from "node:events"
import { expect, it } from "vitest"
import { failureOf } from "../testing/failureOf.ts"
import { type Fetch, makeBoundedFetch } from "./boundedFetch.ts"

const bounds = { maxConnections: 1, maxWaiting: 10, attemptTimeoutMs: 30 }
const answer = () => Promise.resolve(new Response("{}", { headers: { "content-type": "application/json" } }))
const initOf = ({ signal }: AbortController) => ({ method: "GET", headers: {}, signal })

it("leaves no listener on a signal, whether the request was answered, waited, or timed out", async () => {
  const controller = new AbortController()
  const quick = makeBoundedFetch(answer, bounds)
  await Promise.all([1, 2, 3].map(() => quick("http://localhost/", initOf(controller))))
  const silent: Fetch = (_url, { signal }) =>
    new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)))
  const slow = makeBoundedFetch(silent, bounds)
  expect(await failureOf(slow("http://localhost/", initOf(controller)))).toMatchObject({ reason: "timeout" })
  expect(getEventListeners(controller.signal, "abort")).toHaveLength(0)
})

it("sends nothing for a caller who has left", async () => {
  let sent = 0
  const fetch = makeBoundedFetch(() => {
    sent += 1
    return answer()
  }, bounds)
  const controller = new AbortController()
  const leaving = failureOf(fetch("http://localhost/", initOf(controller)))
  controller.abort(new Error("left"))
  expect(await leaving).toMatchObject({ message: "left" })
  expect(sent).toBe(0)
})

it("tells half an answer and a stranger's answer from its own", async () => {
  const answering = (body: string, type: string, status = 200) =>
    makeBoundedFetch(
      () => Promise.resolve(new Response(body, { status, headers: { "content-type": type } })),
      bounds
    )
  const init = initOf(new AbortController())
  const half = await failureOf(answering('{"result":', "application/json")("http://localhost/", init))
  expect(half).toMatchObject({ reason: "connection-lost", retryable: true })
  const page = await failureOf(answering("<h1>", "text/html", 503)("http://localhost/", init))
  expect(page).toMatchObject({ reason: "unexpected-response", retryable: true, httpStatus: 503 })
})
