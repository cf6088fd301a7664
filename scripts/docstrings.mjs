// Every public export has a docstring. Public is what the `exports` of a package's manifest reach.
import { globSync, readFileSync } from "node:fs"
import { dirname, join, posix } from "node:path"
import { parseSync } from "oxc-parser"

/**
 * Follows each entry of the packages' manifests through all re-exports to the declarations of this repository.
 * What an entry passes on from another package is documented there.
 * @returns {{ exports: number, violations: Array<string> }} the number of declared exports, and those without docstring
 */
export function checkDocstrings(root) {
  const modules = new Map()
  const moduleOf = (file) => {
    if (!modules.has(file)) modules.set(file, readModule(root, file))
    return modules.get(file)
  }
  const declared = new Map(
    entries(root)
      .flatMap(({ file, entry }) => exportsOf(file, moduleOf).map((found) => ({ ...found, entry })))
      .map((found) => [`${found.file}#${found.localName}`, found])
  )
  const violations = [...declared.values()].flatMap(({ entry, file, localName }) => {
    const declarations = moduleOf(file).declarations.filter(({ names }) => names.includes(localName))
    // Overloads, and a type beside the value of its name, share one docstring.
    if (declarations.some(({ isDocumented }) => isDocumented)) return []
    return [`${file}:${declarations[0]?.line ?? 1}: ${localName}, exported by ${entry}, has no docstring`]
  })
  return { exports: declared.size, violations }
}

/** The sources of every entry in the packages' manifests. */
const entries = (root) =>
  globSync("packages/*/package.json", { cwd: root }).flatMap((manifestFile) => {
    const directory = dirname(manifestFile).replaceAll("\\", "/")
    const { exports = {}, name, publishConfig } = JSON.parse(readFileSync(join(root, manifestFile), "utf8"))
    // What is not published, the benchmarks for instance, is no public entry.
    const published = publishConfig?.exports ?? exports
    return Object.entries(exports).flatMap(([subpath, { "holdfast-source": source }]) =>
      source === undefined || !(subpath in published)
        ? []
        : [{ file: posix.join(directory, source), entry: posix.join(name, subpath) }]
    )
  })

/**
 * The declarations behind the exports of a file, by the file and the name that they have there.
 * @param wanted the exported name to follow; every one when absent
 */
function exportsOf(file, moduleOf, wanted, visited = new Set()) {
  const key = `${file}#${wanted ?? "*"}`
  if (visited.has(key)) return []
  visited.add(key)
  return moduleOf(file).exports.flatMap(({ exportName, importName, localName, moduleRequest }) => {
    const passesAllOn = importName.kind === "AllButDefault"
    const name = nameOf(exportName)
    if (wanted !== undefined && !passesAllOn && name !== wanted) return []
    if (moduleRequest === null) return [{ file, localName: localName.name ?? name }]
    if (!moduleRequest.value.startsWith(".")) return []
    const target = posix.join(posix.dirname(file), moduleRequest.value)
    return exportsOf(target, moduleOf, passesAllOn ? wanted : nameOf(importName), visited)
  })
}

/** Undefined for a namespace, which stands for every name of its module. */
const nameOf = ({ kind, name }) => (kind === "Default" ? "default" : (name ?? undefined))

function readModule(root, file) {
  const text = readFileSync(join(root, file), "utf8")
  const { comments, errors, module, program } = parseSync(file, text)
  if (errors.length > 0) throw new Error(`${file} cannot be parsed: ${errors[0].message}`)
  const docstringEnds = comments
    .filter(({ type, value }) => type === "Block" && /^\*[^\p{L}]*\p{L}/u.test(value))
    .map(({ end }) => end)
  return {
    exports: module.staticExports.flatMap((statement) => statement.entries),
    declarations: program.body.map((statement) => ({
      names: namesOf(statement.declaration ?? statement),
      line: text.slice(0, statement.start).split("\n").length,
      isDocumented: docstringEnds.some(
        (end) => end <= statement.start && isAdjacent(text.slice(end, statement.start))
      )
    }))
  }
}

/** Between a docstring and its declaration stand only comments of one line, such as a suppression. */
const isAdjacent = (between) => /^\s*(\/\/.*\s*)*$/.test(between)

/** The names that a declaration binds. A default export without a name is `default`. */
const namesOf = (declaration) => {
  if (declaration.type === "VariableDeclaration")
    return declaration.declarations.flatMap(({ id }) => bound(id))
  return [declaration.id?.name ?? "default"]
}

const bound = (pattern) => {
  switch (pattern?.type) {
    case "Identifier":
      return [pattern.name]
    case "ObjectPattern":
      return pattern.properties.flatMap(({ argument, value }) => bound(value ?? argument))
    case "ArrayPattern":
      return pattern.elements.flatMap(bound)
    case "AssignmentPattern":
      return bound(pattern.left)
    case "RestElement":
      return bound(pattern.argument)
    default:
      return []
  }
}
