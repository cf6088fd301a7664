import type { Target } from "./stage.ts"

/** Which targets were struck, and when. */
export class Disturbances {
  /** The latest fault that has begun. */
  latest = "none"
  readonly #untilMs = new Map<Target, number>()

  begin(fault: string, target: Target): void {
    this.latest = fault
    this.#untilMs.set(target, Number.POSITIVE_INFINITY)
  }

  end(target: Target): void {
    this.#untilMs.set(target, performance.now())
  }

  /** Whether a fault struck the target at any time since `sinceMs`. */
  touched(target: Target, sinceMs: number): boolean {
    return (this.#untilMs.get(target) ?? 0) >= sinceMs
  }
}
