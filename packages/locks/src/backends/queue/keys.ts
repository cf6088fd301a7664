/** The keys in Redis that belong to one lock. All live in the slot of the first, so one script may touch them all. */
export interface LockKeys {
  /** redis-semaphore's own key: whoever's identifier it holds owns the lock. */
  readonly mutex: string
  /** A list: who is in line, the next at its head. */
  readonly queue: string
  /** The last token, for a while. */
  readonly token: string
}

export const lockKeys = (key: string): LockKeys => companions(`mutex:${key}`)

/** The keys of a lock whose first key is known. */
export const companions = (mutex: string): LockKeys => {
  const slotted = inSlotOf(mutex)
  return { mutex, queue: `holdfast:queue:${slotted}`, token: `holdfast:token:${slotted}` }
}

/** The name, written so that it may follow a prefix and still is hashed like the name alone. */
const inSlotOf = (name: string): string => {
  if (hashTag(name) !== undefined) return name
  if (!name.includes("}")) return `{${name}}`
  return `{${numberInSlot(slotOf(name))}}:${name}`
}

/** What Redis Cluster hashes in place of the whole key: the text in the first pair of braces, unless it is empty. */
const hashTag = (key: string): string | undefined => {
  const open = key.indexOf("{")
  const close = key.indexOf("}", open + 1)
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : undefined
}

const SLOTS = 16_384

/** Redis Cluster's slot of a key (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/). */
export const slotOf = (key: string): number => crc16(Buffer.from(hashTag(key) ?? key)) % SLOTS

/** CRC-16/XMODEM, as the cluster's specification asks for it. */
const crc16 = (bytes: Uint8Array): number => {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1)
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  }
  return crc
}

/** The smallest number that is hashed into the slot: a tag for the few names that cannot be one themselves. */
const numberInSlot = (slot: number): number => {
  for (let number = 0; ; number += 1) if (crc16(Buffer.from(String(number))) % SLOTS === slot) return number
}
