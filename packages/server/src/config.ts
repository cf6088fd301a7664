import { Config, Context, Layer, Option, type Redacted } from "effect"
import { PlatformConfig, type PlatformSettings, platformVariables } from "./platform/config.ts"
import {
  flagUnlessProduction,
  milliseconds,
  secretText,
  secretTexts,
  webUrl,
  whole
} from "./platform/settings.ts"

/** Everything a deployment may set: the platform's settings and the shop's. Durations are in milliseconds. */
export interface ServerSettings extends PlatformSettings {
  readonly accessTokenMs: number
  /** How long a session lasts, from the login on: the life of all its refresh tokens. */
  readonly sessionMs: { readonly user: number; readonly admin: number }
  /** The cost of one password hash; the defaults come from RFC 9106's second recommendation. */
  readonly argon2: { readonly memoryKib: number; readonly iterations: number }
  /** The hashes that wait for their turn, of all callers and of one address. */
  readonly hashing: { readonly waiting: number; readonly waitingOfOne: number }
  /** Wrong passwords in a window: for an account, and from one address for all accounts. */
  readonly logins: {
    readonly wrongPasswords: number
    readonly wrongPasswordsOfAddress: number
    readonly windowMs: number
  }
  readonly orders: {
    readonly maximumLines: number
    readonly maximumQuantity: number
    readonly expiresAfterMs: number
  }
  /** What a user may have ordered and not paid: it is held back from everybody else. */
  readonly maximumUnpaid: { readonly orders: number; readonly units: number }
  readonly cancellation: {
    /** How long after its payment an order may still be cancelled. */
    readonly paidWithinMs: number
  }
  /** Limits of a user's top-ups (`points.charge`). Days and months are UTC. */
  readonly charges: {
    /** Whether there are top-ups at all. They credit points for which nobody has paid, so production has to want them. */
    readonly isOn: boolean
    readonly minimum: number
    readonly maximum: number
    readonly step: number
    readonly perDay: number
    readonly perMonth: number
  }
  /** The receiver of `order.paid`, if there is one. */
  readonly webhook: WebhookSettings | undefined
}

export interface WebhookSettings {
  readonly url: string
  /** Signs every delivery; shared with the receiver. At least 16 characters. */
  readonly secret: Redacted.Redacted
  /** Sign every delivery as well, while the receiver exchanges its secret. */
  readonly formerSecrets: ReadonlyArray<Redacted.Redacted>
  /** How long the receiver may take to answer. */
  readonly timeoutMs: number
  /** The pause after the first failed attempt; it doubles with each further one, up to an hour. */
  readonly firstRetryMs: number
  readonly maximumAttempts: number
}

/** The settings of the server, for the handlers and jobs. */
export class ServerConfig extends Context.Service<ServerConfig, ServerSettings>()(
  "@holdfast/server/ServerConfig"
) {
  /** The settings for the shop, and for the platform below it. */
  static readonly layer = (settings: ServerSettings): Layer.Layer<ServerConfig | PlatformConfig> =>
    Layer.merge(Layer.succeed(ServerConfig, settings), PlatformConfig.layer(settings))
}

const webhookSecret = secretText(
  "HOLDFAST_WEBHOOK_SECRET",
  16,
  "signs every webhook; shared with the receiver",
  "HOLDFAST_WEBHOOK_URL"
)

const formerWebhookSecrets = secretTexts(
  "HOLDFAST_WEBHOOK_FORMER_SECRETS",
  16,
  "sign every webhook as well, one a line, until the receiver knows the new secret"
)

/** Without an address there is no webhook; with one, a secret is required. */
const webhookFromEnvironment: Config.Config<WebhookSettings | undefined> = Config.all({
  url: webUrl(
    "HOLDFAST_WEBHOOK_URL",
    "address that order.paid is posted to; without it there are no webhooks"
  ),
  timeoutMs: milliseconds(
    "HOLDFAST_WEBHOOK_TIMEOUT",
    "5 seconds",
    "how long the receiver may take to answer"
  ),
  firstRetryMs: milliseconds(
    "HOLDFAST_WEBHOOK_FIRST_RETRY",
    "1 second",
    "pause after the first failed attempt; it doubles with each further one, up to an hour"
  ),
  maximumAttempts: whole("HOLDFAST_WEBHOOK_ATTEMPTS", 12, 1, 100, "attempts until a delivery is given up")
}).pipe(
  Config.flatMap(({ url, ...others }) =>
    Option.isNone(url)
      ? Config.succeed(undefined)
      : Config.all({ secret: webhookSecret, formerSecrets: formerWebhookSecrets }).pipe(
          Config.map((secrets) => ({ url: url.value, ...secrets, ...others }))
        )
  )
)

/** Reads the settings from environment variables. All but the stores' addresses and the secret have defaults. */
export const settingsFromEnvironment: Config.Config<ServerSettings> = Config.all({
  ...platformVariables,
  accessTokenMs: milliseconds(
    "HOLDFAST_ACCESS_TOKEN_LIFETIME",
    "15 minutes",
    "how long an access token is valid"
  ),
  sessionMs: Config.all({
    user: milliseconds(
      "HOLDFAST_REFRESH_TOKEN_LIFETIME",
      "30 days",
      "how long after the login a session ends, with all its refresh tokens"
    ),
    admin: milliseconds(
      "HOLDFAST_ADMIN_SESSION_LIFETIME",
      "12 hours",
      "how long after the login an administrator's session ends"
    )
  }),
  argon2: Config.all({
    memoryKib: whole(
      "HOLDFAST_ARGON2_MEMORY_KIB",
      19_456,
      8,
      4_194_304,
      "memory of one password hash, in KiB"
    ),
    iterations: whole("HOLDFAST_ARGON2_ITERATIONS", 2, 1, 100, "passes of one password hash")
  }),
  hashing: Config.all({
    waiting: whole("HOLDFAST_HASHES_WAITING", 500, 1, 1_000_000, "password hashes that wait for their turn"),
    waitingOfOne: whole(
      "HOLDFAST_HASHES_WAITING_PER_ADDRESS",
      100,
      1,
      1_000_000,
      "of those, password hashes of one address"
    )
  }),
  logins: Config.all({
    wrongPasswords: whole(
      "HOLDFAST_WRONG_PASSWORDS",
      10,
      1,
      1_000_000_000,
      "wrong passwords for one account, from one address, and from all that are new to it"
    ),
    wrongPasswordsOfAddress: whole(
      "HOLDFAST_WRONG_PASSWORDS_PER_ADDRESS",
      100,
      1,
      1_000_000_000,
      "wrong passwords from one address, for all accounts"
    ),
    windowMs: milliseconds(
      "HOLDFAST_WRONG_PASSWORDS_WITHIN",
      "15 minutes",
      "in which wrong passwords are counted"
    )
  }),
  orders: Config.all({
    maximumLines: whole("HOLDFAST_ORDER_MAX_LINES", 2_000, 1, 10_000, "lines of one order"),
    maximumQuantity: whole("HOLDFAST_ORDER_MAX_QUANTITY", 100_000, 1, 1_000_000_000, "units of one line"),
    expiresAfterMs: milliseconds("HOLDFAST_ORDER_EXPIRES_AFTER", "10 minutes", "when an unpaid order expires")
  }),
  maximumUnpaid: Config.all({
    orders: whole("HOLDFAST_MAX_UNPAID_ORDERS", 10, 1, 1_000_000_000, "unpaid orders of one user"),
    units: whole("HOLDFAST_MAX_UNPAID_UNITS", 1_000, 1, 1_000_000_000, "units in them together")
  }),
  cancellation: Config.all({
    paidWithinMs: milliseconds(
      "HOLDFAST_CANCEL_PAID_WITHIN",
      "1 hour",
      "how long after its payment an order may be cancelled"
    )
  }),
  charges: Config.all({
    isOn: flagUnlessProduction("HOLDFAST_CHARGES", "whether users can top up their points"),
    minimum: whole("HOLDFAST_CHARGE_MINIMUM", 1_000, 1, 1_000_000_000_000, "points of the smallest top-up"),
    maximum: whole(
      "HOLDFAST_CHARGE_MAXIMUM",
      1_000_000,
      1,
      1_000_000_000_000,
      "points of the largest top-up"
    ),
    step: whole("HOLDFAST_CHARGE_STEP", 1_000, 1, 1_000_000_000_000, "top-ups are multiples of it"),
    perDay: whole("HOLDFAST_CHARGES_PER_DAY", 3, 1, 1_000_000, "top-ups of a user in a day (UTC)"),
    perMonth: whole("HOLDFAST_CHARGES_PER_MONTH", 10, 1, 1_000_000, "top-ups of a user in a month (UTC)")
  }),
  webhook: webhookFromEnvironment
})
