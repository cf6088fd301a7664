import { readFileSync } from "node:fs"
import { type Parameters, refuse } from "./address.ts"

/** How a connection is protected, with MySQL's words for what is verified. */
export interface Tls {
  readonly mode: "REQUIRED" | "VERIFY_CA" | "VERIFY_IDENTITY"
  /** Certificates and key in PEM. Without `ca`, those of the system. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

const MODES: Readonly<Record<string, Tls["mode"] | "DISABLED">> = {
  disabled: "DISABLED",
  disable: "DISABLED",
  required: "REQUIRED",
  require: "REQUIRED",
  trust: "REQUIRED",
  verifyca: "VERIFY_CA",
  verifyidentity: "VERIFY_IDENTITY",
  verifyfull: "VERIFY_IDENTITY"
}

/**
 * Takes `ssl-mode`, `ssl-ca`, `ssl-cert` and `ssl-key` out of the parameters, and reads the files that they name.
 * `undefined`: the connection is not encrypted.
 * @param fallback the mode when none is given; `undefined`: `VERIFY_CA` if a file is named, else no TLS
 */
export const takeTls = (parameters: Parameters, fallback?: Tls["mode"]): Tls | undefined => {
  const given = modeOf(parameters.take("ssl-mode"))
  const ca = fileOf(parameters, "ssl-ca")
  const cert = fileOf(parameters, "ssl-cert")
  const key = fileOf(parameters, "ssl-key")
  if ((cert === undefined) !== (key === undefined))
    return refuse("needs both ssl-cert and ssl-key, or neither")
  const hasFiles = ca !== undefined || cert !== undefined
  const mode = given ?? fallback ?? (hasFiles ? "VERIFY_CA" : "DISABLED")
  if (mode === "DISABLED")
    return hasFiles ? refuse("names certificates, and says that ssl-mode is DISABLED") : undefined
  return {
    // A certificate authority that nothing is compared with would protect nobody.
    mode: mode === "REQUIRED" && ca !== undefined ? "VERIFY_CA" : mode,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert, key: key! })
  }
}

const modeOf = (text: string | undefined) => {
  if (text === undefined) return undefined
  const mode = MODES[text.toLowerCase().replaceAll(/[-_]/g, "")]
  const known = "DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY"
  return mode ?? refuse(`has an ssl-mode that is not understood; it is ${known}`)
}

const fileOf = (parameters: Parameters, name: string): string | undefined => {
  const path = parameters.take(name)
  if (path === undefined) return undefined
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    return refuse(
      `has an ${name} that cannot be read (${(error as NodeJS.ErrnoException).code ?? "no file"})`
    )
  }
}
