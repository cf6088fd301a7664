/** `@holdfast/domain/locks`: lock scopes, their order and their errors; nothing of the shop. */
export { ServiceUnavailable } from "../errors/requests.ts"
export * from "./errors.ts"
export * from "./order.ts"
export type { LockPolicy, LockScope, LockScopeDefinition, LockTarget } from "./scope.ts"
