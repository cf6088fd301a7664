/** The package's `exports` hide its types. These are the ones that the benchmark uses. */
declare module "redlock" {
  interface Lock {
    release(): Promise<unknown>
  }
  export default class Redlock {
    constructor(clients: ReadonlyArray<unknown>, settings?: { readonly retryCount?: number })
    acquire(resources: ReadonlyArray<string>, durationMs: number): Promise<Lock>
  }
}
