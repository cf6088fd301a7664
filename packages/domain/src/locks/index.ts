/** `@holdfast/domain/locks`: lock scopes, their order and their errors, without any part of the shop. */
export { ServiceUnavailable } from "../kernel/error.ts"
export * from "./errors.ts"
export * from "./order.ts"
export type { LockPolicy, LockScope, LockScopeDefinition, LockTarget } from "./scope.ts"
