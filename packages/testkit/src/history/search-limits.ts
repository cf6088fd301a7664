/** Limits beyond which the verdict is `unknown`. They apply to the whole history. */
export interface SearchLimits {
  /** Default 10,000. */
  readonly timeoutMs?: number
  /** Maximum number of model steps. Default: no limit. */
  readonly maxSteps?: number
  /** Maximum number of remembered configurations, at about 100 bytes each. Default 2,000,000. */
  readonly maxConfigurations?: number
}

/** Which limit was reached. */
export type ReachedLimit = "timeout" | "steps" | "configurations"
