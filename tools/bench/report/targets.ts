import type { ScenarioName } from "../shop/comparison.ts"

/**
 * The most processor time that a call of Holdfast may take, divided by the floor's. A scenario without a target is
 * reported without a verdict.
 */
export const targets: Partial<Readonly<Record<ScenarioName, number>>> = {}
