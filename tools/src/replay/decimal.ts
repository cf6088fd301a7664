import { BigDecimal, Option } from "effect"

/**
 * Reads `12`, `-0.5` or `17850.0`, with at most 18 digits on either side of the point.
 * @returns `undefined` for anything else: blanks, exponents, plus signs
 */
export const parseDecimal = (text: string): BigDecimal.BigDecimal | undefined =>
  /^-?\d{1,18}(?:\.\d{1,18})?$/.test(text) ? Option.getOrUndefined(BigDecimal.fromString(text)) : undefined

/** The whole number that the decimal is, `17850` of `17850.0`; `undefined` when it has a fraction. */
export const wholeOf = (decimal: BigDecimal.BigDecimal): bigint | undefined =>
  BigDecimal.isInteger(decimal) ? unscaled(decimal, 0) : undefined

/** Pounds in pence, half a pence rounded up. The result is exact: 1.005 is 101 pence, although 1.005 * 100 < 100.5. */
export const minorOf = (pounds: BigDecimal.BigDecimal): bigint =>
  unscaled(BigDecimal.round(pounds, { scale: 2, mode: "half-ceil" }), 2)

/** `floor(factor x units)`, exactly: 0.29 of 100 is 29, although 0.29 * 100 is 28.999999999999996. */
export const shareOf = (factor: BigDecimal.BigDecimal, units: number): number =>
  Number(unscaled(BigDecimal.floor(BigDecimal.multiply(factor, BigDecimal.fromBigInt(BigInt(units)))), 0))

/** Whether the decimal is below a whole number. */
export const isBelow = (decimal: BigDecimal.BigDecimal, whole: number): boolean =>
  BigDecimal.isLessThan(decimal, BigDecimal.fromBigInt(BigInt(whole)))

/** The shortest way to write it: `1` of `1.00`, `0.5` of `0.50`. */
export const textOf = (decimal: BigDecimal.BigDecimal): string => BigDecimal.format(decimal)

/** The digits of a decimal at a scale at which it is exact. */
const unscaled = (decimal: BigDecimal.BigDecimal, scale: number): bigint =>
  BigDecimal.scale(decimal, scale).value
