import { createHmac } from "node:crypto"
import { expect, test } from "vitest"
import { webhooks, WebhookSignatureError } from "./index.ts"
import { failureOf } from "./testing/failure-of.ts"

const secret = "a secret of sixteen letters"
const body = JSON.stringify({ eventId: 4711, topic: "order.paid", amountMinor: 1999 })
const now = 1_767_225_600_000
const sign = (key = secret, text = body, time = now / 1000) =>
  `t=${time},v1=${createHmac("sha256", key).update(`${time}.${text}`).digest("hex")}`

test("a delivery of Holdfast's becomes its event, from text or bytes, while a secret is replaced too", async () => {
  const event = { eventId: 4711, topic: "order.paid", amountMinor: 1999 }
  expect(await webhooks.constructEvent(body, sign(), secret, { now })).toEqual(event)
  expect(
    await webhooks.constructEvent(Buffer.from(body), sign(), ["the new secret", secret], { now })
  ).toEqual(event)
  const rotating = `${sign("the new secret")},${sign().split(",")[1]}`
  expect(await webhooks.constructEvent(body, rotating, secret, { now })).toEqual(event)
})

test.each([
  ["without a signature", null, "malformed"],
  ["with half a signature", "t=1767225600,v1=5f2c", "malformed"],
  ["of another sender", sign("a guessed secret"), "mismatch"],
  ["with a changed body", sign(secret, body.replace("1999", "1")), "mismatch"],
  ["with a changed time", sign().replace("t=1767225600", "t=1767225601"), "mismatch"],
  ["that is old", sign(secret, body, now / 1000 - 301), "expired"],
  ["from the future", sign(secret, body, now / 1000 + 301), "expired"]
])("a delivery %s is refused", async (_name, signature, reason) => {
  const error = await failureOf(webhooks.constructEvent(body, signature, secret, { now }))
  expect(error).toBeInstanceOf(WebhookSignatureError)
  expect(error).toMatchObject({ reason })
})
