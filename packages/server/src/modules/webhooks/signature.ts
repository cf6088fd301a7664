import { createHmac } from "node:crypto"

/** The header that carries the signature of a delivery. */
export const SIGNATURE_HEADER = "holdfast-signature"

/**
 * Signs a delivery with each secret: `t=<seconds since 1970>,v1=<hex>,v1=<hex>`, where the hex is HMAC-SHA-256 over
 * `<seconds>.<body>`. The time is signed, too, so that an old delivery cannot be played back as a new one. It is the
 * scheme that Stripe made known (https://docs.stripe.com/webhooks#verify-manually), with its way to replace a secret.
 */
export const sign = (secrets: ReadonlyArray<string>, body: string, nowMs: number): string => {
  const seconds = Math.floor(nowMs / 1_000)
  const digests = secrets.map((secret) =>
    createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")
  )
  return [`t=${seconds}`, ...digests.map((digest) => `v1=${digest}`)].join(",")
}
