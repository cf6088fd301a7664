import { fileURLToPath } from "node:url"
import { contract, type Procedure, procedureSummaries } from "@holdfast/domain"
// TypeScript 7 has no interface for programs. Editors with its language server read the same declarations.
import ts from "typescript-6"
import { expect, test } from "vitest"
import { isPaged, pagedNames } from "./pages.ts"

const fromPackage = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url))

const procedures = Object.entries(contract).flatMap(([group, members]) =>
  Object.entries(members as Record<string, Procedure>).map(([name, procedure]) => ({
    group,
    name,
    procedure
  }))
)
const STYLES = ["shop", "shop.safe", "shop.effect"]

const methods = procedures.flatMap(({ group, name, procedure }) => {
  const { items, pages } = pagedNames(name)
  const names = [name, ...(isPaged(procedure) ? [pages, items] : [])]
  return STYLES.flatMap((style) =>
    names.map((method) => ({ path: `${group}.${name}`, name, method, use: `${style}.${group}.${method}` }))
  )
})

const errors = [...new Set(procedures.flatMap(({ procedure }) => procedure.errors))].map(
  (error) => (error as unknown as { readonly identifier: string }).identifier
)

const capitalised = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)
const typeNames = procedures.map(({ group, name }) => capitalised(group) + capitalised(name))

/** What somebody writes in an editor: every method in every style, every error, every input and output. */
const code = [
  `import * as sdk from "@holdfast/client-sdk"`,
  `declare const shop: sdk.Client`,
  ...methods.map(({ use }) => use),
  ...errors.map((error) => `sdk.${error}`),
  ...errors.map((error) => `export type ${error} = sdk.${error}`),
  ...typeNames.flatMap((name) => [
    `export type ${name}Input = sdk.${name}Input`,
    `export type ${name}Output = sdk.${name}Output`
  ]),
  `const outcome = await shop.safe.orders.create({ lines: [] })`,
  `if (!outcome.ok) outcome.error`
].join("\n")

const file = fromPackage("dist/written-in-an-editor.ts")

/** An editor with the compiled declarations of the packages, which are the packed ones. */
const openEditor = () => {
  const exists = (name: string) => name === file || ts.sys.fileExists(name)
  const read = (name: string) => (name === file ? code : ts.sys.readFile(name))
  return ts.createLanguageService({
    getScriptFileNames: () => [file],
    getScriptVersion: () => "1",
    getScriptSnapshot: (name) => (exists(name) ? ts.ScriptSnapshot.fromString(read(name)!) : undefined),
    getCurrentDirectory: () => fromPackage("."),
    getCompilationSettings: () => ({
      module: ts.ModuleKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      lib: ["lib.es2024.d.ts", "lib.dom.d.ts"],
      strict: true,
      noErrorTruncation: true
    }),
    getDefaultLibFileName: (options) => ts.getDefaultLibFilePath(options),
    fileExists: exists,
    readFile: read,
    directoryExists: (name) => ts.sys.directoryExists(name),
    getDirectories: (name) => ts.sys.getDirectories(name)
  })
}

const editor = openEditor()

/** The place of the last name in a line of the code. */
const placeOf = (line: string): number => {
  const start = `${code}\n`.indexOf(`\n${line}\n`) + 1
  expect(start, line).toBeGreaterThan(0)
  return start + line.length - 1
}

const documentAt = (line: string): string =>
  ts
    .displayPartsToString(editor.getQuickInfoAtPosition(file, placeOf(line))?.documentation)
    .replaceAll(/\s+/g, " ")

test("the code of an editor compiles", { timeout: 60_000 }, () => {
  const texts = editor.getSemanticDiagnostics(file).map(({ messageText }) => messageText)
  expect(texts).toEqual([])
})

test("every method shows its sentence from the contract, in every style", { timeout: 60_000 }, () => {
  expect(methods.length).toBeGreaterThan(3 * 40)
  for (const { method, name, path, use } of methods) {
    const sentence = procedureSummaries[path]!
    if (method === name) expect(documentAt(use), use).toBe(sentence)
    else expect(documentAt(use), use).toMatch(new RegExp(`^The (pages|items) .*\`${path}\``))
    expect(documentAt(use), use).toContain(sentence)
  }
})

test("the definition of every method lies in the contract", { timeout: 60_000 }, () => {
  for (const { method, name, use } of methods.filter((one) => one.method === one.name)) {
    const [definition, ...others] = editor.getDefinitionAtPosition(file, placeOf(use)) ?? []
    expect(others, use).toEqual([])
    expect(definition?.name, use).toBe(method)
    expect(definition?.fileName, use).toMatch(/domain\/dist\/[\w/-]+\.d\.ts$/)
    expect(definition?.fileName, `${use} of ${name}`).not.toContain("contract.d.ts")
  }
})

test("every error shows what it means", { timeout: 60_000 }, () => {
  for (const error of errors) expect(documentAt(`sdk.${error}`), error).toMatch(/^[A-Z].*\.$/)
})

test("a safe result names the errors of its call", { timeout: 60_000 }, () => {
  const place = placeOf("if (!outcome.ok) outcome.error")
  const shown = ts.displayPartsToString(editor.getQuickInfoAtPosition(file, place)?.displayParts)
  for (const error of contract.orders.create.errors)
    expect(shown).toContain((error as unknown as { readonly identifier: string }).identifier)
  expect(shown).toContain("TransportError")
})

/** The fields of a type that the domain declares and that have no comment, through arrays and nested objects. */
const bareFields = (
  checker: ts.TypeChecker,
  type: ts.Type,
  path: string,
  seen: Set<ts.Type>
): Array<string> => {
  if (seen.has(type)) return []
  seen.add(type)
  if (type.isUnionOrIntersection()) return type.types.flatMap((one) => bareFields(checker, one, path, seen))
  const element = checker.getIndexTypeOfType(type, ts.IndexKind.Number)
  if (element !== undefined) return bareFields(checker, element, `${path}[]`, seen)
  return checker.getPropertiesOfType(type).flatMap((field) => {
    const [declaration] = field.declarations ?? []
    if (!declaration?.getSourceFile().fileName.includes("/domain/dist/")) return []
    if (ts.isMethodSignature(declaration) || field.name === "message") return []
    const at = `${path}.${field.name}`
    const nested = bareFields(checker, checker.getTypeOfSymbol(field), at, seen)
    return field.getDocumentationComment(checker).length === 0 ? [at, ...nested] : nested
  })
}

test("every field of an input, an output and an error says what it holds", { timeout: 60_000 }, () => {
  const program = editor.getProgram()!
  const checker = program.getTypeChecker()
  const seen = new Set<ts.Type>()
  const bare = program
    .getSourceFile(file)!
    .statements.filter((statement) => ts.isTypeAliasDeclaration(statement))
    .flatMap(({ name, type }) => bareFields(checker, checker.getTypeFromTypeNode(type), name.text, seen))
  expect(bare).toEqual([])
})
