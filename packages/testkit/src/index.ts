export const version = "0.1.0"

export * from "./services/index.ts"

export { barrier, BarrierBroken, type Barrier } from "./race/barrier.ts"
export { race, RaceTimedOut, type Caller, type RaceOptions, type RaceResult } from "./race/race.ts"
export { tagOf, type FulfilledOutcome, type Outcome, type RejectedOutcome } from "./race/outcome.ts"
export { expectExactly } from "./race/expect-exactly.ts"
export { eventually, EventuallyFailed, type EventuallyOptions } from "./race/eventually.ts"
export {
  InjectionTimedOut,
  StepNotReached,
  stepPoints,
  type Injection,
  type InjectionOptions,
  type StepPoints
} from "./race/steps.ts"
export { interleave, InterleaveTimedOut, type Interleaved, type InterleaveOptions } from "./race/interleave.ts"
export { crashPoint } from "./race/crash-point.ts"
export {
  crashAt,
  CrashNotReached,
  type CrashOptions,
  type CrashReport,
  type CrashRun,
  type ExitReport,
  type ProgramRun
} from "./race/crash-at.ts"
