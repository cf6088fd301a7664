// Who may import whom: the rules of ARCHITECTURE.md, which dependency-cruiser applies to the sources.
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { cruise } from "dependency-cruiser"

const TEST_FILES = String.raw`\.(test|type-test)\.ts$|/testing/`

/** An npm package, in a flat `node_modules` or in pnpm's. */
const npm = (name) => `(^|/)node_modules/${name}/`

const oneOf = (names) => `(${names.join("|")})`

/**
 * The folders in each package's `src`, and the folders beside them that each may import. Folders named `testing` hold
 * helpers of tests and need no place.
 */
export const FOLDERS = {
  domain: { kernel: [], locks: ["kernel"], coupons: ["kernel"] },
  locks: { addresses: [], redis: ["addresses"], backends: ["addresses", "redis"] },
  server: { platform: [], modules: ["platform"], migrations: ["platform"] },
  "client-sdk": { auth: [], transport: [], links: ["auth", "transport"] },
  testkit: {
    internal: [],
    "crash-point": [],
    services: ["internal"],
    faults: ["internal"],
    history: ["internal"],
    race: ["crash-point", "internal"],
    load: ["internal", "race"],
    topologies: ["internal", "race", "services"],
    evidence: ["services"],
    explore: ["faults", "history", "internal", "services"],
    "lock-graph": ["explore", "faults", "internal", "services"],
    vitest: ["evidence", "faults", "history", "internal", "lock-graph", "race", "services"]
  }
}

/** The server's modules, and the modules that each may use through their `service.ts`. */
export const MODULES = {
  payments: ["orders", "catalog", "coupons", "points"],
  orders: ["catalog", "coupons", "points"],
  ranking: ["catalog"],
  auth: ["points"],
  catalog: [],
  coupons: [],
  points: [],
  webhooks: []
}

const moduleRules = [
  {
    name: "modules-only-by-service",
    comment: "a module uses another one only through its service.ts",
    from: { path: "^packages/server/src/modules/([^/]+)/", pathNot: TEST_FILES },
    to: {
      path: "^packages/server/src/modules/",
      pathNot: [
        "^packages/server/src/modules/$1/",
        String.raw`^packages/server/src/modules/[^/]+/service\.ts$`
      ]
    }
  },
  ...Object.entries(MODULES).map(([module, below]) => ({
    name: `modules-in-order-${module}`,
    comment: `${module} may use ${below.join(", ") || "no other module"}; scripts/boundaries.mjs has the order`,
    from: { path: `^packages/server/src/modules/${module}/`, pathNot: TEST_FILES },
    to: {
      path: "^packages/server/src/modules/[^/]+/",
      pathNot: `^packages/server/src/modules/${oneOf([module, ...below])}/`
    }
  }))
]

const folderRules = Object.entries(FOLDERS).flatMap(([name, folders]) =>
  Object.entries(folders).map(([folder, below]) => ({
    name: `folders-in-order-${name}-${folder}`,
    comment: `${folder} may use ${below.join(", ") || "no other folder"}; scripts/boundaries.mjs has the order`,
    from: { path: `^packages/${name}/src/${folder}/`, pathNot: TEST_FILES },
    to: {
      path: `^packages/${name}/src/[^/]+/`,
      pathNot: `^packages/${name}/src/${oneOf([folder, ...below])}/`
    }
  }))
)

const packageRules = [
  {
    name: "domain-is-pure",
    comment: "the domain imports effect and nothing else, no part of Node either",
    from: { path: "^packages/domain/src/", pathNot: TEST_FILES },
    to: { pathNot: ["^packages/domain/src/", npm("effect")] }
  },
  {
    name: "domain-locks-without-business",
    comment: "the kernel and the lock scopes know no business: they import no file beside their folders",
    from: { path: "^packages/domain/src/(kernel|locks)/", pathNot: TEST_FILES },
    to: { path: "^packages/domain/src/[^/]+$" }
  },
  {
    name: "client-imports",
    comment: "the client imports the domain, effect, tRPC's client and its event source, and no part of Node",
    from: { path: "^packages/client-sdk/src/", pathNot: TEST_FILES },
    to: {
      pathNot: ["^packages/(client-sdk|domain)/src/", npm("(effect|@trpc/client|@trpc/server|eventsource)")]
    }
  },
  {
    name: "locks-without-the-shop",
    comment:
      "the locks install without the shop: of the other packages they import @holdfast/domain/locks alone",
    from: { path: "^packages/locks/src/", pathNot: TEST_FILES },
    to: {
      path: "^packages/",
      pathNot: ["^packages/locks/", String.raw`^packages/domain/src/locks/index\.ts$`]
    }
  },
  {
    name: "testkit-stands-alone",
    comment: "the testkit serves any repository: it imports none of the other packages",
    from: { path: "^packages/testkit/" },
    to: { path: "^packages/(?!testkit/)" }
  },
  {
    name: "server-imports",
    comment: "outside of its tests, the server imports neither the client nor the testkit",
    from: { path: "^packages/server/src/", pathNot: TEST_FILES },
    to: { path: "^packages/(client-sdk|testkit)/" }
  },
  {
    name: "platform-below-all",
    comment: "the platform serves any business: it imports no file beside its folder",
    from: { path: "^packages/server/src/platform/", pathNot: TEST_FILES },
    to: { path: "^packages/server/src/[^/]+$" }
  }
]

const repositoryRules = [
  {
    name: "packages-by-name",
    comment: "a package is imported by its name, never by a path into it",
    from: { path: "^packages/([^/]+)/" },
    to: { path: "^packages/", pathNot: "^packages/$1/", dependencyTypes: ["local"] }
  },
  {
    name: "tools-by-name",
    comment: "the repository's commands use the packages through their public entries",
    from: { path: "^tools/" },
    to: { path: "^packages/", dependencyTypes: ["local"] }
  },
  {
    name: "no-tools",
    comment: "published packages cannot import the repository's commands",
    from: { path: "^packages/" },
    to: { path: "^(tools|scripts|examples)/" }
  },
  {
    name: "no-cycles",
    comment: "no file imports itself through others, imports of types included",
    from: {},
    to: { circular: true }
  },
  {
    name: "resolvable",
    comment: "an import that cannot be resolved cannot be checked",
    from: {},
    to: { couldNotResolve: true }
  }
]

const rules = [...packageRules, ...folderRules, ...moduleRules, ...repositoryRules]

/**
 * Reads every source under `folders` of `baseDirectory` and applies the rules.
 * @returns {Promise<{ modules: Array<string>, violations: Array<{ rule: string, from: string, to: string, message: string }> }>}
 * the TypeScript modules that were read, and the broken rules. Compare the modules with the files on disk: without a
 * TypeScript compiler, dependency-cruiser reads none of them and reports no violation.
 */
export async function checkBoundaries(baseDirectory, folders = ["packages", "tools"]) {
  const { output } = await cruise(
    folders,
    {
      baseDir: baseDirectory,
      validate: true,
      ruleSet: { forbidden: rules.map((rule) => ({ severity: "error", ...rule })) },
      // Makes imports of types visible.
      tsPreCompilationDeps: true,
      doNotFollow: { path: "(^|/)node_modules/" },
      exclude: { path: "^(packages/[^/]+|tools)/dist/" },
      combinedDependencies: false
    },
    {
      exportsFields: ["exports"],
      conditionNames: ["holdfast-source", "import", "types", "node", "default"],
      extensions: [".ts", ".mjs", ".js", ".d.ts"]
    }
  )
  return {
    modules: output.modules
      .map(({ source }) => source)
      .filter((source) => source.endsWith(".ts") && !source.includes("node_modules/")),
    violations: [...misplacedFolders(baseDirectory), ...output.summary.violations.map(describe)]
  }
}

function describe({ cycle, from, rule, to }) {
  const path = cycle ? cycle.map(({ name }) => name).join(" -> ") : to
  const { comment } = rules.find(({ name }) => name === rule.name)
  return { rule: rule.name, from, to, message: `${from} -> ${path}: ${comment} (${rule.name})` }
}

/** Folders that the tables above do not name, and names in the tables that have no folder. */
function misplacedFolders(root) {
  const tables = [
    { directory: "packages", table: "FOLDERS", known: Object.keys(FOLDERS) },
    ...Object.entries(FOLDERS).map(([name, folders]) => ({
      directory: `packages/${name}/src`,
      table: `FOLDERS.${name}`,
      known: Object.keys(folders)
    })),
    { directory: "packages/server/src/modules", table: "MODULES", known: Object.keys(MODULES) }
  ]
  const violation = (rule, path, reason) => ({
    rule,
    from: path,
    to: path,
    message: `${path}: ${reason} (${rule})`
  })
  return tables.flatMap(({ directory, known, table }) => {
    const present = foldersIn(join(root, directory))
    const place = `${table} of scripts/boundaries.mjs`
    return [
      ...present
        .filter((name) => !known.includes(name))
        .map((name) =>
          violation(
            "folder-without-place",
            `${directory}/${name}`,
            `add it to ${place}, with what it may import`
          )
        ),
      ...known
        .filter((name) => !present.includes(name))
        .map((name) =>
          violation("place-without-folder", `${directory}/${name}`, `does not exist; remove it from ${place}`)
        )
    ]
  })
}

const foldersIn = (directory) =>
  existsSync(directory)
    ? readdirSync(directory, { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && entry.name !== "testing")
        .map(({ name }) => name)
    : []
