/** The package has types, but hides them from those who read its `exports`. This is as much of it as is used here. */
declare module "redlock" {
  interface Lock {
    release(): Promise<unknown>
  }
  export default class Redlock {
    constructor(clients: ReadonlyArray<unknown>, settings?: { readonly retryCount?: number })
    acquire(resources: ReadonlyArray<string>, durationMs: number): Promise<Lock>
  }
}
