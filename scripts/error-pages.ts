// The facts on the pages of docs/errors come from the domain itself; the words around them are written by hand.
// `node --conditions=holdfast-source scripts/errorPages.ts` brings the facts and the index up to date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Arbitrary, Effect } from "effect"
import * as client from "../packages/client-sdk/src/errors.ts"
import * as domain from "../packages/domain/src/index.ts"

const pagesDirectory = fileURLToPath(new URL("../docs/errors/", import.meta.url))
const START = "<!-- facts of the domain, kept by scripts/errorPages.ts -->"
const END = "<!-- end of the facts -->"

/** An error as its page knows it. */
interface DocumentedError {
  readonly tag: string
  readonly facts: () => ReadonlyArray<readonly [name: string, value: string]>
}

type FieldsOf<E> = ReadonlyArray<Exclude<keyof E & string, keyof Error | "_tag" | "toJSON" | "pipe">>

const isErrorClass = (value: unknown): value is domain.DomainErrorClass =>
  typeof value === "function" && "code" in value && value.prototype instanceof Error

/** Every tagged error of the domain, and the two that the client adds, by tag. */
export const documentedErrors = (): ReadonlyArray<DocumentedError> =>
  [
    ...Object.entries(domain).flatMap(([tag, value]) =>
      isErrorClass(value) ? [{ tag, facts: () => factsOfDomain(value) }] : []
    ),
    { tag: client.TransportError.name, facts: () => factsOfClient(transportErrorFields) },
    { tag: client.RemoteDefect.name, facts: () => factsOfClient(remoteDefectFields) }
  ].toSorted((a, b) => (a.tag < b.tag ? -1 : 1))

const transportErrorFields: FieldsOf<client.TransportError> = [
  "procedure",
  "reason",
  "maybeSent",
  "retryable",
  "httpStatus",
  "retryAfterMs"
]
const remoteDefectFields: FieldsOf<client.RemoteDefect> = [
  "procedure",
  "code",
  "httpStatus",
  "retryable",
  "retryAfterMs",
  "detail"
]

/** What the client's own errors say of themselves: every call may fail with them. */
const factsOfClient = (fields: ReadonlyArray<string>) =>
  [
    ["Made by", "`@holdfast/client-sdk`; it never travels"],
    ["Retryable", "its field says so"],
    ["Fields", asCode(fields)],
    ["Declared by", "every call of the client"]
  ] as const

const asCode = (names: ReadonlyArray<string>) =>
  names.length === 0 ? "none" : names.map((name) => `\`${name}\``).join(", ")

/** Procedures that declare the error, as `group.name`; "every procedure" and the like where that is the whole story. */
function declaredBy(errorClass: domain.DomainErrorClass): string {
  const all = Object.entries(domain.contract).flatMap(([group, procedures]) =>
    Object.entries(procedures).map(([name, procedure]) => ({ name: `${group}.${name}`, procedure }))
  )
  const declaring = all.filter(({ procedure }) =>
    (procedure.errors as ReadonlyArray<domain.DomainErrorClass>).includes(errorClass)
  )
  const sameAs = (chosen: typeof all) =>
    chosen.length > 1 && chosen.length === declaring.length && chosen.every((one) => declaring.includes(one))
  if (sameAs(all)) return "every procedure"
  if (sameAs(all.filter(({ procedure }) => procedure.kind === "mutation"))) return "every mutation"
  if (sameAs(all.filter(({ procedure }) => procedure.access === "admin")))
    return "every procedure for administrators"
  return declaring.length === 0 ? "no procedure yet" : declaring.map(({ name }) => `\`${name}\``).join(", ")
}

function factsOfDomain(errorClass: domain.DomainErrorClass) {
  const [sample] = Effect.runSync(Arbitrary.sampleEffect(Arbitrary.schema(errorClass), { size: 1, seed: 1 }))
  const fields = Object.keys((errorClass as unknown as { fields: object }).fields)
  return [
    ["HTTP status", `${domain.HTTP_STATUS[errorClass.code]} \`${errorClass.code}\``],
    [
      "Retryable",
      sample.retryable
        ? "yes: the same request may succeed a moment later"
        : "no: this is the definitive answer"
    ],
    ["Fields", asCode(fields.filter((name) => name !== "_tag"))],
    ["Declared by", declaredBy(errorClass)]
  ] as const
}

/** The generated block of a page. */
function blockOf({ facts }: DocumentedError): string {
  const rows = facts().map(([name, value]) => `| ${name} | ${value} |`)
  return [START, "| | |", "|---|---|", ...rows, END].join("\n")
}

const withFacts = (page: string, block: string): string => {
  const start = page.indexOf(START)
  const end = page.indexOf(END)
  return start < 0 || end < start ? page : page.slice(0, start) + block + page.slice(end + END.length)
}

/** The index page: every error with the first sentence of its page. */
function indexPage(errors: ReadonlyArray<DocumentedError>): string {
  const rows = errors.map(({ tag }) => `| [${tag}](${tag}.md) | ${summaryOf(readPage(tag) ?? "")} |`)
  return [
    "# Errors",
    "",
    "Every failure that a procedure can have is a class with a tag, declared in the contract and rebuilt by the client:",
    "`instanceof` holds on both sides of the wire. The client adds `TransportError` and `RemoteDefect`. One page a tag:",
    "what it means, when it happens, what to do.",
    "",
    "| Error | What it means |",
    "|---|---|",
    ...rows,
    ""
  ].join("\n")
}

const readPage = (tag: string): string | undefined => {
  const file = join(pagesDirectory, `${tag}.md`)
  return existsSync(file) ? readFileSync(file, "utf8") : undefined
}

/** The first paragraph under the page's title, on one line. */
const summaryOf = (page: string): string => (page.split("\n\n")[1] ?? "").replaceAll("\n", " ")

/** What is wrong with the pages: missing, left over, out of date, or without one of their parts. */
export function faultsOfPages(): ReadonlyArray<string> {
  const errors = documentedErrors()
  const known = new Set(["README.md", ...errors.map(({ tag }) => `${tag}.md`)])
  const leftOver = readdirSync(pagesDirectory).filter((file) => !known.has(file))
  const ofPages = errors.flatMap((error) => faultsOfPage(error))
  const index = readPage("README") === indexPage(errors) ? [] : ["docs/errors/README.md is out of date"]
  return [...leftOver.map((file) => `docs/errors/${file} belongs to no error`), ...ofPages, ...index]
}

function faultsOfPage(error: DocumentedError): ReadonlyArray<string> {
  const name = `docs/errors/${error.tag}.md`
  const page = readPage(error.tag)
  if (page === undefined) return [`${name} is missing`]
  const parts = [`# ${error.tag}\n`, START, END, "\n## When\n", "\n## What to do\n"]
  const missing = parts
    .filter((part) => !page.includes(part))
    .map((part) => `${name} has no "${part.trim()}"`)
  return withFacts(page, blockOf(error)) === page ? missing : [...missing, `${name} is out of date`]
}

/** Writes the facts and the index; the hand-written words stay as they are. */
function update(): void {
  for (const error of documentedErrors()) {
    const page = readPage(error.tag)
    if (page !== undefined)
      writeFileSync(join(pagesDirectory, `${error.tag}.md`), withFacts(page, blockOf(error)))
  }
  writeFileSync(join(pagesDirectory, "README.md"), indexPage(documentedErrors()))
}

if (import.meta.main) {
  update()
  const faults = faultsOfPages()
  for (const fault of faults) console.error(fault)
  process.exitCode = faults.length === 0 ? 0 : 1
}
