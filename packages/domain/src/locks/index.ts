export * from "./commerce.ts"
export * from "./errors.ts"
export * from "./order.ts"
export type { LockPolicy, LockScope, LockScopeDefinition } from "./scope.ts"
