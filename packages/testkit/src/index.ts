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

export { faultProxy } from "./faults/proxy.ts"
export type { FaultProxy, FaultProxyOptions, LogEntry } from "./faults/fault-proxy.ts"
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

export {
  History,
  type ErrorMeaning,
  type HistoryOptions,
  type OpenOperation,
  type RecordOptions
} from "./history/history.ts"
export type {
  Failed,
  Mark,
  Operation,
  Outcome as OperationOutcome,
  Returned,
  Unknown
} from "./history/operation.ts"
export { unknownOutput, type Invariant, type Model, type Observed, type Violation } from "./history/model.ts"
export {
  checkLinearizable,
  UnsoundInvariantError,
  type Check,
  type CheckOptions,
  type Illegal,
  type Legal,
  type Undecided
} from "./history/linearizability.ts"
export { CheckedHistory, EmptyHistoryError } from "./history/checked-history.ts"
export {
  expectHistory,
  NotLinearizableError,
  UndecidedHistoryError,
  type ExpectOptions,
  type RecordedHistory
} from "./history/expect-history.ts"
export {
  mutex,
  type MutexInput,
  type MutexOptions,
  type MutexOutput,
  type MutexState
} from "./history/models/mutex.ts"
export {
  fencedMutex,
  type FencedMutexInput,
  type FencedMutexOutput,
  type FencedMutexState
} from "./history/models/fenced-mutex.ts"
export {
  stockCounter,
  type StockInput,
  type StockOptions,
  type StockOutput
} from "./history/models/stock-counter.ts"
export { register, type RegisterInput, type RegisterOutput } from "./history/models/register.ts"
export {
  idempotentCall,
  type IdempotentInput,
  type IdempotentOutput,
  type IdempotentState
} from "./history/models/idempotent-call.ts"
export { overlap, type Hold } from "./history/invariants/overlap.ts"
export { tokenOrder, type Grant } from "./history/invariants/token-order.ts"
export { conservation, type Reading } from "./history/invariants/conservation.ts"
export { falseSoldOut, type Refusal } from "./history/invariants/false-sold-out.ts"
export { type Movement } from "./history/invariants/movements.ts"
export { renderTimeline } from "./history/timeline/render-timeline.ts"
export { writeTimeline } from "./history/timeline/write-timeline.ts"
export type { Bar, Timeline, TimelineMark } from "./history/timeline/timeline.ts"

export {
  evidence,
  type Evidence,
  type EvidenceTargets,
  type EvidenceWatch,
  type LiveEvidence
} from "./evidence/evidence.ts"
export type { ServerAddress, ServerAddressFields } from "./evidence/address.ts"
export type { Amount, ExpectedCommands, ExpectedEvidence } from "./evidence/expectation.ts"
export type { ServerEvidence, ServerIdentity } from "./evidence/snapshot.ts"

export { load, type LoadCall, type LoadOptions } from "./load/load.ts"
export type { ArrivalKind } from "./load/arrivals.ts"
export type { LatencySummary, PercentilePoint } from "./load/latencies.ts"
export type { LoadInterval, LoadReport } from "./load/report.ts"

export {
  explore,
  replay,
  type Exploration,
  type ExplorationFailure,
  type ExploreOptions,
  type Nondeterminism,
  type Replayed
} from "./explore/explore.ts"
export {
  expectExploration,
  IncompleteExplorationError,
  ScheduleViolationError,
  type SafeOptions
} from "./explore/expect-exploration.ts"
export { crashOf, cutOf, lostReplyOf } from "./explore/actors.ts"
export { InvalidScheduleCodeError } from "./explore/schedule-code.ts"
export type {
  Actor,
  ClientResult,
  Scenario,
  ScheduleControl,
  ScheduleView,
  Step
} from "./explore/scenario.ts"
export type { Address, Ports } from "./explore/gate/lane.ts"
export type { SqlAddress } from "./services/clients.ts"
export type { StrategyName } from "./explore/strategy/proposals.ts"
export type { Divergence } from "./explore/strategy/strategy.ts"

export { watchLocks, type LockWatch, type WatchOptions } from "./lockgraph/watch-locks.ts"
export { expectLocks, LockCycleError } from "./lockgraph/expect-locks.ts"
export { LockGraph, type LockMode, type LockOrder } from "./lockgraph/lock-graph.ts"
export type { LockCycle } from "./lockgraph/cycles.ts"
