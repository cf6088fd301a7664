export { barrier, BarrierBroken, type Barrier } from "./barrier.ts"
export {
  crashAt,
  CrashNotReached,
  type CrashOptions,
  type CrashReport,
  type CrashRun,
  type ExitReport,
  type ProgramRun
} from "./crash-at.ts"
export { eventually, EventuallyFailed, type EventuallyOptions } from "./eventually.ts"
export { expectExactly } from "./expect-exactly.ts"
export { interleave, InterleaveTimedOut, type Interleaved, type InterleaveOptions } from "./interleave.ts"
export { tagOf, type FulfilledOutcome, type Outcome, type RejectedOutcome } from "./outcome.ts"
export { race, RaceTimedOut, type Caller, type RaceOptions, type RaceResult } from "./race.ts"
export {
  InjectionTimedOut,
  StepNotReached,
  stepPoints,
  type Injection,
  type InjectionOptions,
  type StepPoints
} from "./steps.ts"
