/** A paid order, as Holdfast posts it. A newer server may post other topics and further fields. */
export interface WebhookEvent {
  /** The number of the event. A receiver ignores a number that it has seen. */
  readonly eventId: number
  /** `order.paid`, for instance. */
  readonly topic: string
  readonly orderId: string
  readonly userId: string
  readonly paymentId: string
  readonly amountMinor: number
}

/** Why a delivery is not taken for one of Holdfast's. */
export type WebhookFault = "malformed" | "expired" | "mismatch"

/** A delivery is not Holdfast's, or is too old. Answer it with 400 and do nothing else. */
export class WebhookSignatureError extends Error {
  override readonly name = "WebhookSignatureError"
  /** `malformed`: no signature; `expired`: an old delivery, sent again; `mismatch`: signed with another secret or changed. */
  readonly reason: WebhookFault

  constructor(reason: WebhookFault) {
    super(`the delivery's signature is refused: ${reason}`)
    this.reason = reason
  }
}

/** The options of `webhooks.constructEvent`. */
export interface ConstructEventOptions {
  /** How old a delivery may be, in milliseconds. Default: 300,000. */
  readonly toleranceMs?: number
  /** The current time, in milliseconds since 1970. Default: the clock's. */
  readonly now?: number
}

const encoder = new TextEncoder()

/**
 * Verifies a delivery and returns its event. Runs wherever there is WebCrypto, which compares in constant time.
 *
 * @param body the body exactly as it arrived, before anything parses it
 * @param signature the header `holdfast-signature`
 * @param secrets `HOLDFAST_WEBHOOK_SECRET`; while it is replaced, the new one and the old one
 * @throws {WebhookSignatureError} if no secret has signed the body, or too long ago
 */
const constructEvent = async (
  body: string | Uint8Array,
  signature: string | null | undefined,
  secrets: string | ReadonlyArray<string>,
  { now = Date.now(), toleranceMs = 300_000 }: ConstructEventOptions = {}
): Promise<WebhookEvent> => {
  const fields = (signature ?? "").split(",").map((field) => field.trim())
  const time = fields.find((field) => /^t=\d{1,15}$/.test(field))?.slice(2)
  const digests = fields
    .filter((field) => /^v1=[0-9a-f]{64}$/.test(field))
    .map((field) => bytesOf(field.slice(3)))
  if (time === undefined || digests.length === 0) throw new WebhookSignatureError("malformed")
  const text = typeof body === "string" ? body : new TextDecoder().decode(body)
  const signed = encoder.encode(`${time}.${text}`)
  if (!(await isSigned(signed, digests, [secrets].flat()))) throw new WebhookSignatureError("mismatch")
  if (Math.abs(now - Number(time) * 1000) > toleranceMs) throw new WebhookSignatureError("expired")
  return JSON.parse(text) as WebhookEvent
}

const isSigned = async (
  signed: Uint8Array<ArrayBuffer>,
  digests: ReadonlyArray<Uint8Array<ArrayBuffer>>,
  secrets: ReadonlyArray<string>
): Promise<boolean> => {
  const algorithm = { name: "HMAC", hash: "SHA-256" }
  const checks = secrets.flatMap(async (secret) => {
    const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["verify"])
    const answers = await Promise.all(
      digests.map((digest) => crypto.subtle.verify("HMAC", key, digest, signed))
    )
    return answers.includes(true)
  })
  return (await Promise.all(checks)).includes(true)
}

const bytesOf = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))

/** What a receiver of webhooks needs. */
export const webhooks = { constructEvent } as const
