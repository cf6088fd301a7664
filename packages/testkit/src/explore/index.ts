export type { SqlAddress } from "../services/service.ts"
export { crashOf, cutOf, lostReplyOf } from "./actors.ts"
export {
  expectExploration,
  IncompleteExplorationError,
  ScheduleViolationError,
  type SafeOptions
} from "./expect-exploration.ts"
export {
  explore,
  replay,
  type Exploration,
  type ExplorationFailure,
  type ExploreOptions,
  type Nondeterminism,
  type Replayed
} from "./explore.ts"
export type { Address, Ports } from "./gate/lane.ts"
export type { Actor, ClientResult, Scenario, ScheduleControl, ScheduleView, Step } from "./scenario.ts"
export { InvalidScheduleCodeError } from "./schedule-code.ts"
export type { StrategyName } from "./strategy/proposals.ts"
export type { Divergence } from "./strategy/strategy.ts"
