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
export {
  interleave,
  InterleaveTimedOut,
  type Interleaved,
  type InterleaveOptions
} from "./race/interleave.ts"
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

export { faultProxy, type FaultProxy, type FaultProxyOptions, type LogEntry } from "./faults/proxy.ts"
export type { ConnectionView } from "./faults/connection.ts"
export { ProtocolNotUnderstood, type Command } from "./faults/dialogue.ts"
export type { Direction, LatencyHandle, LatencyOptions } from "./faults/latency.ts"
export { randomStream, type RandomStream } from "./faults/random.ts"
export {
  RuleNotFired,
  type CommandMatch,
  type CutHow,
  type CutOptions,
  type Firing,
  type HoldHandle,
  type RuleHandle,
  type RuleOptions,
  type When
} from "./faults/rules.ts"
