/**
 * A random UUID (RFC 9562, version 4). `crypto.randomUUID` exists neither on pages that were loaded over plain http nor
 * in React Native, and without any `crypto` at all the id is still unique enough to name a request.
 */
export const randomId = (): string => {
  const source = globalThis.crypto as Partial<typeof globalThis.crypto> | undefined
  if (typeof source?.randomUUID === "function") return source.randomUUID()
  const bytes = new Uint8Array(16)
  if (typeof source?.getRandomValues === "function") source.getRandomValues(bytes)
  else for (let index = 0; index < 16; index += 1) bytes[index] = Math.random() * 256
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")
}
