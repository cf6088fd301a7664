// Preloaded into a server's process: shifts its wall clock by the `clockOffsetMs` of the latest message. Timers and
// `performance.now` are not affected, as when an operator sets a machine's clock.
let offsetMs = 0

const RealDate = Date
const now = (): number => RealDate.now() + offsetMs

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as Date,
  apply: () => new RealDate(now()).toString(),
  get: (target, name) => (name === "now" ? now : Reflect.get(target, name))
})

process.on("message", (message: { readonly clockOffsetMs?: number }) => {
  if (message.clockOffsetMs !== undefined) offsetMs = message.clockOffsetMs
})
