import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { afterAll, describe, expect, test } from "vitest"
import { readInvoiceFile } from "./invoice-file.ts"

const directory = mkdtempSync(join(tmpdir(), "holdfast-invoices-"))
afterAll(() => rmSync(directory, { recursive: true }))

let files = 0
const written = (content: string | Buffer): string => {
  const path = join(directory, `${++files}.csv`)
  writeFileSync(path, content)
  return path
}
const HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
const line = (
  changes: Partial<
    Record<"invoice" | "sku" | "name" | "quantity" | "date" | "price" | "customer", string>
  > = {}
) =>
  [
    changes.invoice ?? "536365",
    changes.sku ?? "85123A",
    changes.name ?? "LANTERN",
    changes.quantity ?? "6",
    changes.date ?? "2010-12-01 08:26:00",
    changes.price ?? "2.55",
    changes.customer ?? "17850.0",
    "United Kingdom"
  ].join(",")
const read = (...lines: ReadonlyArray<string>) => readInvoiceFile(written([HEADER, ...lines].join("\n")))

describe("an invoice file", () => {
  test("is read line by line", async () => {
    const { malformed, rows } = await read(line(), line({ quantity: "-2", customer: "", price: "0" }))
    expect(malformed).toEqual(new Map())
    expect(rows).toEqual([
      {
        invoice: "536365",
        sku: "85123A",
        description: "LANTERN",
        quantity: 6,
        priceMinor: 255,
        hasPositivePrice: true,
        customer: "17850"
      },
      {
        invoice: "536365",
        sku: "85123A",
        description: "LANTERN",
        quantity: -2,
        priceMinor: 0,
        hasPositivePrice: false,
        customer: undefined
      }
    ])
  })

  test("has the same rows and hash when it is gzipped, has CRLF or has a byte order mark", async () => {
    const text = `${HEADER}\n${line()}\n`
    const plain = await readInvoiceFile(written(text))
    const zipped = await readInvoiceFile(written(gzipSync(text)))
    const windows = await readInvoiceFile(written(text.replaceAll("\n", "\r\n")))
    expect(zipped).toEqual(plain)
    expect(windows).toEqual(plain)
    expect(await readInvoiceFile(written(`\uFEFF${text}`))).toEqual(plain)
    expect(
      (await readInvoiceFile(written(`\uFEFF${text.replace("InvoiceNo", '"InvoiceNo"')}`))).rows
    ).toEqual(plain.rows)
    expect((await readInvoiceFile(written(text.replace("6", "7")))).hash).not.toBe(plain.hash)
  })

  test("may have more columns, in any order", async () => {
    const path = written(
      "Country,CustomerID,Note,UnitPrice,InvoiceDate,Quantity,Description,StockCode,InvoiceNo\nUK,1.0,x,1,2010-12-01 08:26,3,A,B,536365"
    )
    expect((await readInvoiceFile(path)).rows).toMatchObject([
      { invoice: "536365", sku: "B", quantity: 3, customer: "1", priceMinor: 100 }
    ])
  })

  test("may quote fields that contain commas and quotes", async () => {
    const { rows } = await read(line({ name: `"TRAY, 7"" SINGLE"` }), line({ name: '""' }))
    expect(rows.map(({ description }) => description)).toEqual([`TRAY, 7" SINGLE`, ""])
  })

  test("has the outer blanks of its fields removed", async () => {
    const { rows } = await read(
      line({
        invoice: " 536365 ",
        sku: " BANK CHARGES ",
        name: " A  B ",
        quantity: " 6 ",
        customer: " 17850.0 "
      })
    )
    expect(rows).toMatchObject([
      { invoice: "536365", sku: "BANK CHARGES", description: "A  B", quantity: 6, customer: "17850" }
    ])
  })

  test.each([
    ["malformed columns", "536365,85123A,LANTERN,6"],
    ["malformed columns", `${line()},one more`],
    ["malformed columns", "nonsense"],
    ["malformed quoting", line({ name: '"LANTERN' })],
    ["malformed quoting", line({ name: 'LANTERN 7"' })],
    ["malformed quoting", line({ name: 'A "B" C' })],
    ["malformed quoting", line({ name: "x".repeat(70_000) })],
    ["malformed invoice", line({ invoice: "" })],
    ["malformed invoice", line({ invoice: "53 65" })],
    ["malformed stock code", line({ sku: "" })],
    ["malformed stock code", line({ sku: "A:B" })],
    ["malformed stock code", line({ sku: "x".repeat(65) })],
    ["malformed quantity", line({ quantity: "" })],
    ["malformed quantity", line({ quantity: "six" })],
    ["malformed quantity", line({ quantity: "1.5" })],
    ["malformed quantity", line({ quantity: "1000000001" })],
    ["malformed date", line({ date: "" })],
    ["malformed date", line({ date: "2010-02-30 08:26:00" })],
    ["malformed date", line({ date: "yesterday" })],
    ["malformed price", line({ price: "" })],
    ["malformed price", line({ price: "free" })],
    ["malformed price", line({ price: "999999999999999999" })],
    ["malformed customer", line({ customer: "somebody" })],
    ["malformed customer", line({ customer: "-1" })]
  ])("loses only the row with %s (%#)", async (reason, bad) => {
    const { malformed, rows } = await read(line({ sku: "FIRST" }), bad, line({ sku: "LAST" }))
    expect(malformed).toEqual(new Map([[reason, 1]]))
    expect(rows.map(({ sku }) => sku)).toEqual(["FIRST", "LAST"])
  })

  test("loses only the rows with stray quotes", async () => {
    const stray = line({ name: '"OPEN' })
    const { malformed, rows } = await read(stray, line(), stray, line(), line({ name: 'a"b,"c' }), line())
    expect(malformed).toEqual(new Map([["malformed quoting", 3]]))
    expect(rows).toHaveLength(3)
  })

  test("may have dates as spreadsheets export them", async () => {
    const { rows } = await read(line({ date: "12/1/2010 8:26" }), line({ date: "13/1/2010 8:26" }))
    expect(rows).toHaveLength(1)
  })

  test.each([
    ["is not there", () => join(directory, "gone.csv"), /there is no file .*gone\.csv/],
    ["is a directory", () => directory, /is a directory/],
    ["is empty", () => written(""), /is empty/],
    [
      "is something else",
      () => written("a,b,c\n1,2,3\n"),
      /not in the Online Retail format: its first line lacks InvoiceNo, StockCode/
    ],
    ["is cut off", () => written(gzipSync(`${HEADER}\n${line()}`).subarray(0, 40)), /is damaged/],
    [
      "is an image",
      () => written(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3])),
      /not in the Online Retail format/
    ]
  ])("that %s is rejected with a clear message", async (_case, path, message) => {
    await expect(readInvoiceFile(path())).rejects.toThrow(message)
  })

  test("with nothing but a header has no rows", async () => {
    expect((await read()).rows).toEqual([])
  })
})
