export { randomStream, type RandomStream } from "../internal/random.ts"
export type { ConnectionView } from "./connection.ts"
export { ProtocolNotUnderstood, type Command } from "./dialogue.ts"
export type { FaultProxy, FaultProxyOptions, LogEntry } from "./fault-proxy.ts"
export type { Direction, LatencyHandle, LatencyOptions } from "./latency.ts"
export { faultProxy } from "./proxy.ts"
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
} from "./rules.ts"
