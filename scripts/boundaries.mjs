// Who may import whom. The rules of ARCHITECTURE, read by dependency-cruiser from the sources themselves.
import { cruise } from "dependency-cruiser"

const TEST_FILES = String.raw`\.(test|type-test)\.ts$|/testing/`

/** An npm package, in a flat `node_modules` or in pnpm's. */
const npm = (name) => `(^|/)node_modules/${name}/`

/**
 * What one feature of the server may use of another, each through the other's `service.ts`. A feature that is not in
 * the table uses none: a new one has to be given its place here.
 */
const FEATURES_BELOW = {
  payments: ["orders", "catalog", "products", "coupons", "points"],
  orders: ["catalog", "products", "coupons", "points"],
  auth: ["points"],
  register: ["points"],
  ranking: ["catalog", "products"]
}

/** The folders that features share: they know nothing of the business. */
const SHARED_FOLDERS = "cache|config|db|http|locks|observability|redis|rpc|watch|workers"

/** Files right in `features/` put the features together: they may know all of them, and each feature may know them. */
const A_FEATURES_FILE = "^packages/server/src/features/[^/]+/"

const featureRules = () => {
  const anyFeature = "^packages/server/src/features/([^/]+)/"
  const outside = { path: anyFeature, pathNot: TEST_FILES }
  const ordered = Object.keys(FEATURES_BELOW).join("|")
  return [
    {
      name: "features-only-by-service",
      comment: "a feature uses another one through its service.ts alone",
      from: outside,
      to: {
        path: A_FEATURES_FILE,
        pathNot: [
          "^packages/server/src/features/$1/",
          String.raw`^packages/server/src/features/[^/]+/service\.ts$`
        ]
      }
    },
    ...Object.entries(FEATURES_BELOW).map(([feature, below]) => ({
      name: `features-in-order-${feature}`,
      comment: `${feature} may use ${below.join(", ")} and no other feature`,
      from: { path: `^packages/server/src/features/${feature}/`, pathNot: TEST_FILES },
      to: {
        path: A_FEATURES_FILE,
        pathNot: `^packages/server/src/features/(${[feature, ...below].join("|")})/`
      }
    })),
    {
      name: "features-in-order-others",
      comment:
        "a feature without a place in the order uses no other feature (scripts/boundaries.mjs has the table)",
      from: { path: anyFeature, pathNot: [TEST_FILES, `^packages/server/src/features/(${ordered})/`] },
      to: { path: A_FEATURES_FILE, pathNot: "^packages/server/src/features/$1/" }
    },
    {
      name: "shared-without-features",
      comment: "what the features share is free of features",
      from: { path: `^packages/server/src/(${SHARED_FOLDERS})/`, pathNot: TEST_FILES },
      to: { path: "^packages/server/src/features/" }
    }
  ]
}

const rules = [
  {
    name: "domain-is-pure",
    comment: "the domain imports effect and nothing else, no part of Node either",
    from: { path: "^packages/domain/src/", pathNot: TEST_FILES },
    to: { pathNot: ["^packages/domain/src/", npm("effect")] }
  },
  {
    name: "client-imports",
    comment: "the client imports the domain and effect, no part of Node and nothing of tRPC",
    from: { path: "^packages/client-sdk/src/", pathNot: TEST_FILES },
    to: { pathNot: ["^packages/(client-sdk|domain)/src/", npm("effect")] }
  },
  {
    name: "testkit-stands-alone",
    comment: "the testkit is for any repository: it imports none of the other packages",
    from: { path: "^packages/testkit/" },
    to: { path: "^packages/(?!testkit/)" }
  },
  {
    name: "server-imports",
    comment: "the server, outside of its tests, knows neither the client nor the testkit",
    from: { path: "^packages/server/src/", pathNot: TEST_FILES },
    to: { path: "^packages/(client-sdk|testkit)/" }
  },
  {
    name: "packages-by-name",
    comment: "a package is imported by its name, never by a path into it",
    from: { path: "^packages/([^/]+)/" },
    to: { path: "^packages/", pathNot: "^packages/$1/", dependencyTypes: ["local"] }
  },
  {
    name: "no-tools",
    comment: "the packages are published; the repository's commands are not",
    from: { path: "^packages/" },
    to: { path: "^(tools|scripts|examples)/" }
  },
  {
    name: "no-cycles",
    comment: "a file never imports itself by way of others; imports of types alone do not count, they vanish",
    from: {},
    to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } }
  },
  {
    name: "resolvable",
    comment: "what cannot be resolved cannot be judged either",
    from: {},
    to: { couldNotResolve: true }
  },
  ...featureRules()
]

/**
 * Reads every source under `folders` of `baseDirectory` and applies the rules.
 * Gives the TypeScript modules that were really read (compare them: a reader without TypeScript reads none and finds
 * no fault), and the broken rules.
 * @returns {Promise<{ modules: Array<string>, violations: Array<{ rule: string, from: string, to: string, message: string }> }>}
 */
export async function checkBoundaries(baseDirectory, folders = ["packages", "tools"]) {
  const { output } = await cruise(
    folders,
    {
      baseDir: baseDirectory,
      validate: true,
      ruleSet: { forbidden: rules.map((rule) => ({ severity: "error", ...rule })) },
      // Without it, type-only imports are invisible.
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
    violations: output.summary.violations.map(describe)
  }
}

function describe({ cycle, from, rule, to }) {
  const path = cycle ? cycle.map(({ name }) => name).join(" -> ") : to
  const { comment } = rules.find(({ name }) => name === rule.name)
  return { rule: rule.name, from, to, message: `${from} -> ${path}: ${comment} (${rule.name})` }
}
