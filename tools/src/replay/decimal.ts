/** A decimal number as it was written, exactly: `digits / 10^scale`. */
export interface Decimal {
  readonly digits: bigint
  readonly scale: number
}

/** Reads `12`, `-0.5` or `17850.0`; anything else (blanks, exponents, signs without digits) is `undefined`. */
export const parseDecimal = (text: string): Decimal | undefined => {
  const parts = /^(-?\d{1,18})(?:\.(\d{1,18}))?$/.exec(text)
  if (parts === null) return undefined
  const [, whole = "", fraction = ""] = parts
  return { digits: BigInt(whole + fraction), scale: fraction.length }
}

/** The whole number that the decimal is, `17850` of `17850.0`; `undefined` when it has a fraction. */
export const wholeOf = ({ digits, scale }: Decimal): bigint | undefined => {
  const unit = 10n ** BigInt(scale)
  return digits % unit === 0n ? digits / unit : undefined
}

/** Pounds in pence, half a pence rounded up. Floats are never involved: 1.005 is 101 pence, not 100. */
export const minorOf = ({ digits, scale }: Decimal): bigint => {
  const unit = 10n ** BigInt(scale)
  return floorDivide(digits * 200n + unit, 2n * unit)
}

/** `floor(factor x units)`, exactly: 0.29 of 100 is 29, although 0.29 * 100 is 28.999999999999996. */
export const shareOf = ({ digits, scale }: Decimal, units: number): number =>
  Number(floorDivide(digits * BigInt(units), 10n ** BigInt(scale)))

/** Whether the decimal is below a whole number. */
export const isBelow = ({ digits, scale }: Decimal, whole: number): boolean =>
  digits < BigInt(whole) * 10n ** BigInt(scale)

/** The shortest way to write it: `1` of `1.00`, `0.5` of `0.50`. */
export const textOf = ({ digits, scale }: Decimal): string => {
  const sign = digits < 0n ? "-" : ""
  const padded = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, "0")
  const whole = padded.slice(0, padded.length - scale)
  const fraction = padded.slice(padded.length - scale).replace(/0+$/, "")
  return `${sign}${whole}${fraction === "" ? "" : `.${fraction}`}`
}

const floorDivide = (a: bigint, b: bigint): bigint => (a % b !== 0n && a < 0n ? a / b - 1n : a / b)
