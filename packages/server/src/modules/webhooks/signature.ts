import { createHmac, timingSafeEqual } from "node:crypto"

/** The header that carries the signature of a delivery. */
export const SIGNATURE_HEADER = "holdfast-signature"

/**
 * Signs a delivery: `t=<seconds since 1970>,v1=<hex>`, where the hex is HMAC-SHA-256 over `<seconds>.<body>`. The time
 * is signed, too, so that an old delivery cannot be played back as a new one. It is the scheme that Stripe made known
 * (https://docs.stripe.com/webhooks#verify-manually).
 */
export const sign = (secret: string, body: string, nowMs: number): string => {
  const seconds = Math.floor(nowMs / 1_000)
  return `t=${seconds},v1=${digest(secret, seconds, body).toString("hex")}`
}

/**
 * For receivers: whether the body was signed with the secret, not longer ago than `toleranceMs` (default 5 minutes).
 * `body` is the text exactly as it arrived.
 */
export const isSignedBy = (
  secret: string,
  body: string,
  signature: string,
  nowMs: number,
  toleranceMs = 300_000
): boolean => {
  const match = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(signature)
  if (match === null) return false
  const seconds = Number(match[1])
  if (Math.abs(nowMs - seconds * 1_000) > toleranceMs) return false
  return timingSafeEqual(digest(secret, seconds, body), Buffer.from(match[2]!, "hex"))
}

const digest = (secret: string, seconds: number, body: string): Buffer =>
  createHmac("sha256", secret).update(`${seconds}.${body}`).digest()
