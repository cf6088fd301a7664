import { Config, Option, type Redacted } from "effect"
import { milliseconds, oneOf, optionalWhole, secretText, webUrl } from "../settings.ts"

/** Who may read `/metrics`. Without a port and a token, nobody. */
export interface MetricsSettings {
  /** The port of its own, on the server's host; 0 takes a free one. */
  readonly port: number | undefined
  /** What readers have to send as a bearer token on the server's port. */
  readonly token: Redacted.Redacted | undefined
}

const LOG_LEVELS = ["Debug", "Info", "Warn", "Error", "None"] as const

/** What a process tells of itself, and to whom. */
export interface TelemetrySettings {
  readonly metrics: MetricsSettings
  /** The OTLP receiver of traces, such as `http://collector:4318`. Without one, no spans are made. */
  readonly tracesUrl: string | undefined
  /** A statement that takes longer is logged, without its parameters. */
  readonly slowStatementMs: number
  /** The least level of the log lines on stdout. */
  readonly logLevel: (typeof LOG_LEVELS)[number]
}

/** The environment variables of what a process tells. */
export const telemetryVariables = {
  metrics: Config.all({
    port: optionalWhole(
      "HOLDFAST_METRICS_PORT",
      0,
      65_535,
      "port of its own for /metrics, not for the public; 0 takes a free one"
    ),
    token: Config.map(
      Config.option(
        secretText(
          "HOLDFAST_METRICS_TOKEN",
          16,
          "bearer token with which /metrics may be read on the server's port; without it, it cannot",
          "HOLDFAST_METRICS_TOKEN"
        )
      ),
      Option.getOrUndefined
    )
  }),
  tracesUrl: Config.map(
    webUrl(
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "address of the OTLP receiver of traces, without /v1/traces; without it, no spans are made"
    ),
    Option.getOrUndefined
  ),
  slowStatementMs: milliseconds(
    "HOLDFAST_SLOW_STATEMENT",
    "1 second",
    "statements that take longer are logged, without their parameters"
  ),
  logLevel: oneOf("HOLDFAST_LOG_LEVEL", LOG_LEVELS, "Info", "least level of the log lines")
}
