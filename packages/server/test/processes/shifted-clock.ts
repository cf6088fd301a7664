// Loaded before everything else by a process whose clock a test sets wrong, see `ServerProcess`.
const shiftMs = Number(process.env["HOLDFAST_TEST_CLOCK_SHIFT_MS"] ?? 0)

const RightDate = Date
const now = () => RightDate.now() + shiftMs
globalThis.Date = new Proxy(RightDate, {
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget),
  get: (target, name, receiver) => (name === "now" ? now : Reflect.get(target, name, receiver))
})
