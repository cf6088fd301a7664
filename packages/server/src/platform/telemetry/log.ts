import { Cause, Context, Logger, References, Tracer } from "effect"
import { recordedSpan } from "./traces.ts"

/** Shorter texts are no secrets: a log that hides every `a` says nothing. */
const LEAST_SECRET_LENGTH = 6

/**
 * Writes each line of the log as one JSON object on stdout: `time`, `level`, `message`, then what the program has noted
 * beside it (`requestId`, `procedure`, `job`, ...), `traceId` and `spanId` inside of a trace, `details` and `cause`.
 *
 * @param secrets texts that no line may show, wherever they come from
 */
export const jsonLog = (
  secrets: ReadonlyArray<string>,
  write: (line: string) => void = (line) => void process.stdout.write(line)
): Logger.Logger<unknown, void> => {
  const hidden = secrets.filter(({ length }) => length >= LEAST_SECRET_LENGTH)
  return Logger.make(({ cause, date, fiber, logLevel, message }) => {
    const [first, ...details] = Array.isArray(message) ? (message as ReadonlyArray<unknown>) : [message]
    const span = recordedSpan(Context.getOrUndefined(fiber.context, Tracer.ParentSpan))
    const line = textOf({
      time: date.toISOString(),
      level: logLevel,
      message: typeof first === "string" ? first : readable(first),
      ...fiber.getRef(References.CurrentLogAnnotations),
      ...(span === undefined ? {} : { traceId: span.traceId, spanId: span.spanId }),
      ...(details.length === 0 ? {} : { details: details.map(readable) }),
      ...(cause.reasons.length === 0 ? {} : { cause: Cause.pretty(cause) })
    })
    write(`${hidden.reduce((text, secret) => text.replaceAll(secret, "***"), line)}\n`)
  })
}

const readable = (value: unknown): unknown =>
  value instanceof Error
    ? { name: value.name, message: value.message }
    : Cause.isCause(value)
      ? Cause.pretty(value)
      : value

/** A value that JSON cannot hold harms no request. */
const textOf = (line: object): string => {
  try {
    return JSON.stringify(line, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value))
  } catch (error) {
    return JSON.stringify({
      level: "Error",
      message: `a line of the log cannot be written: ${String(error)}`
    })
  }
}
