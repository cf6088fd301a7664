import { types } from "node:util"

/** A state or an operation holds a value that cannot be compared, so no verdict would be right. */
export class IncomparableValueError extends Error {
  readonly _tag = "IncomparableValue"
  /** Where the value is: `state.items[3]`. */
  readonly path: string

  constructor(path: string, reason: string) {
    super(
      `${path} ${reason}, so the checker cannot tell whether two states are equal. Give the model a stateKey.`
    )
    this.name = "IncomparableValueError"
    this.path = path
  }
}

/**
 * A text that is equal for two values if and only if they are structurally equal, as `node:util` defines it: by type,
 * contents and prototype, without regard to the order of properties, of Map entries and of Set members.
 *
 * @param root names the value in errors
 * @throws IncomparableValueError for a function, a promise, a cycle, and an object that hides its contents
 */
export const structuralKey = (value: unknown, root = "state"): string =>
  // No other text begins with a quotation mark of this kind, and a long text need not be escaped.
  typeof value === "string" ? `'${value}` : keyOf(value, root, [])

const keyOf = (value: unknown, path: string, around: ReadonlyArray<object>): string => {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value)
    case "number":
      return Object.is(value, -0) ? "-0" : String(value)
    case "bigint":
      return `${value}n`
    case "symbol":
      return `Symbol#${identity(symbols, value)}`
    case "function":
      throw new IncomparableValueError(path, "is a function")
    case "object":
      return value === null ? "null" : keyOfObject(value, path, around)
    default:
      return String(value)
  }
}

const keyOfObject = (value: object, path: string, around: ReadonlyArray<object>): string => {
  if (around.includes(value)) throw new IncomparableValueError(path, "contains itself")
  const inside = [...around, value]
  const within = (part: unknown, name: string) => keyOf(part, `${path}${name}`, inside)
  const contents = contentsOf(value, within)
  assertOpen(value, path, contents !== undefined)
  return `${typeOf(value)}${contents ?? ""}${propertiesOf(value, within)}`
}

type Within = (part: unknown, name: string) => string

/** What a built-in object holds besides its properties; undefined for any other object. */
const contentsOf = (value: object, within: Within): string | undefined => {
  if (Array.isArray(value))
    return `[${Array.from(value, (item, index) => (index in value ? within(item, `[${index}]`) : "hole")).join()}]`
  if (value instanceof Map) {
    const entries = [...value].map(([key, held]) => {
      const keyText = within(key, ".key")
      return `${keyText}=>${within(held, `.get(${keyText})`)}`
    })
    return `{${entries.toSorted().join()}}`
  }
  if (value instanceof Set)
    return `{${[...value]
      .map((member) => within(member, ".member"))
      .toSorted()
      .join()}}`
  if (value instanceof Date) return `(${value.getTime()})`
  if (value instanceof RegExp) return `(${String(value)},${value.lastIndex})`
  if (value instanceof URL || value instanceof URLSearchParams) return `(${JSON.stringify(String(value))})`
  if (value instanceof Error)
    return `(${JSON.stringify([value.name, value.message])},${within(value.cause, ".cause")})`
  if (types.isBoxedPrimitive(value)) return `(${within(value.valueOf(), ".valueOf()")})`
  if (ArrayBuffer.isView(value)) return `(${bytes(value.buffer, value.byteOffset, value.byteLength)})`
  if (types.isAnyArrayBuffer(value)) return `(${bytes(value, 0, value.byteLength)})`
  return undefined
}

const bytes = (buffer: ArrayBufferLike, offset: number, length: number): string =>
  Buffer.from(buffer, offset, length).toString("base64")

/** The enumerable properties, sorted. Those with a number are the contents of an array or a String. */
const propertiesOf = (value: object, within: Within): string => {
  const hasIndices = Array.isArray(value) || ArrayBuffer.isView(value) || types.isStringObject(value)
  const texts = Reflect.ownKeys(value)
    .filter((key) => Object.prototype.propertyIsEnumerable.call(value, key))
    .filter((key) => !(hasIndices && typeof key === "string" && /^\d+$/.test(key)))
    .map((key) => {
      const held: unknown = Reflect.get(value, key)
      return typeof key === "symbol"
        ? `${within(key, "")}:${within(held, `[${String(key)}]`)}`
        : `${JSON.stringify(key)}:${within(held, `.${key}`)}`
    })
  return `{${texts.toSorted().join()}}`
}

/** The use of a private field, in a source and as older compilers emit it. */
const PRIVATE_FIELD = /\.#[\w$]|classPrivateField/

/** Their texts are their contents, so their private fields do not matter. */
const withText: ReadonlySet<unknown> = new Set([URL, URLSearchParams])

/** Refuses an object with contents that it does not show, because it would equal every other of its kind. */
function assertOpen(value: object, path: string, isBuiltIn: boolean): void {
  for (
    let proto: unknown = Object.getPrototypeOf(value);
    isObject(proto);
    proto = Object.getPrototypeOf(proto)
  ) {
    const maker: unknown = proto.constructor
    if (maker === Object || typeof maker !== "function" || withText.has(maker)) continue
    const source = Function.prototype.toString.call(maker)
    if (source.endsWith("{ [native code] }") ? !isBuiltIn : PRIVATE_FIELD.test(source))
      throw new IncomparableValueError(path, `is a ${maker.name}, which hides its contents`)
  }
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** The constructor's name for people, and a number for its prototype, because names are not unique. */
const typeOf = (value: object): string => {
  const proto: unknown = Object.getPrototypeOf(value)
  if (proto === Object.prototype) return ""
  if (!isObject(proto)) return "null-prototype"
  return `${value.constructor?.name ?? ""}#${identity(prototypes, proto)}`
}

const symbols = new Map<symbol, number>()
const prototypes = new WeakMap<object, number>()
let identities = 0

function identity<Key>(
  known: { get(key: Key): number | undefined; set(key: Key, id: number): unknown },
  key: Key
): number {
  const id = known.get(key) ?? ++identities
  known.set(key, id)
  return id
}
