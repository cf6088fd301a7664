import * as Effect from "effect/Effect"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

const RFC_3339 =
  /^(?<day>\d{4}-\d{2}-\d{2})[Tt](?<time>(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(?<fraction>\d{1,9}))?(?:[Zz]|(?<sign>[+-])(?<hours>[01]\d|2[0-3]):(?<minutes>[0-5]\d))$/

/**
 * Reads a date with time as RFC 3339 (section 5.6) writes it, offset included: `2026-01-31T09:30:00.5+09:00`. Digits
 * beyond the millisecond, up to nine, are cut off. `undefined`: the text is none, or names a day that does not exist, a
 * leap second, or a time outside the years 0000 to 9999 in UTC.
 */
const parseMoment = (text: string): Date | undefined => {
  const sent = canonical(text)
  if (sent !== undefined) return sent
  const parts = RFC_3339.exec(text)?.groups
  if (parts === undefined) return undefined
  const { day, fraction = "", hours = "0", minutes = "0", sign, time } = parts
  const local = `${day}T${time}.${fraction.slice(0, 3).padEnd(3, "0")}Z`
  const localMs = Date.parse(local)
  // A day that the month does not have comes back as one of the next month.
  if (Number.isNaN(localMs) || new Date(localMs).toISOString() !== local) return undefined
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000
  const moment = new Date(sign === "-" ? localMs + offsetMs : localMs - offsetMs)
  return isWritable(moment) ? moment : undefined
}

/** The form in which moments are sent, which is most of what is read: in UTC, with milliseconds. */
const canonical = (text: string): Date | undefined => {
  if (text.length !== 24) return undefined
  const date = new Date(text)
  return !Number.isNaN(date.getTime()) && date.toISOString() === text ? date : undefined
}

const EARLIEST = new Date("0000-01-01T00:00:00.000Z")
const LATEST = new Date("9999-12-31T23:59:59.999Z")
const isWritable = (date: Date): boolean =>
  date.getTime() >= EARLIEST.getTime() && date.getTime() <= LATEST.getTime()

const message = "must be a date with time and offset, such as 2026-01-31T09:30:00Z (RFC 3339)"

/** A moment. On the wire it is RFC 3339 text with an offset, and nothing else is understood; sent in UTC. */
export const Moment = Schema.String.annotate({ format: "date-time", message }).pipe(
  Schema.decodeTo(
    Schema.Date.check(
      Schema.makeFilter(isWritable, {
        message,
        arbitraryConstraint: { order: Order.Date, minimum: EARLIEST, maximum: LATEST }
      })
    ),
    SchemaTransformation.transformEffect<Date, string>({
      decode: (text, options) => {
        const date = parseMoment(text)
        return date === undefined
          ? Effect.fail(new SchemaIssue.InvalidValue({ message }, text, options))
          : Effect.succeed(date)
      },
      encode: (date) => Effect.succeed(date.toISOString())
    })
  )
)
