export { CheckedHistory, EmptyHistoryError } from "./checked-history.ts"
export {
  expectHistory,
  NotLinearizableError,
  UndecidedHistoryError,
  type ExpectOptions
} from "./expect-history.ts"
export {
  History,
  type ErrorMeaning,
  type HistoryOptions,
  type OpenOperation,
  type RecordOptions
} from "./history.ts"
export { conservation, type Reading } from "./invariants/conservation.ts"
export { falseSoldOut, type Refusal } from "./invariants/false-sold-out.ts"
export type { Movement } from "./invariants/movements.ts"
export { overlap, type Hold } from "./invariants/overlap.ts"
export { tokenOrder, type Grant } from "./invariants/token-order.ts"
export {
  checkLinearizable,
  UnsoundInvariantError,
  type Check,
  type CheckOptions,
  type Illegal,
  type Legal,
  type Undecided
} from "./linearizability.ts"
export {
  unknownOutput,
  type Foresight,
  type Invariant,
  type Model,
  type Observed,
  type Violation
} from "./model.ts"
export {
  fencedMutex,
  type FencedMutexInput,
  type FencedMutexOutput,
  type FencedMutexState
} from "./models/fenced-mutex.ts"
export {
  idempotentCall,
  type IdempotentInput,
  type IdempotentOutput,
  type IdempotentState
} from "./models/idempotent-call.ts"
export { keyValue, type KeyValueInput, type KeyValueOutput } from "./models/key-value.ts"
export {
  mutex,
  type MutexInput,
  type MutexOptions,
  type MutexOutput,
  type MutexState
} from "./models/mutex.ts"
export { register, type RegisterInput, type RegisterOutput } from "./models/register.ts"
export { stockCounter, type StockInput, type StockOptions, type StockOutput } from "./models/stock-counter.ts"
export { MutatedStateError, UnsoundForesightError } from "./model-errors.ts"
export { IncomparableValueError } from "./structural-key.ts"
export type {
  Failed,
  Mark,
  Operation,
  Outcome as OperationOutcome,
  RecordedHistory,
  Returned,
  Unknown
} from "./operation.ts"
export { renderTimeline } from "./timeline/render-timeline.ts"
export type { Bar, Timeline, TimelineMark } from "./timeline/timeline.ts"
export { writeTimeline } from "./timeline/write-timeline.ts"
